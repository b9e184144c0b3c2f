"""The stage certify: the graph's estimates on steps whose outcome is known for every tier."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.training.fits import ROLES, small_fit
from tierwise.data.errors import BadInput
from tierwise.features.steps import CERTIFY, StepTable, save_steps
from tierwise.router_model.rule import choose
from tierwise.router_model.runtime import Estimates, PolicyGraph
from tierwise.training.certificate import Certificate
from tierwise.training.certify import CertifyParams, certify_steps, main, read_floor, role_names

PARAMS = CertifyParams(level=0.8, min_units=40)


@pytest.fixture(scope="module")
def steps() -> StepTable:
    return small_fit().steps  # all of them: a certify part of 600 steps


@pytest.fixture(scope="module")
def said(steps: StepTable) -> Estimates:
    return PolicyGraph(small_fit().graph).estimates(steps.text, steps.context)


def certified(steps: StepTable, said: Estimates, params: CertifyParams = PARAMS) -> Certificate:
    return certify_steps(steps, said, small_fit().fitted.spec, params)


def some(said: Estimates, index: np.ndarray) -> Estimates:
    return Estimates(*(values[index] for values in said))


def test_a_good_policy_is_certified_and_a_looser_level_goes_farther(
    steps: StepTable, said: Estimates
) -> None:
    rest = certified(steps, said, CertifyParams(level=0.8)).strata[0]
    assert rest.steps == 600
    assert max(rest.points) > 2
    assert list(rest.points) == sorted(rest.points, reverse=True)


def test_steps_not_known_for_every_tier_are_left_out(steps: StepTable, said: Estimates) -> None:
    holed = steps.quality.copy()
    holed[::3, 1] = np.nan
    whole = np.arange(len(steps)) % 3 > 0
    with_holes = certified(dataclasses.replace(steps, quality=holed), said)
    without = certified(steps.rows(whole), some(said, whole))
    assert with_holes == without
    assert sum(s.steps for s in with_holes.strata) == whole.sum()


def test_where_nothing_is_known_nothing_is_certified(steps: StepTable, said: Estimates) -> None:
    unknown = dataclasses.replace(steps, quality=np.full_like(steps.quality, np.nan))
    found = certified(unknown, said)
    assert found.certified_nothing()
    assert "Nothing could be certified" in found.promise()


def test_where_other_tiers_are_useless_no_more_steps_leave_the_reference_than_the_floor_allows(
    steps: StepTable, said: Estimates
) -> None:
    spec = small_fit().fitted.spec
    useless = np.zeros_like(steps.quality)
    useless[:, spec.reference] = 1.0
    found = certified(dataclasses.replace(steps, quality=useless), said)
    relative = said.total_cost * (np.float32(1) / np.float32(spec.mean_reference_cost))
    served = choose(said.quality, relative, spec.reference, spec.path)
    left = (served != spec.reference).mean(axis=1)
    assert left.max() > 0.5  # an uncertified policy would go there
    role = role_names(steps, spec)
    for stratum in found.strata:
        within = np.isin(role, stratum.roles)
        point = max(found.chosen()[stratum.name], 0)
        gone = (served[point, within] != spec.reference).sum()
        assert gone <= (1 - PARAMS.level) * within.sum()


def test_roles_are_named_as_the_policy_knows_them(steps: StepTable) -> None:
    found = role_names(steps, small_fit().fitted.spec)
    code = steps.context[:, 0]
    assert set(found[np.isnan(code)]) == {""}
    for i, role in enumerate(ROLES):
        assert set(found[code == i]) == {role}


def test_roles_with_enough_units_have_a_stratum_of_their_own(
    steps: StepTable, said: Estimates
) -> None:
    assert {s.name for s in certified(steps, said).strata} == {"rest", *ROLES}
    alone = certified(steps, said, dataclasses.replace(PARAMS, min_units=500))
    assert [s.name for s in alone.strata] == ["rest"]


@pytest.mark.parametrize(
    "change",
    [{"floor": "keep"}, {"level": 0.0}, {"level": 1.1}, {"delta": 0.0}, {"delta": 1.0}],
)
def test_a_floor_out_of_its_range_is_bad_input(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="certify"):
        read_floor(dataclasses.replace(PARAMS, **change))


def run_stage(
    run: Path,
    steps: StepTable,
    monkeypatch: pytest.MonkeyPatch,
    params: str = "certify: {level: 0.8}\n",
) -> Certificate:
    small = small_fit()
    save_steps(run / "steps.npz", steps)
    (run / "graph.onnx").write_bytes(small.graph)
    (run / "spec.json").write_text(json.dumps(small.fitted.spec.as_dict()))
    (run / "params.yaml").write_text(params)
    argv = ["certify", "--run", str(run), "--params", str(run / "params.yaml")]
    monkeypatch.setattr(sys, "argv", argv)
    main()
    return Certificate.from_dict(json.loads((run / "certificate.json").read_text()))


def test_the_stage_looks_at_the_certify_part_alone(
    steps: StepTable, said: Estimates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = np.flatnonzero(steps.part == CERTIFY)
    wanted = certified(steps.rows(part), some(said, part), CertifyParams(level=0.8))
    assert run_stage(tmp_path, steps, monkeypatch) == wanted


def test_without_quality_nothing_is_certified(
    steps: StepTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_stage(tmp_path, dataclasses.replace(steps, feedback="none"), monkeypatch)
    assert found.certified_nothing()
    assert found.strata[0].steps == 0


def as_logged(steps: StepTable) -> StepTable:
    """Let one tier a step be drawn evenly, and the others be unknown."""
    n_steps, n_tiers = steps.quality.shape
    served = np.random.default_rng(0).integers(0, n_tiers, n_steps)
    hidden = np.arange(n_tiers) != served[:, None]
    return dataclasses.replace(
        steps, served=served, propensity=np.full(n_steps, 1 / n_tiers), feedback="logged",
        propensities=np.full((n_steps, n_tiers), 1 / n_tiers),
        quality=np.where(hidden, np.nan, steps.quality),
    )  # fmt: skip


def test_logs_of_one_tier_a_step_say_that_they_cannot_show_a_floor_against_the_reference(
    steps: StepTable, said: Estimates
) -> None:
    found = certified(as_logged(steps), said)
    assert found.certified_nothing()
    assert "certify.floor" in found.promise()


def test_logs_certify_an_absolute_floor_and_tell_their_rate_a_day(
    steps: StepTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = dataclasses.replace(as_logged(steps), part=np.full(len(steps), CERTIFY, np.int8))
    trace = [step.split("/")[0] for step in part.step]
    times = pd.date_range("2026-01-01", periods=len(part), freq="h", tz="UTC")
    rows = pd.DataFrame({"trace_id": trace, "step_id": "0", "ts": times})
    rows.to_parquet(tmp_path / "traces.parquet")
    found = run_stage(tmp_path, part, monkeypatch, "certify: {floor: absolute, level: 0.3}\n")
    assert not found.certified_nothing()
    assert found.explored is not None
    assert found.explored.per_day == pytest.approx(24, rel=0.01)
