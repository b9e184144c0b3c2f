"""Logs without quality: the role table serves, and knows what calls cost and take."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.training.fits import COLUMNS, ROLES, make_steps, prices
from tierwise.data.role_table import RoleTable
from tierwise.router_model import layout
from tierwise.router_model.graph import build_graph, serialize
from tierwise.router_model.runtime import PolicyGraph
from tierwise.router_model.spec import PolicySpec
from tierwise.training.cold import fit_role_table
from tierwise.training.fit import fill_values, ladder

TABLE = RoleTable({"planner": "frontier", "worker": "small"}, "mid")
UNKNOWN = np.full((1, len(COLUMNS)), np.nan, np.float32)


@pytest.fixture(scope="module")
def policy() -> tuple[PolicyGraph, PolicySpec]:
    steps = make_steps(900, feedback="logged")
    steps = dataclasses.replace(steps, quality=np.full_like(steps.quality, np.nan))
    fill = fill_values(steps.context, COLUMNS)
    typical = np.full(3, np.nan)
    model, spec = fit_role_table(steps, COLUMNS, TABLE, fill, typical, ladder(3))
    return PolicyGraph(serialize(build_graph(model, spec))), spec


def of_role(role: str, tokens: float = np.nan) -> np.ndarray:
    context = UNKNOWN.copy()
    context[0, 0], context[0, 3] = ROLES.index(role), tokens
    return context


def test_each_role_gets_its_tier_and_any_other_the_default(
    policy: tuple[PolicyGraph, PolicySpec],
) -> None:
    graph, spec = policy
    assert spec.fixed_tier == (0, 2, 1, 1)
    tiers = [graph.decide(b"text", of_role(role))[layout.TIER] for role in ROLES]
    assert tiers == [0, 2, 1]
    unknown = graph.decide(b"text", UNKNOWN)
    assert unknown[layout.TIER] == 1
    assert unknown[layout.REASON] == layout.reason("fixed_role")


def test_costs_are_the_logged_ones_and_rise_with_context(
    policy: tuple[PolicyGraph, PolicySpec],
) -> None:
    graph, _ = policy
    for tokens in (200.0, 900.0):
        decision = graph.decide(b"text", of_role("worker", tokens))
        wanted = prices(3) * (1 + 0.001 * tokens)
        np.testing.assert_allclose(decision[layout.block("cost_usd", 3)], wanted, rtol=0.05)


def test_total_cost_counts_the_calls_that_logged_failures_bring(
    policy: tuple[PolicyGraph, PolicySpec],
) -> None:
    graph, _ = policy
    decision = graph.decide(b"text", UNKNOWN)
    cost, total = (decision[layout.block(n, 3)] for n in ("cost_usd", "total_cost_usd"))
    failed = (total[0] - cost[0]) / total[1]
    assert failed == pytest.approx(0.1, abs=0.04)
    assert total[2] == cost[2]


def test_latency_is_as_logged_and_quality_unknown(policy: tuple[PolicyGraph, PolicySpec]) -> None:
    graph, _ = policy
    decision = graph.decide(b"text", of_role("worker"))
    np.testing.assert_allclose(decision[layout.block("latency_s", 3)], [1, 2, 3], rtol=0.1)
    assert np.isnan(decision[layout.block("quality", 3)]).all()
