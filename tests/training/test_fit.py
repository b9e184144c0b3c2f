"""The stage fit: from the learn part to weights, a path and files that read back."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.fits import COLUMNS, SMALL, fit_steps, make_steps, names, prices, small_fit
from tierwise.data.errors import BadInput
from tierwise.features.steps import LEARN, StepTable, save_steps
from tierwise.router_model.graph import build_graph, serialize
from tierwise.router_model.model import load_model, save_model
from tierwise.router_model.rule import choose
from tierwise.router_model.spec import PolicySpec
from tierwise.training import fit as stage
from tierwise.training.fit import fill_values, ladder, reference_tier


def path_tiers(fitted: stage.Fitted) -> np.ndarray:
    quality, cost = fitted.quality.astype(np.float32), fitted.total_cost.astype(np.float32)
    return choose(quality, cost, fitted.spec.reference, fitted.spec.path)


def assert_same_model(one: Any, other: Any) -> None:
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if dataclasses.is_dataclass(a):
            assert_same_model(a, b)
        else:
            np.testing.assert_array_equal(a, b, err_msg=field.name)
            assert type(a) is type(b), field.name
            assert np.asarray(a).dtype == np.asarray(b).dtype, field.name


def test_the_reference_is_the_tier_of_best_known_mean_and_the_cheaper_of_equals() -> None:
    quality = np.array([[0.2, 0.9, 0.9], [np.nan, 0.7, 0.7]])
    assert reference_tier(quality) == 1
    assert reference_tier(np.array([[np.nan, 0.1], [np.nan, 0.1]])) == 1


def test_the_ladder_goes_one_tier_up_and_ends_at_the_dearest() -> None:
    assert ladder(4) == (1, 2, 3, -1)


def test_unknown_context_takes_the_mean_length_or_a_value_of_its_own() -> None:
    context = np.full((2, len(COLUMNS)), np.nan, np.float32)
    context[:, 2], context[0, 3], context[:, 4] = (10, 30), 500, (3, 5)
    assert fill_values(context, COLUMNS).tolist() == [3.0, 2.0, 20.0, 500.0, -1.0, -1.0]
    context[:, 3] = np.nan
    assert fill_values(context, COLUMNS)[3] == 0.0


def test_the_path_goes_from_the_reference_always_to_the_cheapest() -> None:
    fitted = small_fit().fitted
    tiers = path_tiers(fitted)
    assert (tiers[0] == fitted.spec.reference).all()
    assert not tiers[-1].any()
    spent = np.take_along_axis(fitted.total_cost[None], tiers[:, :, None], 2).mean(axis=(1, 2))
    after = np.flatnonzero(fitted.spec.path.margin == 0)
    assert (np.diff(spent[after]) <= 1e-9).all()


def test_total_cost_is_over_the_references_mean() -> None:
    fitted = small_fit().fitted
    assert fitted.total_cost[:, fitted.spec.reference].mean() == pytest.approx(1.0, rel=1e-5)


def test_failed_checks_make_a_cheap_first_call_cost_more_than_itself() -> None:
    model = small_fit().fitted.model
    unknown = model.retry[-1]
    assert unknown[1, 0] == pytest.approx(0.1, abs=0.04)
    assert unknown[2, 0] == pytest.approx(unknown[1, 0] * unknown[2, 1], rel=1e-4)
    assert model.checked.tolist() == [1.0, 1.0, 1.0]


def test_logged_feedback_sees_the_same_share_of_failures_as_full_feedback() -> None:
    logged = fit_steps(make_steps(1500, feedback="logged")).model.retry[-1]
    full = fit_steps(make_steps(1500)).model.retry[-1]
    assert logged[1, 0] == pytest.approx(full[1, 0], abs=0.03)


def test_answers_that_never_fail_a_check_need_none() -> None:
    steps = make_steps()
    valid = steps.valid.copy()
    valid[:, 1] = 1.0
    valid[::2, 2] = np.nan
    model = fit_steps(dataclasses.replace(steps, valid=valid)).model
    assert model.checked.tolist() == [1.0, 0.0, 1.0]


def test_the_last_parts_of_the_split_teach_nothing() -> None:
    steps = make_steps()
    other = steps.part != LEARN
    quality = np.where(other[:, None], 0.123, steps.quality)
    changed = fit_steps(dataclasses.replace(steps, quality=quality))
    assert_same_model(changed.model, small_fit().fitted.model)


def test_logged_feedback_makes_a_policy() -> None:
    fitted = fit_steps(make_steps(feedback="logged"))
    assert fitted.spec.reference == 2
    assert len(set(path_tiers(fitted).ravel())) == 3
    np.testing.assert_allclose(fitted.model.least_cost, 0.05 * 1.55 * prices(3), rtol=0.1)


@pytest.mark.parametrize("n_tiers", [2, 16])
def test_the_fewest_and_the_most_tiers_make_a_policy(n_tiers: int) -> None:
    fitted = fit_steps(make_steps(n_tiers=n_tiers))
    assert fitted.model.n_tiers == n_tiers
    assert fitted.spec.tiers == names(n_tiers)
    assert (path_tiers(fitted)[0] == fitted.spec.reference).all()


def test_where_all_tiers_do_equally_well_the_cheapest_is_served_at_the_paths_end() -> None:
    steps = make_steps()
    equal = np.repeat(steps.quality[:, :1], 3, axis=1)
    for quality in (np.full_like(equal, 0.5), np.ones_like(equal), equal):
        fitted = fit_steps(dataclasses.replace(steps, quality=quality))
        assert fitted.spec.reference == 0
        assert not path_tiers(fitted)[-1].any()


def test_unknown_costs_make_a_policy_all_the_same() -> None:
    steps = make_steps()
    fitted = fit_steps(dataclasses.replace(steps, cost=np.full_like(steps.cost, np.nan)))
    assert np.isfinite(fitted.spec.path.weight).all()
    assert not fitted.total_cost.any()


def test_a_model_survives_its_file(tmp_path: Path) -> None:
    model = small_fit().fitted.model
    assert model.trees is not None
    assert model.network is not None
    for one in (model, dataclasses.replace(model, trees=None, network=None)):
        save_model(tmp_path / "model.npz", one)
        assert_same_model(load_model(tmp_path / "model.npz"), one)


def test_a_damaged_model_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    save_model(path, small_fit().fitted.model)
    content = path.read_bytes()
    for damaged in (b"", content[:30], content[: len(content) // 2], content[:-9]):
        path.write_bytes(damaged)
        with pytest.raises(BadInput, match="run fit again"):
            load_model(path)


def write_run(run: Path, steps: StepTable) -> list[str]:
    run.mkdir()
    save_steps(run / "steps.npz", steps)
    tiers = [{"name": t, "latency_s": None} for t in steps.tiers]
    (run / "tiers.json").write_text(json.dumps({"tiers": tiers}))
    columns = [{"name": c.name, "kind": c.kind, "vocabulary": c.vocabulary} for c in COLUMNS]
    (run / "context.json").write_text(json.dumps(columns))
    values: dict[str, Any] = dataclasses.asdict(SMALL) | {"roles": str(run / "none.yaml")}
    (run / "params.yaml").write_text(json.dumps({"fit": values}))
    return ["fit", "--run", str(run), "--params", str(run / "params.yaml")]


def test_the_stage_writes_the_same_bytes_twice_and_they_are_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = small_fit()
    for name in ("one", "two"):
        monkeypatch.setattr(sys, "argv", write_run(tmp_path / name, small.steps))
        stage.main()
    for name in ("model.npz", "model.json", "oof.npz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    model = load_model(tmp_path / "one" / "model.npz")
    assert_same_model(model, small.fitted.model)
    content = json.loads((tmp_path / "one" / "model.json").read_text())
    spec = PolicySpec.from_dict(content["spec"])
    assert serialize(build_graph(model, spec)) == small.graph
    with np.load(tmp_path / "one" / "oof.npz") as oof:
        assert oof["step"].tolist() == small.steps.of_part(LEARN).step.tolist()


def test_logs_without_quality_make_a_role_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = make_steps(60)
    blind = dataclasses.replace(steps, quality=np.full_like(steps.quality, np.nan))
    monkeypatch.setattr(sys, "argv", write_run(tmp_path / "run", blind))
    stage.main()
    content = json.loads((tmp_path / "run" / "model.json").read_text())
    spec = PolicySpec.from_dict(content["spec"])
    assert dict(zip(spec.roles, spec.fixed_tier, strict=False)) == {
        "worker": 1,
        "planner": 2,
        "critic": 1,
    }
    assert content["notes"] == {"policy": "role table"}
