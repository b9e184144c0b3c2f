"""What came of a decision becomes a row that training reads; without the ask, nothing is kept."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.serve.sidecars import Reply, Sidecar, sidecar
from tierwise.data.errors import BadInput
from tierwise.data.ingest import IngestParams, ingest
from tierwise.serve import Router
from tierwise.serve.outcomes import Memory, OutcomeFile, Remembered

CAME = {"quality": 0.75, "quality_source": "judge", "cost_usd": 0.002, "output_tokens": 7}


@pytest.fixture(scope="module")
def router(bundle_folder: Path) -> Router:
    return Router.load(bundle_folder)


@pytest.fixture
def served(router: Router, tmp_path: Path) -> Iterator[Sidecar]:
    with sidecar(router, tmp_path / "log", outcomes=tmp_path / "outcomes.jsonl") as running:
        yield running


def told(served: Sidecar, made: Any, **came: Any) -> Reply:
    return served.call("POST", "/v1/outcome", {"decision_id": made["decision_id"], **came})


def rows(served: Sidecar) -> list[dict[str, Any]]:
    path = served.service.settings.outcomes
    assert path is not None
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_an_outcome_is_a_row_with_the_step_and_its_decision(served: Sidecar) -> None:
    made = served.route(
        "prove it", role="worker", tenant="acme", trace_id="t1", step_id="s1",
        context={"n_tools": 3},
    )  # fmt: skip
    assert told(served, made, **CAME).status == 200
    (row,) = rows(served)
    wanted = {
        "trace_id": "t1", "step_id": "s1", "text": "prove it", "role": "worker", "tenant": "acme",
        "n_tools": 3, "tier": made["tier"], "policy_version": made["policy_version"],
        "propensity": made["propensity"], "attempt": 0, "feedback_source": "serve", **CAME,
    }  # fmt: skip
    assert {name: row[name] for name in wanted} == wanted


def test_ingest_reads_the_rows(served: Sidecar, tmp_path: Path) -> None:
    for number in range(20):
        made = served.route(f"prove {number}", trace_id=f"t{number // 2}", allowed=["small"])
        told(served, made, **CAME)
        told(served, made, attempt=1, tier="large", quality=1.0)
    source, params = str(served.service.settings.outcomes), IngestParams(min_steps=1)
    summary = ingest(source, tmp_path / "out", "", {}, params)
    table = pd.read_parquet(tmp_path / "out" / "traces.parquet")
    assert (len(table), summary.as_dict()["rejected"]) == (40, 0)


def test_a_step_without_a_trace_is_one_of_its_own(served: Sidecar) -> None:
    made = served.route()
    told(served, made, quality=1.0)
    assert rows(served)[0]["trace_id"] == made["decision_id"]


def test_a_later_attempt_is_a_row_of_its_own_without_a_propensity(served: Sidecar) -> None:
    made = served.route()
    assert told(served, made, valid=False).status == 200
    assert told(served, made, attempt=1, tier="large", valid=True).status == 200
    first, second = rows(served)
    assert (second["tier"], second["attempt"], second["propensity"]) == ("large", 1, None)
    assert first["propensity"] is not None


def test_an_outcome_is_written_once(served: Sidecar) -> None:
    made = served.route()
    assert told(served, made, quality=1.0).status == 200
    assert told(served, made, quality=0.0).status == 409
    assert len(rows(served)) == 1


def test_an_outcome_of_an_unknown_decision_is_refused(served: Sidecar) -> None:
    assert told(served, {"decision_id": "0" * 24}, quality=1.0).status == 404
    assert rows(served) == []


@pytest.mark.parametrize(
    "came", [{"quality": 1.5}, {"cost_usd": -1}, {"valid": "yes"}, {"attempt": -1}, {"grade": 1}]
)
def test_an_outcome_out_of_its_range_is_refused(served: Sidecar, came: dict[str, Any]) -> None:
    made = served.route()
    assert told(served, made, **came).status == 422
    assert rows(served) == []


def test_a_count_may_be_written_as_any_number_of_its_value(served: Sidecar) -> None:
    made = served.route()
    assert told(served, made, input_tokens=7.5).status == 422
    assert told(served, made, input_tokens=7.0).status == 200
    assert str(rows(served)[0]["input_tokens"]) == "7"


def test_nothing_is_kept_unless_asked_for(router: Router, tmp_path: Path) -> None:
    with sidecar(router, tmp_path / "log") as served:
        reply = told(served, served.route(), quality=1.0)
        assert reply.status == 409
        assert "--outcomes" in reply.value["detail"]


def test_a_full_disk_is_told_and_the_outcome_can_be_sent_again(
    served: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = served.route()

    def full(file: OutcomeFile, line: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(OutcomeFile, "append", full)
        assert told(served, made, quality=1.0).status == 507
    assert told(served, made, quality=1.0).status == 200


def test_only_the_owner_reads_outcomes(served: Sidecar) -> None:
    path = served.service.settings.outcomes
    assert path is not None
    assert path.stat().st_mode & 0o077 == 0


def test_half_a_line_of_an_earlier_process_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.jsonl"
    path.write_bytes(b'{"trace_id": "t')
    file = OutcomeFile(path)
    file.append(b"{}")
    file.close()
    assert path.read_bytes() == b'{"trace_id": "t\n{}\n'


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="directory"):
        OutcomeFile(tmp_path)


def test_memory_keeps_the_last_decisions_and_no_more(router: Router) -> None:
    def one(text: str, **context: str) -> Remembered:
        return Remembered(router.decide(text), text, None, context, None, None, None, 0.0)

    memory = Memory[Remembered](most=3, most_bytes=10_000)
    for name in "abcd":
        memory.add(name, one("x"))
    assert [memory.get(name) is not None for name in "abcd"] == [False, True, True, True]
    memory.add("long", one("x" * 5_000))
    assert [memory.get(name) is not None for name in ("c", "d", "long")] == [False, True, True]
    memory.add("context", one("x", agent="x" * 7_000))
    assert [memory.get(name) is not None for name in ("long", "context")] == [False, True]
    memory.forget("context")
    for name in ("again", "again", "last"):  # what comes again counts once
        memory.add(name, one("x" * (5_000 if name == "again" else 1)))
    found = [memory.get(name) is not None for name in ("context", "again", "last")]
    assert found == [False, True, True]
