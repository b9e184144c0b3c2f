"""A line a decision, without text, and a row of the trace table for what came of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serve.ruled import ruled
from tierwise.serve.decision_log import DecisionLog
from tierwise.serve.explore import Explorer


class Lines:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, row: Mapping[str, Any]) -> None:
        self.rows.append(dict(row))


def test_a_line_says_why_and_with_which_chances(bundle_folder: Path) -> None:
    log = Lines()
    explorer = Explorer(1.0, rng=np.random.default_rng(0))
    router = ruled(bundle_folder, {}, log=log, explore=explorer)
    made = router.decide("a", role="worker")
    (row,) = log.rows
    assert (row["tier"], row["reason"], row["rule"]) == (made.tier, "explored", "explore")
    assert row["policy_version"] == "v1"
    assert row["propensities"] == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert row["estimates"]["latency_s"] == (1.0, 2.0, 4.0)
    assert row["role"] == "worker"


def test_no_line_holds_what_a_caller_wrote(bundle_folder: Path) -> None:
    log = Lines()
    rules = {"pins": [{"name": "p", "tenant": "secret", "tier": "small"}]}
    router = ruled(bundle_folder, rules, log=log)
    router.decide("secret", role="secret", task_type="secret", data_class="secret", secret=1)
    router.decide("secret", tenant="secret", allowed=["small", "secret"])
    router.decide("secret", floor="secret", pin="secret")
    assert len(log.rows) == 3
    assert "secret" not in json.dumps(log.rows)


def test_pinned_steps_and_faults_are_logged_too(bundle_folder: Path) -> None:
    log = Lines()
    router = ruled(bundle_folder, {}, log=log)
    router.decide("a", pin="small")
    router.decide(7)  # type: ignore[arg-type]
    assert [row["reason"] for row in log.rows] == ["pinned", "fallback"]


def test_a_log_that_fails_is_counted_and_changes_no_answer(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {}, log=object())
    assert router.decide("a").tier == "large"
    assert router.faults == {"log": 1}


def test_lines_are_json_in_a_file(bundle_folder: Path, tmp_path: Path) -> None:
    with DecisionLog(tmp_path / "log.jsonl") as log:
        router = ruled(bundle_folder, {}, log=log)
        router.decide_many(["a", "b"])
        router.decide("a", pin="small")
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["tier"] for row in rows] == ["large", "large", "small"]
    assert rows[2]["quality"] is None


def test_a_decision_becomes_a_row_of_the_trace_table(bundle_folder: Path) -> None:
    explorer = Explorer(0.3, rng=np.random.default_rng(0))
    made = ruled(bundle_folder, {}, explore=explorer).decide("a", role="worker")
    row = made.record(trace_id="t1", text="a", role="worker", quality=1.0, cost_usd=0.1)
    assert (row["tier"], row["propensity"], row["quality"]) == (made.tier, made.propensity, 1.0)
    assert json.loads(row["propensities"])["small"] == pytest.approx(0.1)
    assert math.isclose(sum(json.loads(row["propensities"]).values()), 1)
