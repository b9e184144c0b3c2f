"""Budgets hold to the nano-dollar, and what exploration says of its chances is true."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serve.ruled import ruled
from tierwise.data.tiers import Tier
from tierwise.router_model.layout import CHECK, LEAD, block
from tierwise.serve import Router
from tierwise.serve.budget import TokenBuckets
from tierwise.serve.explore import Explorer

TABLE = {"default": "small", "roles": {"planner": "medium"}}
EXTRA = float(np.float32(0.1)) - float(np.float32(0.001))  # of large over small, as the graph says


def budgeted(folder: Path, usd: float, **rules: Any) -> Router:
    budgets = {"tenants": {"t": {"usd": usd, "usd_per_day": 0}}, "role_table": TABLE}
    return ruled(folder, {"budgets": budgets, **rules})


def always(seed: int = 0, usd_per_day: float = math.inf) -> Explorer:
    rng = np.random.default_rng(seed)
    return Explorer(1.0, usd_per_day=usd_per_day, rng=rng, clock=lambda: 0.0)


def answered_by(router: Router, *numbers: tuple[int, float]) -> None:
    """Let the graph's answer to an empty context be another in some places."""
    answer = router._decide(b"a", np.full((1, 5), np.nan, np.float32), None, None, None)
    for place, number in numbers:
        answer[place] = number
    object.__setattr__(router, "_decide", lambda *_: answer)


def test_an_empty_budget_serves_the_role_tables_tier(bundle_folder: Path) -> None:
    router = budgeted(bundle_folder, 2.5 * EXTRA)
    made = [router.decide("a", tenant="t") for _ in range(4)]
    assert [one.tier for one in made] == ["large", "large", "small", "small"]
    assert (made[2].reason, made[2].rule) == ("budget", "budgets.t")
    assert made[2].cost_usd == pytest.approx(0.001)
    assert math.isnan(made[2].lead)
    assert router.decided == {"floor": 2, "budget": 2}


def test_a_budget_pays_for_as_many_dear_choices_as_it_holds_and_for_no_more(
    bundle_folder: Path,
) -> None:
    assert_paid(bundle_folder, 7 * EXTRA, 7)
    assert_paid(bundle_folder, 7 * EXTRA - 1e-6, 6)


def assert_paid(folder: Path, usd: float, wanted: int) -> None:
    router = budgeted(folder, usd)
    made = [router.decide("a", tenant="t").tier for _ in range(20)]
    assert Counter(made) == {"large": wanted, "small": 20 - wanted}


def test_a_budget_counts_from_the_roles_own_tier(bundle_folder: Path) -> None:
    router = budgeted(bundle_folder, 0)
    assert router.decide("a", tenant="t", role="planner").tier == "medium"
    assert router.decide("a", tenant="t", role="planner", has_schema=True).reason == "floor"


def test_tenants_without_a_budget_are_not_limited(bundle_folder: Path) -> None:
    router = budgeted(bundle_folder, 0)
    assert router.decide("a", tenant="u").tier == "large"
    assert router.decide("a").tier == "large"


def test_a_default_budget_is_one_for_each_tenant(bundle_folder: Path) -> None:
    budgets = {"default": {"usd": EXTRA, "usd_per_day": 0}, "role_table": TABLE}
    router = ruled(bundle_folder, {"budgets": budgets})
    for tenant in ("u", "v", None):
        assert router.decide("a", tenant=tenant).tier == "large"
        assert router.decide("a", tenant=tenant).rule == "budgets.default"


def test_retries_are_charged_too(bundle_folder: Path) -> None:
    router = budgeted(bundle_folder, 2 * EXTRA)
    router.charge("t", EXTRA)
    assert [router.decide("a", tenant="t").tier for _ in range(2)] == ["large", "small"]
    router.charge("u", EXTRA)  # nobody's budget
    router.charge("t", "much")  # type: ignore[arg-type]
    assert router.faults == {"budget": 1}


def test_what_a_rule_settles_is_neither_charged_nor_moved(bundle_folder: Path) -> None:
    router = budgeted(bundle_folder, EXTRA, pins=[{"role": "planner", "tier": "large"}])
    for _ in range(3):
        assert router.decide("a", tenant="t", role="planner").tier == "large"
    assert router.decide("a", tenant="t").tier == "large"


def test_a_budget_keeps_to_a_pins_tiers(bundle_folder: Path) -> None:
    pin = {"name": "p", "data_class": "d", "allowed": ["medium", "large"]}
    router = budgeted(bundle_folder, 0, pins=[pin])
    assert router.decide("a", tenant="t", data_class="d").tier == "medium"


def test_an_unknown_cost_is_no_free_one(bundle_folder: Path) -> None:
    router = budgeted(bundle_folder, 100)
    answered_by(router, *((place, math.nan) for place in range(11, 14)))
    assert router.decide("a", tenant="t").reason == "budget"


def test_where_the_graph_knows_no_cost_the_catalogues_mean_counts(bundle_folder: Path) -> None:
    means = {"small": 0.5, "medium": 1.0, "large": 2.0}
    tiers = tuple(Tier(name, mean_cost_usd=usd) for name, usd in means.items())
    budgets = {"default": {"usd": 3, "usd_per_day": 0}, "role_table": TABLE}
    router = ruled(bundle_folder, {"budgets": budgets}, tiers)
    answered_by(router, *((place, math.nan) for place in range(11, 14)))
    assert [router.decide("a").tier for _ in range(3)] == ["large", "large", "small"]


@pytest.mark.parametrize(("limit", "drawn"), [({}, 3), ({"usd_per_day": 9}, 1)])
def test_tiers_of_unknown_cost_are_drawn_only_where_no_budget_could_be_exceeded(
    bundle_folder: Path, limit: dict[str, float], drawn: int
) -> None:
    router = ruled(bundle_folder, {"explore": {"rate": 1, **limit}})
    answered_by(router, *((place, math.nan) for place in range(11, 14)))
    assert len({router.decide("a").tier for _ in range(60)}) == drawn


def test_what_the_graph_says_of_its_own_tier_is_not_said_of_another(bundle_folder: Path) -> None:
    router = budgeted(bundle_folder, EXTRA)
    answered_by(router, (CHECK, 1.0), (LEAD, 0.3))
    dear, cheap = (router.decide("a", tenant="t") for _ in range(2))
    assert (dear.tier, dear.check, dear.lead) == ("large", True, pytest.approx(0.3))
    assert (cheap.tier, cheap.check, cheap.next_tier) == ("small", False, "medium")
    assert math.isnan(cheap.lead)


@pytest.mark.parametrize("tenant", [7, [], math.nan])
def test_a_tenant_that_is_no_text_is_an_unknown_one(bundle_folder: Path, tenant: Any) -> None:
    assert budgeted(bundle_folder, 0).decide("a", tenant=tenant).reason == "floor"


class BrokenStore:
    def take(self, tenant: str | None, usd: float) -> bool:
        raise OSError("no store")

    charge = take


def test_a_store_that_fails_is_an_empty_budget_and_counted(bundle_folder: Path) -> None:
    budgets = {"default": {"usd": 9, "usd_per_day": 0}, "role_table": TABLE}
    router = ruled(bundle_folder, {"budgets": budgets}, budget_store=BrokenStore())
    assert router.decide("a").reason == "budget"
    router.charge(None, 1.0)
    assert router.faults == {"budget": 2}


def test_routers_may_share_a_store(bundle_folder: Path) -> None:
    budgets = {"default": {"usd": 9, "usd_per_day": 0}, "role_table": TABLE}
    store = TokenBuckets(EXTRA, 0)
    routers = [ruled(bundle_folder, {"budgets": budgets}, budget_store=store) for _ in range(2)]
    assert [router.decide("a", tenant="t").tier for router in routers] == ["large", "small"]


def test_a_router_that_takes_over_goes_on_with_what_was_spent(bundle_folder: Path) -> None:
    old, new, other = (budgeted(bundle_folder, usd) for usd in (EXTRA, EXTRA, 2 * EXTRA))
    old.decide("a", tenant="t")
    new.inherit(old)
    other.inherit(old)
    assert new.decide("a", tenant="t").reason == "budget"
    assert other.decide("a", tenant="t").reason == "floor"


def test_a_drawn_step_says_how_likely_every_tier_was(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {"explore": {"rate": 0.3}}, rng=np.random.default_rng(0))
    made = [router.decide("a") for _ in range(600)]
    assert all(one.propensities == pytest.approx((0.1, 0.1, 0.8)) for one in made)
    assert all(one.propensity == one.propensities[one.tier_index] for one in made)
    share = Counter(one.tier for one in made)["small"] / len(made)
    assert share == pytest.approx(0.1, abs=0.04)
    drawn = [one for one in made if one.explored]
    assert {(one.reason, one.rule) for one in drawn} == {("explored", "explore")}
    assert {one.reason for one in made if not one.explored} == {"floor"}


def test_the_rate_is_the_roles(bundle_folder: Path) -> None:
    rules = {"explore": {"rate": 1, "by_role": {"planner": 0}}}
    router = ruled(bundle_folder, rules)
    assert router.decide("a", role="worker").explored
    assert not router.decide("a", role="planner").explored


@pytest.mark.parametrize(
    "step",
    [
        {"role": "planner"},
        {"data_class": "d"},
        {"pin": "small"},
        {"allowed": ["medium", "large"]},
        {"max_latency_s": 2.5},
        {"irreversible": True},
        {"irreversible": "perhaps"},
        {"role": "worker"},
    ],
)
def test_nothing_is_drawn_where_a_step_is_pinned_irreversible_or_masked(
    bundle_folder: Path, step: dict[str, Any]
) -> None:
    rules = {
        "pins": [
            {"role": "planner", "tier": "medium"},
            {"name": "all", "data_class": "d", "allowed": ["small", "medium", "large"]},
        ],
        "fixed_roles": {"worker": "small"},
    }
    router = ruled(bundle_folder, rules, explore=always())
    for _ in range(20):
        made = router.decide("a", **step)
        assert (made.explored, made.propensities, made.propensity) == (False, (), 1.0)


def test_a_router_is_loaded_with_what_it_spends_by(bundle_folder: Path) -> None:
    router = Router.load(bundle_folder, explore=always(), budget_store=TokenBuckets(0, 0))
    assert router.decide("a").explored


def test_nothing_is_drawn_in_an_outage(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {}, explore=always())
    router.set_outage("a")
    assert not any(router.decide("a").explored for _ in range(20))


def test_tiers_that_never_serve_are_never_drawn(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {"forbidden_vendors": ["a"]}, explore=always())
    made = [router.decide("a") for _ in range(40)]
    assert {one.tier for one in made} == {"medium", "large"}
    assert made[0].propensities == (0.0, 0.5, 0.5)


def test_tiers_too_slow_for_the_workload_are_never_drawn(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {"latency_s": {"interactive": 5}}, explore=always())
    answered_by(router, (block("latency_s", 3).start + 1, 9.0))
    made = router.decide("a", workload="interactive")
    assert made.propensities == (0.5, 0.0, 0.5)
    assert router.decide("a", max_latency_s=5).propensities == ()


def test_what_a_tenant_may_not_spend_is_not_drawn_either(bundle_folder: Path) -> None:
    router = budgeted(bundle_folder, 0)
    router._spending.explorer = always()
    made = [router.decide("a", tenant="t", has_schema=True) for _ in range(40)]
    assert {one.tier for one in made} == {"small"}
    assert made[0].propensities == (1.0, 0.0, 0.0)


def test_a_days_budget_bounds_what_exploring_adds(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {}, explore=always(usd_per_day=3.5 * EXTRA))
    made = [router.decide("a", has_schema=True) for _ in range(200)]
    added = sum(max(0.0, one.cost_usd - 0.001) for one in made)
    assert 0 < added <= 3.5 * EXTRA
    assert not made[-1].explored


class BrokenExplorer:
    def draw(self, *_: Any) -> Any:
        raise RuntimeError("no chance")


def test_an_explorer_that_fails_draws_nothing_and_is_counted(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {}, explore=BrokenExplorer())
    assert router.decide("a").reason == "floor"
    assert router.faults == {"explore": 1}


def test_explaining_neither_spends_nor_draws(bundle_folder: Path) -> None:
    router = budgeted(bundle_folder, EXTRA)
    for _ in range(3):
        assert router.explain("a", tenant="t").decision.tier == "large"
    assert router.decide("a", tenant="t").tier == "large"
    assert not ruled(bundle_folder, {}, explore=always()).explain("a").decision.explored
