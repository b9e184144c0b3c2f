"""Peers: asked in an environment of their own, judged by their scores and their own classes."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tierwise.data.errors import BadInput
from tierwise.eval import peers
from tierwise.eval.peers import PeerScores, find_peers, judge_peer, ladder, peer_scores

TEXTS = ["What is 2 + 2?", "", "Prove, step by step, that the code\n```x```\nends.", "naïve \ud800"]
STANDING_IN = """#!{python}
# What the peers' python would do with the script: a score a text, its length.
import json, pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[3:]) + "\\n")
if sys.argv[3] == "--versions":
    print((here / "versions").read_text())
    sys.exit()
texts = [json.loads(line) for line in open(sys.argv[3], encoding="utf-8")]
if "break" in texts:
    sys.exit("Traceback:\\nValueError: a text it dislikes")
said = {{
    "version": "1",
    "classes": ["EASY", "HARD"],
    "note": "",
    "score": [len(text) for text in texts],
    "choice": ["HARD" if len(text) > 20 else "EASY" for text in texts],
    "microseconds": [1.0, 2.0, 3.0],
}}
attempts = ["socket.connect example.org"] if "call home" in texts else []
with open(sys.argv[4], "w") as out:
    json.dump({{"peers": {{"length": said}}, "network_attempts": attempts}}, out)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose peers' environment is a small script."""
    python = tmp_path / ".venv-peers" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(STANDING_IN.format(python=sys.executable))
    python.chmod(0o755)
    (python.parent / "versions").write_text('{"length": "1"}')
    return tmp_path


def asked(checkout: Path) -> int:
    """How often texts were scored, calls for versions not counted."""
    calls = (checkout / ".venv-peers" / "bin" / "calls").read_text().splitlines()
    return sum("--versions" not in call for call in calls)


def made_up(
    score: Any, choice: Any = "", classes: tuple[str, ...] = ("EASY", "HARD")
) -> PeerScores:
    score = np.asarray(score, np.float64)
    choices = np.broadcast_to(np.asarray(choice or classes[0], np.str_), len(score))
    return PeerScores("one", "1", score, choices, (1.0, 2.0, 3.0), classes)


def two_tiers(n: int = 400) -> tuple[Any, Any, Any]:
    """Steps whose cheap tier fails where they are hard; quality, cost, hard."""
    hard = np.random.default_rng(0).random(n) < 0.4
    quality = np.column_stack([~hard, np.ones(n)]).astype(np.float64)
    return quality, np.tile([1.0, 10.0], (n, 1)), hard


def test_without_the_environment_one_line_says_how_to_make_it(tmp_path: Path) -> None:
    assert find_peers(tmp_path) is None
    with pytest.raises(BadInput, match="run make peers"):
        peer_scores(TEXTS, tmp_path / "cache", tmp_path)


def test_each_text_gets_the_score_and_the_class_of_its_peer(checkout: Path) -> None:
    said = peer_scores(TEXTS, checkout / "cache", checkout)["length"]
    np.testing.assert_array_equal(said.score, [len(text) for text in TEXTS])
    assert said.choice.tolist() == ["EASY", "EASY", "HARD", "EASY"]
    assert (said.version, said.classes, said.microseconds) == ("1", ("EASY", "HARD"), (1, 2, 3))


def test_peers_are_asked_once_for_the_same_texts(checkout: Path) -> None:
    first = peer_scores(TEXTS, checkout / "cache", checkout)["length"]
    again = peer_scores(TEXTS, checkout / "cache", checkout)["length"]
    assert asked(checkout) == 1
    np.testing.assert_array_equal(first.score, again.score)
    peer_scores(TEXTS[::-1], checkout / "cache", checkout)
    assert asked(checkout) == 2


def test_another_version_of_a_peer_is_asked_again(checkout: Path) -> None:
    peer_scores(TEXTS, checkout / "cache", checkout)
    (checkout / ".venv-peers" / "bin" / "versions").write_text('{"length": "2"}')
    peer_scores(TEXTS, checkout / "cache", checkout)
    assert asked(checkout) == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [("break", "ValueError: a text it dislikes"), ("call home", "network: socket.connect")],
)
def test_a_peer_that_fails_or_calls_home_leaves_one_line_and_no_cache(
    checkout: Path, text: str, line: str
) -> None:
    with pytest.raises(BadInput, match=line):
        peer_scores([text], checkout / "cache", checkout)
    assert not (checkout / "cache").exists()


def test_a_score_that_knows_the_hard_steps_gains_all_and_a_constant_one_nothing() -> None:
    quality, cost, hard = two_tiers()
    assert judge_peer(made_up(hard), quality, cost).gain == pytest.approx(1.0)
    assert judge_peer(made_up(np.zeros(len(hard))), quality, cost).gain == pytest.approx(0.0)
    assert judge_peer(made_up(~hard), quality, cost).gain == pytest.approx(0.0)


def test_only_the_order_of_a_score_counts() -> None:
    quality, cost, hard = two_tiers()
    score = hard + np.random.default_rng(1).normal(0, 0.7, len(hard))
    plain = judge_peer(made_up(score), quality, cost)
    assert 0.05 < plain.gain < 0.95
    assert judge_peer(made_up(np.exp(3 * score)), quality, cost) == plain


def test_a_middle_tier_counts_in_the_gain_of_any_pair_only() -> None:
    """Cheap and best alone cannot reach what the middle tier, always, gives: below 0 there."""
    quality, cost, hard = two_tiers()
    quality = np.insert(quality, 1, 0.99, axis=1)
    cost = np.insert(cost, 1, 1.5, axis=1)
    verdict = judge_peer(made_up(np.zeros(len(hard))), quality, cost)
    assert verdict.gain < -0.5
    assert verdict.gain_any_pair == pytest.approx(0.0)


def test_savings_of_a_perfect_score_are_those_of_serving_hard_steps_dear() -> None:
    quality, cost, hard = two_tiers()
    dear = hard.mean()
    assert judge_peer(made_up(hard), quality, cost).saved["100"] == pytest.approx(
        1 - (1 + 9 * dear) / 10
    )


def test_own_classes_are_served_in_order_by_the_tiers_worth_having() -> None:
    """The dominated tier (dearer and worse) is nobody's; halves go to the dearer tier."""
    quality = np.array([[0.2, 0.1, 0.6, 0.9]] * 6)
    cost = np.array([[1.0, 2.0, 3.0, 9.0]] * 6)
    assert ladder(cost.mean(0), quality.mean(0)).tolist() == [0, 2, 3]
    four = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
    choice = np.array([*four, "SIMPLE", "SIMPLE"])
    score = made_up(np.arange(6), choice.tolist(), four)
    verdict = judge_peer(score, quality, cost)
    assert peers.default_tiers(score, np.array([0, 2, 3])).tolist() == [0, 2, 2, 3, 0, 0]
    assert verdict.default_cost == pytest.approx((3 * 1 + 2 * 3 + 9) / 6)
    assert verdict.default_quality == pytest.approx((3 * 0.2 + 2 * 0.6 + 0.9) / 6)
    assert verdict.default_saved == pytest.approx(1 - 3 / 9)
    assert verdict.default_kept == pytest.approx(0.45 / 0.9)
    assert verdict.default_lead == pytest.approx(0.45 - 0.6)  # a step at 3 USD: the third tier
    three = made_up(np.arange(3), ["EASY", "SO-SO", "HARD"], ("EASY", "SO-SO", "HARD"))
    assert peers.default_tiers(three, np.array([0, 1])).tolist() == [0, 1, 1]


def test_a_class_that_a_peer_never_named_is_refused() -> None:
    with pytest.raises(BadInput, match="chose 'NEW'"):
        peers.default_tiers(made_up([1.0], ["NEW"]), np.array([0, 1]))


def test_nothing_imports_the_script_and_the_script_imports_nothing_of_ours(root: Path) -> None:
    script = root / "eval" / "peer_scores.py"
    tree = ast.parse(script.read_text(encoding="utf-8"))
    names = {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    names |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    tops = {name.partition(".")[0] for name in names}
    assert tops - set(sys.stdlib_module_names) == {"litellm", "uncommon_route"}
    for path in root.glob("[a-z]*/*.py"):
        if path.parent.name != "tests":
            assert "eval.peer_scores" not in path.read_text(encoding="utf-8"), path


@pytest.fixture
def installed(root: Path) -> Path:
    if find_peers() is None:
        pytest.skip(f"no peers in {root / '.venv-peers'}: run make peers")
    return root


def test_installed_peers_answer_every_text_without_a_network(
    installed: Path, tmp_path: Path
) -> None:
    """Half of an emoji and an empty text too; `peer_scores` refuses answers that needed a host."""
    said = peer_scores(TEXTS, tmp_path)
    assert list(said) == [
        *("litellm_heuristic", "litellm_heuristic_v2"),
        *("uncommon_route", "uncommon_route_classify"),
    ]
    for one in said.values():
        assert len(one.score) == len(one.choice) == len(TEXTS)
        assert np.isfinite(one.score).all()
        assert set(one.choice.tolist()) <= set(one.classes)
        assert one.score[2] > one.score[0], f"{one.name} finds the sum harder than the proof"
        low, median, high = one.microseconds
        assert 0 < low <= median <= high
    kept = json.loads(next(tmp_path.iterdir()).read_text(encoding="utf-8"))
    assert kept["network_attempts"] == []


def test_installed_peers_gain_on_gsm8k_what_the_page_says(
    installed: Path, tables: Path, tmp_path: Path
) -> None:
    rows = pd.read_parquet(tables / "routellm_gsm8k.parquet")
    steps = rows.pivot(index="trace_id", columns="tier", values=["quality", "cost_usd"])
    text = rows.groupby("trace_id")["text"].first().loc[steps.index].astype(str)
    said = peer_scores(text.to_list(), tmp_path)
    quality, cost = (steps[name].to_numpy(dtype=np.float64) for name in ("quality", "cost_usd"))
    gain = {name: judge_peer(one, quality, cost).gain for name, one in said.items()}
    assert gain["litellm_heuristic"] == pytest.approx(0.046, abs=0.01)
    assert gain["litellm_heuristic_v2"] == pytest.approx(0.001, abs=0.01)
    assert gain["uncommon_route_classify"] == pytest.approx(0.025, abs=0.01)
