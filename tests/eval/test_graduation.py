"""Rungs: each has to be shown cheaper than the one in force, within the floor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from eval_fakes import TIERS, FakeGraph, columns, make_certificate, make_spec, make_steps
from logged_fakes import make_logs
from numpy.typing import NDArray

from tierwise.data.role_table import RoleTable
from tierwise.eval.graduation import MARGIN, climb, graduate, slack
from tierwise.eval.judged_steps import FullSteps
from tierwise.eval.rungs import (
    AWARE,
    CONSTANT,
    LEARNED,
    ROLE_TABLE,
    make_rungs,
    unaware_points,
    without_context,
)
from tierwise.eval.served import category, serve

RETAIN = {"kind": "retain", "level": 0.9}
COST = np.array([1.0, 4.0, 20.0]) / 1000


def steps_of(quality: list[float], n: int = 2_000, seed: int = 0) -> FullSteps:
    """Steps on which tiers have these chances; every step is a unit."""
    rng = np.random.default_rng(seed)
    known = (rng.random((n, 3)) < np.array(quality)).astype(np.float64)
    return FullSteps(known, np.tile(COST, (n, 1)), np.arange(n).astype(str))


def always(tier: int, n: int = 2_000) -> NDArray[np.int64]:
    return np.full(n, tier)


def in_force(steps: FullSteps, *tiers: int) -> str:
    names = (CONSTANT, ROLE_TABLE, LEARNED, AWARE)
    rungs = {name: always(tier) for name, tier in zip(names, (2, *tiers), strict=False)}
    return str(graduate(steps, rungs, 2, RETAIN)["in_force"])


def test_a_rung_that_is_cheaper_within_the_floor_is_promoted() -> None:
    assert in_force(steps_of([0.5, 0.88, 0.9]), 1) == ROLE_TABLE


def test_a_rung_that_is_cheaper_and_breaks_the_floor_is_not() -> None:
    steps = steps_of([0.5, 0.88, 0.9])
    found = graduate(steps, {CONSTANT: always(2), ROLE_TABLE: always(0)}, 2, RETAIN)
    assert found["in_force"] == CONSTANT
    assert "not shown to keep the floor" in found["rungs"][ROLE_TABLE]["lacks"]
    assert "not shown to cost less" not in found["rungs"][ROLE_TABLE]["lacks"]


def test_a_rung_that_is_no_cheaper_is_not_promoted_however_good() -> None:
    found = graduate(
        steps_of([0.9, 0.9, 0.5]), {CONSTANT: always(0), LEARNED: always(1)}, 0, RETAIN
    )
    assert found["in_force"] == CONSTANT
    assert "not shown to cost less than constant: +3 " in found["rungs"][LEARNED]["lacks"]


def test_a_rung_is_compared_with_the_one_in_force_and_not_with_a_refused_one() -> None:
    """The role table breaks the floor: the learned policy need not be cheaper than that."""
    steps = steps_of([0.5, 0.88, 0.9])
    rungs = {CONSTANT: always(2), ROLE_TABLE: always(0), LEARNED: always(1)}
    found = graduate(steps, rungs, 2, RETAIN)
    assert found["in_force"] == LEARNED
    assert found["rungs"][LEARNED]["over"] == CONSTANT


def test_a_promoted_rung_has_to_be_beaten_itself() -> None:
    steps = steps_of([0.88, 0.88, 0.9])
    assert in_force(steps, 0, 1) == ROLE_TABLE
    assert in_force(steps, 1, 0) == LEARNED


def test_a_rung_that_serves_the_same_is_not_worth_its_upkeep() -> None:
    found = graduate(
        steps_of([0.5, 0.88, 0.9]), {CONSTANT: always(2), LEARNED: always(2)}, 2, RETAIN
    )
    assert found["rungs"][LEARNED]["lacks"] == "it costs the same as constant on every step"


def test_the_words_name_the_rung_in_force_and_what_the_next_one_lacks_with_numbers() -> None:
    steps = steps_of([0.5, 0.88, 0.9])
    rungs = {CONSTANT: always(2), ROLE_TABLE: always(1), LEARNED: always(0)}
    found = graduate(steps, rungs, 2, RETAIN)
    left = found["rungs"][LEARNED]["slack"]
    assert found["words"].startswith("In force: role table. It costs 16 USD less per 1,000 steps")
    why = (
        "Next, learned: it is not shown to keep the floor: quality less the floor is "
        f"{left['value']:.3f} ({left['low']:.3f} to {left['high']:.3f})"
    )
    assert why in found["words"]


def test_too_few_steps_to_tell_are_said_with_how_many_would() -> None:
    steps = steps_of([0.5, 0.83, 0.9], n=400)
    found = graduate(steps, {CONSTANT: always(2, 400), LEARNED: always(1, 400)}, 2, RETAIN)
    one = found["rungs"][LEARNED]
    assert one["slack"]["value"] > -MARGIN > one["slack"]["low"]
    assert "steps like these could show" in one["lacks"]


@pytest.mark.parametrize(
    ("kind", "level", "asked"),
    [
        ("retain", 0.9, lambda q, ref: q - 0.9 * ref),
        ("miss", 0.95, lambda q, ref: q - ref + 0.05),
        ("absolute", 0.7, lambda q, ref: q - 0.7),
    ],
)
def test_slack_is_the_mean_quality_less_what_each_form_of_floor_asks(
    kind: str, level: float, asked: object
) -> None:
    steps = steps_of([0.5, 0.8, 0.9])
    found = slack(steps, always(1), always(2), {"kind": kind, "level": level})
    q, ref = steps.quality[:, 1].mean(), steps.quality[:, 2].mean()
    assert callable(asked)
    assert found.value == pytest.approx(asked(q, ref), abs=1e-12)
    assert found.low < found.value < found.high


def test_logs_with_propensities_promote_as_full_outcomes_do() -> None:
    logs, full, role = make_logs(6_000)
    hard = np.digitize(logs.context[:, 4], [3.0, 6.0])
    rungs = {CONSTANT: always(2, 6_000), ROLE_TABLE: always(0, 6_000), LEARNED: hard}
    found = [climb(table, role, rungs, 2, RETAIN, 0.95) for table in (full, logs)]
    assert [one["in_force"] for one in found] == [LEARNED, LEARNED]
    for name in (ROLE_TABLE, LEARNED):
        one, two = (each["rungs"][name]["cost_difference_usd"] for each in found)
        assert two["low"] <= one["value"] <= two["high"]


def test_logs_that_tell_too_little_promote_nothing() -> None:
    logs, _, role = make_logs(300)
    rungs = {CONSTANT: always(2, 300), LEARNED: always(0, 300)}
    found = climb(logs, role, rungs, 2, RETAIN, 0.95)
    assert found["in_force"] == CONSTANT
    assert "effective sample size" in found["words"]
    blind = replace(logs, propensities=np.full((300, 3), np.nan))
    assert climb(blind, role, rungs, 2, RETAIN, 0.95)["in_force"] == CONSTANT


def test_without_context_only_the_role_and_the_length_are_known() -> None:
    context = make_steps(20).context
    bare = without_context(context, columns())
    names = [column.name for column in columns()]
    for place, name in enumerate(names):
        if name in ("role", "text_bytes"):
            np.testing.assert_array_equal(bare[:, place], context[:, place])
        else:
            assert np.isnan(bare[:, place]).all()


class Blindable(FakeGraph):
    """Knows the mean chances where it does not see the complexity."""

    def estimates(self, texts: object, context: NDArray[np.float32]) -> object:
        seen = np.where(np.isnan(context), np.float32(5.0), context)
        return super().estimates(texts, seen)


def test_the_rungs_are_the_reference_the_role_table_and_the_graph_without_and_with_context() -> (
    None
):
    table = make_steps()
    spec, certificate, graph = make_spec(table), make_certificate(8), Blindable(b"graph")
    certify, test = table.of_part(1), table.of_part(2)
    role = category(test, spec, "role")
    aware = serve(graph.estimates(test.text, test.context), spec, role, certificate).tier
    rungs = make_rungs(graph, spec, certificate, RoleTable(), certify, test, aware)
    assert list(rungs) == [CONSTANT, ROLE_TABLE, LEARNED, AWARE]
    assert (rungs[CONSTANT] == spec.reference).all()
    assert (rungs[ROLE_TABLE][role == "planner"] == len(TIERS) - 1).all()
    np.testing.assert_array_equal(rungs[AWARE], aware)
    for name in np.unique(role):
        assert len(np.unique(rungs[LEARNED][role == name])) == 1, "nothing else tells steps apart"


def test_the_graph_without_context_is_certified_on_its_own() -> None:
    """Blind, it cannot tell hard steps: it must stop at an earlier point than what ships."""
    table = make_steps(6_000)
    spec, graph = make_spec(table), Blindable(b"graph")
    certificate = make_certificate(len(spec.path) - 1)
    points = unaware_points(graph, spec, certificate, table.of_part(1))
    assert set(points) == {"rest", "worker"}
    assert points["rest"] < len(spec.path) - 1
    logged = replace(table, quality=np.full_like(table.quality, np.nan))
    assert unaware_points(graph, spec, certificate, logged.of_part(1)) == certificate["chosen"]
