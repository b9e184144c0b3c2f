"""What is judged is the policy that ships: steps beyond the guard serve the reference."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eval_fakes import (
    PRICES,
    FakeEstimates,
    estimates_for,
    make_certificate,
    make_spec,
    make_steps,
)
from outcome_tables import outcome_table

from tierwise.eval import certified_saving
from tierwise.eval.evaluate import decisions
from tierwise.eval.judged_table import Table, read_table
from tierwise.eval.levels import served_at
from tierwise.eval.report import render
from tierwise.eval.report_mix import reasons
from tierwise.eval.served import Served, category, serve
from tierwise.eval.summary import rows
from tierwise.router_model.rule import choose
from tierwise.training.fit import FitParams

N = 300
BEYOND = np.arange(N) % 4 == 0
TABLE = make_steps(N)
SPEC = dataclasses.replace(make_spec(TABLE), guard=0.5)
ROLE = category(TABLE, SPEC, "role")


def estimates() -> FakeEstimates:
    ood = np.where(BEYOND, 0.6, 0.5).astype(np.float32)
    return dataclasses.replace(estimates_for(TABLE.context), ood=ood)


@pytest.fixture(scope="module")
def served() -> Served:
    return serve(estimates(), SPEC, ROLE, make_certificate(8))


def test_steps_beyond_the_guard_serve_the_reference_at_every_point(served: Served) -> None:
    said = estimates()
    rule = choose(said.quality, said.total_cost / np.float32(PRICES[2]), 2, SPEC.path)
    assert (served.path[:, BEYOND] == 2).all()
    assert (rule[:, BEYOND] != 2).any()
    np.testing.assert_array_equal(served.path[:, ~BEYOND], rule[:, ~BEYOND])
    assert (served.tier[BEYOND] == 2).all()


def test_their_reason_is_the_guard_certified_or_not(served: Served) -> None:
    assert set(served.reason[BEYOND]) == {"guard"}
    assert set(served.reason[~BEYOND]) == {"floor", "not_certified"}
    assert decisions(served, ROLE, SPEC.tiers)["reasons"]["guard"] == BEYOND.sum()


def test_no_level_of_the_floor_moves_them(served: Served) -> None:
    for level in served_at(served, ROLE, SPEC, make_certificate(8)):
        assert (level.tier[BEYOND] == 2).all()
        assert not (level.tier[~BEYOND] == 2).all()


def test_without_a_guard_nothing_is_held_back() -> None:
    free = serve(estimates(), dataclasses.replace(SPEC, guard=1.0), ROLE, make_certificate(8))
    assert "guard" not in free.reason


def test_a_role_table_knows_no_guard() -> None:
    fixed = dataclasses.replace(SPEC, fixed_tier=(0, 0, 0, 0))
    found = serve(estimates(), fixed, ROLE, make_certificate(8))
    assert set(found.reason) == {"fixed_role"}
    assert not found.tier.any()


def test_report_and_summary_say_how_many_the_guard_held_back() -> None:
    counted = {"reasons": {"floor": 900, "guard": 1234}}
    assert "guard: too many tokens that the learn part never had" in reasons(counted)
    assert "1,234 steps" in reasons(counted)
    said = dict(rows(Path("run"), counted, {"promise": "kept"}, None, None))
    assert said["guard"].startswith("1,234 test steps")
    assert "guard" not in dict(rows(Path("run"), {}, {}, None, None))


def test_the_report_says_what_of_the_certify_part_is_no_part_of_the_promise() -> None:
    metrics: dict[str, Any] = {"feedback": "logged", "audit": {}, "reasons": {}}
    certificate = make_certificate(8)
    assert "no part of it" not in render(metrics, certificate)
    page = render(metrics, certificate | {"guarded": 1234})
    assert "1,234 certification steps are no part of it" in page
    assert "the guard, pins" in page


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return read_table(outcome_table(tmp_path_factory.mktemp("guard") / "t.parquet", n=1_600))


def test_where_every_step_is_beyond_the_guard_nothing_is_certified_or_saved(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = certified_saving.shipped

    def all_beyond(*given: Any) -> Any:
        held = shipped(*given)
        ood = np.ones(len(held.steps), np.float32)
        spec = dataclasses.replace(held.spec, guard=0.5)
        return dataclasses.replace(held, said=held.said._replace(ood=ood), spec=spec)

    monkeypatch.setattr(certified_saving, "shipped", all_beyond)
    found = certified_saving.certified_saving(table, 0, FitParams())
    assert found.saved.tolist() == found.swept.tolist() == [0, 0]
    assert found.kept.tolist() == [1, 1]
