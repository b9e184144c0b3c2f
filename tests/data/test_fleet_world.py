"""The simulated world: what is called true is what its outcomes average to."""

from dataclasses import replace

import numpy as np
import pytest

from tierwise.data.errors import BadInput
from tierwise.data.fleet import FleetParams, draw, make_world, outcomes, parts, truth
from tierwise.data.fleet_plan import draw_plan
from tierwise.data.fleet_roles import ROLES, TASK_ROLE
from tierwise.data.fleet_tiers import make_ladder


def world_of(seed=0, **settings):
    return make_world(FleetParams(**settings), np.random.default_rng(seed))


def plan_of(n_traces=400, seed=1):
    return draw_plan(n_traces, 3, 5, np.random.default_rng(seed))


def shuffled(plan, *names):
    """Return the plan with the hidden draws in `names` dealt to other steps."""
    order = np.random.default_rng(2).permutation(len(plan))
    return replace(plan, **{name: getattr(plan, name)[order] for name in names})


HIDDEN = {
    "role": ("task",),
    "text": ("topic", "constraint_a", "constraint_b", "language", "size"),
    "trace": ("trace_effect",),
    "noise": ("noise",),
}


def by_role(plan, values):
    """Return the sum over the steps of each role, (n_roles, n_tiers)."""
    role = TASK_ROLE[plan.task]
    return np.array([values[role == one].sum(axis=0) for one in range(len(ROLES))])


def by_task(plan, values):
    """Return the mean over the steps of each task that occurs, (n_tasks, n_tiers)."""
    return np.array([values[plan.task == task].mean(axis=0) for task in np.unique(plan.task)])


def test_outcomes_average_to_the_truth():
    world, plan, runs = world_of(), plan_of(150), 200
    expected = truth(world, plan)
    true = {"quality": expected.quality, "cost": expected.cost, "failed": expected.invalid}
    sums = {name: np.zeros_like(values) for name, values in true.items()}
    squares = {name: np.zeros_like(values) for name, values in true.items()}
    for seed in range(runs):
        drawn = outcomes(world, plan, np.random.default_rng(seed), expected)
        found = {"quality": drawn.quality, "cost": drawn.cost, "failed": drawn.valid == 0}
        for name, values in found.items():
            sums[name] += values
            squares[name] += (values - true[name]) ** 2
    for name, values in true.items():
        off = by_role(plan, sums[name] - runs * values)
        error = np.sqrt(by_role(plan, squares[name]))
        assert (np.abs(off) <= 4.5 * error + 2 * (name != "cost")).all(), name  # two rare events


def test_shares_are_the_shares_of_the_variance():
    world, plan = world_of(), plan_of(6000)
    found = parts(world, plan)
    total = world.params.spread**2
    for name, part in found.items():
        assert np.var(part) / total == pytest.approx(
            getattr(world.params, f"{name}_share"), abs=0.02
        )


@pytest.mark.parametrize("part", HIDDEN)
def test_a_part_without_share_has_no_effect(part):
    plan = plan_of()
    other = shuffled(plan, *HIDDEN[part])
    silent = world_of(quirks=0.0, **{f"{part}_share": 0.0})
    np.testing.assert_array_equal(
        truth(silent, plan).quality, truth(silent, replace(other, task=plan.task)).quality
    )
    assert np.ptp(parts(silent, other)[part]) == 0


@pytest.mark.parametrize("part", HIDDEN)
def test_a_part_with_share_changes_what_is_expected(part):
    world, plan = world_of(), plan_of()
    moved = truth(world, shuffled(plan, *HIDDEN[part])).quality - truth(world, plan).quality
    assert np.abs(moved).mean() > 0.03


def test_a_world_without_text_share_does_not_mind_the_language():
    world, plan = world_of(text_share=0.0), plan_of()
    other = replace(plan, language=(plan.language + 1) % 9)
    np.testing.assert_array_equal(truth(world, plan).quality, truth(world, other).quality)


def test_the_trace_effect_is_shared_within_a_trace_only():
    plan = plan_of()
    effects = [np.unique(plan.trace_effect[plan.trace == trace]) for trace in range(50)]
    assert {len(one) for one in effects} == {1}
    assert len(np.unique(np.concatenate(effects))) == 50


def test_without_quirks_a_dearer_model_is_never_worse():
    quality = truth(world_of(quirks=0.0), plan_of()).quality
    assert (np.diff(quality, axis=1) >= 0).all()


def test_with_quirks_the_frontier_is_best_overall_and_beaten_on_some_task():
    plan = plan_of(2000)
    quality = truth(world_of(), plan).quality
    task = by_task(plan, quality)
    assert (task[:, :-1].max(axis=1) > task[:, -1] + 0.01).sum() >= 2
    assert quality[:, -1].mean() > quality[:, :-1].mean(axis=0).max() + 0.05


def test_the_same_steps_can_be_judged_in_another_world():
    plan = plan_of()
    first, second = truth(world_of(0), plan).quality, truth(world_of(9), plan).quality
    assert np.abs(first - second).mean() > 0.05


def test_graded_roles_have_grades_and_the_others_are_right_or_wrong():
    fleet = draw(world_of(), 200, np.random.default_rng(3))
    graded = fleet.steps["role"].isin(["critic", "summarizer"]).to_numpy()
    assert set(np.unique(fleet.quality[~graded])) == {0.0, 1.0}
    assert ((fleet.quality[graded] > 0) & (fleet.quality[graded] < 1)).mean() > 0.95


def test_invalid_implies_wrong_and_valid_does_not_imply_right():
    fleet = draw(world_of(), 400, np.random.default_rng(3))
    assert (fleet.quality[fleet.valid == 0] < 0.5).all()
    assert (fleet.quality[fleet.valid == 1] < 0.5).mean() > 0.05
    np.testing.assert_array_equal(np.isnan(fleet.valid[:, 0]), ~fleet.plan.has_schema)


@pytest.mark.parametrize("n_tiers", range(2, 17))
def test_ladders_of_any_size_have_distinct_names_and_rising_cost(n_tiers):
    world = world_of(tiers=n_tiers)
    assert len({tier.name for tier in world.tiers}) == n_tiers
    cost = truth(world, plan_of(1500)).cost.mean(axis=0)
    assert (np.diff(cost) > -0.05 * cost[:-1]).all()


def test_price_gaps_are_those_of_the_market():
    small, mid, high, frontier = make_ladder(4)
    assert 40 <= frontier.price_in / small.price_in <= 100
    assert 10 <= frontier.price_in / mid.price_in <= 20
    assert (high.price_out, high.models) == (mid.price_out, mid.models)
    assert high.reasoning > mid.reasoning == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"tiers": 1},
        {"tiers": 17},
        {"traces": 0},
        {"steps_min": 5, "steps_max": 4},
        {"feedback": "some"},
        {"exploration": 1.5},
        {"text_share": -0.1},
        {"spread": -1.0},
    ],
)
def test_parameters_out_of_range_are_refused_by_name(settings):
    with pytest.raises(BadInput) as refused:
        FleetParams(**settings)
    assert f"fleet.{next(iter(settings))}" in str(refused.value)
