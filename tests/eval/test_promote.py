"""Who is champion: by the gate or by a person's word, and back again; never lost, never twice."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tierwise import cli
from tierwise.data.errors import BadInput
from tierwise.eval import promote as promotion
from tierwise.eval import registry
from tierwise.eval.gate_rules import Rule, Verdict
from tierwise.eval.promote import promote, rollback, target

NAME = "tierwise-own"
SHAS = [letter * 64 for letter in "abcd"]
YES = Verdict(True, (Rule("cost", "pass", -1.0, 0.0, "cheaper"),))
NO = Verdict(False, (Rule("cost", "fail", 1.0, 0.0, "at most 1 USD"),))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry of four versions; the first is champion, each was held against it and passed."""
    run = tmp_path_factory.mktemp("registry") / "own"
    run.mkdir()
    with registry.opened(run, create=True) as client:
        client.create_registered_model(NAME)
        for sha256 in SHAS:
            tags = {"sha256": sha256, "gate": "passed", "gate.against": SHAS[0]}
            client.create_model_version(NAME, source=str(run), tags=tags)
        word = registry.Word("first", "the first that passed the gate", "promoted")
        registry.crown(client, NAME, "1", word)
    return run.parent / "mlflow.db"


@pytest.fixture
def run(template: Path, tmp_path: Path) -> Path:
    """A run of its own whose bundle is version 2."""
    shutil.copy(template, tmp_path / "mlflow.db")
    (tmp_path / "own" / "policy").mkdir(parents=True)
    (tmp_path / "own" / "policy" / "manifest.sha256").write_text(SHAS[1] + "\n")
    return tmp_path / "own"


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Callable[[Verdict], None]:
    """Puts a word into the gate's mouth."""

    def put(verdict: Verdict) -> None:
        monkeypatch.setattr(promotion, "_against_champion", lambda run, params: verdict)

    monkeypatch.setenv("TIERWISE_ACTOR", "ada")
    put(YES)
    return put


def champion(run: Path) -> Any:
    with registry.opened(run) as client:
        return registry.champion(client, NAME)


def before(run: Path) -> list[str]:
    with registry.opened(run) as client:
        return registry.champions_before(client, NAME)


def test_a_promotion_says_who_when_and_why(run: Path, says: Callable[[Verdict], None]) -> None:
    moved = promote(run, None, "cheaper\nin May")
    assert (moved.done, moved.version, moved.before) == (True, "2", "1")
    tags = champion(run).tags
    assert (tags["champion.by"], tags["champion.why"]) == ("ada", "cheaper in May")
    assert tags["champion.at"].endswith("+00:00")
    assert tags["champion.move"] == "promoted"
    assert "champion.despite_gate" not in tags


def test_where_the_gate_says_no_nothing_moves_and_the_rule_is_named(
    run: Path, says: Callable[[Verdict], None]
) -> None:
    says(NO)
    moved = promote(run, None, "I want it")
    assert not moved.done
    assert "fail cost: at most 1 USD" in "\n".join(moved.lines())
    assert str(champion(run).version) == "1"
    assert before(run) == []


def test_a_promotion_despite_the_gate_keeps_what_the_gate_said(
    run: Path, says: Callable[[Verdict], None]
) -> None:
    says(NO)
    assert promote(run, None, "the old one leaks", despite_gate=True).done
    assert champion(run).tags["champion.despite_gate"] == "cost: at most 1 USD"
    rollback(run, None, "mended")
    says(YES)
    promote(run, None, "now it is better")
    assert "champion.despite_gate" not in champion(run).tags


def test_a_reason_is_asked_for(run: Path, says: Callable[[Verdict], None]) -> None:
    with pytest.raises(BadInput, match="no reason"):
        promote(run, None, " ")
    with pytest.raises(BadInput, match="no reason"):
        rollback(run, None, "")


def test_rolling_back_goes_through_the_champions_before_in_order(
    run: Path, says: Callable[[Verdict], None]
) -> None:
    for version in ("2", "3", "4"):
        promote(run, version, "next", despite_gate=True)
    assert before(run) == ["1", "2", "3"]
    assert rollback(run, None, "worse").version == "3"
    assert champion(run).tags["champion.move"] == "rolled back"
    assert rollback(run, None, "worse still").version == "2"
    promote(run, "4", "mended", despite_gate=True)
    assert before(run) == ["1", "2"]
    assert rollback(run, "1", "all the way").before == "4"
    assert before(run) == []
    with pytest.raises(BadInput, match="no champion before"):
        rollback(run, None, "and on")


def test_only_an_earlier_champion_can_be_gone_back_to(
    run: Path, says: Callable[[Verdict], None]
) -> None:
    promote(run, None, "next")
    with pytest.raises(BadInput, match="version 3 was no champion"):
        rollback(run, "3", "back")
    assert str(champion(run).version) == "2"


def test_promoting_the_champion_changes_nothing(run: Path, says: Callable[[Verdict], None]) -> None:
    promote(run, None, "first")
    again = promote(run, None, "again")
    assert again.done
    assert again.lines() == [f"{again.name}: version {again.version} is champion already"]
    assert before(run) == ["1"]
    assert champion(run).tags["champion.why"] == "first"


def test_another_version_is_judged_by_its_record_while_the_champion_is_the_same(
    run: Path, says: Callable[[Verdict], None]
) -> None:
    says(NO)
    assert promote(run, "3", "it passed when it was built").done
    late = promote(run, "4", "it passed, too")
    assert not late.done
    assert "held it against aaaaaaaaaaaa; what serves now is cccccccccccc" in late.lines()[1]


def test_another_version_that_was_refused_stays_refused(
    run: Path, says: Callable[[Verdict], None]
) -> None:
    with registry.opened(run) as client:
        client.set_model_version_tag(NAME, "3", "gate", "refused")
        client.set_model_version_tag(NAME, "3", "gate.quality", "fail: below the floor")
    assert promote(run, "3", "please").lines()[1] == "  fail quality: below the floor"


def test_a_champion_made_meanwhile_is_noticed(
    run: Path, says: Callable[[Verdict], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(run: Path, params: Path) -> Verdict:
        with registry.opened(run) as client:
            registry.crown(client, NAME, "3", registry.Word("bob", "quicker", "promoted"))
        return YES

    monkeypatch.setattr(promotion, "_against_champion", slow)
    with pytest.raises(BadInput, match="another champion since"):
        promote(run, None, "mine")
    assert str(champion(run).version) == "3"


def test_a_process_killed_between_tag_and_alias_leaves_no_false_champion_before(
    run: Path, says: Callable[[Verdict], None]
) -> None:
    with registry.opened(run) as client:
        client.set_registered_model_tag(NAME, registry.BEFORE, "1")  # as if 1 were on its way out
    assert before(run) == []
    promote(run, None, "again")
    assert before(run) == ["1"]


PROCESS = """
import sys
from pathlib import Path
from tierwise.data.errors import BadInput
from tierwise.eval import promote as promotion
from tierwise.eval.gate_rules import Verdict
promotion._against_champion = lambda run, params: Verdict(True, ())
try:
    promotion.promote(Path(sys.argv[1]), sys.argv[2], "a race", despite_gate=True)
except BadInput as error:
    assert "another champion since" in str(error), error
    raise SystemExit(2)
"""


def test_two_promotions_at_once_leave_one_champion_and_its_history(run: Path) -> None:
    racers = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(run), version])
        for version in ("3", "4")
    ]
    codes = [racer.wait(timeout=120) for racer in racers]
    assert codes in ([0, 0], [0, 2], [2, 0])
    serving = str(champion(run).version)
    if codes == [0, 0]:
        assert sorted([*before(run), serving]) == ["1", "3", "4"]
        assert before(run)[0] == "1"
    else:
        assert (serving, before(run)) == (["3", "4"][codes.index(0)], ["1"])


def test_a_move_waits_for_the_one_before_it(run: Path, says: Callable[[Verdict], None]) -> None:
    waiting = Thread(target=promote, args=(run, None, "second in line"))
    with registry.alone(run):
        waiting.start()
        waiting.join(timeout=3)
        assert waiting.is_alive()
        assert str(champion(run).version) == "1"
    waiting.join()
    assert str(champion(run).version) == "2"


def test_without_a_registry_none_is_made(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    with pytest.raises(BadInput, match="no registry"):
        rollback(tmp_path / "own", None, "why")
    assert [one.name for one in tmp_path.iterdir()] == ["own"]


def test_an_unknown_version_is_refused(run: Path, says: Callable[[Verdict], None]) -> None:
    with pytest.raises(BadInput, match="no version 9"):
        promote(run, "9", "why")


def test_a_run_and_a_version_are_told_apart(tmp_path: Path) -> None:
    assert target(str(tmp_path)) == (tmp_path, None)
    assert target("tierwise-fleet/3") == (Path("artifacts/fleet"), "3")
    assert target("models:/tierwise-fleet/3") == (Path("artifacts/fleet"), "3")
    with pytest.raises(BadInput, match="tierwise-fleet/3"):
        target("gone")


def test_the_answer_is_the_exit_code(
    run: Path, says: Callable[[Verdict], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*arguments: str) -> object:
        monkeypatch.setattr(sys, "argv", ["tierwise", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code

    says(NO)
    assert call("promote", str(run), "--why", "try") == 1
    says(YES)
    assert call("promote", str(run), "--why", "try", "--json") == 0
    assert call("rollback", str(run), "--why", "worse") == 0
    assert call("rollback", str(run), "--why", "worse") == 2
    assert call("promote", str(run)) == 2, "a reason is asked for"
