"""Rules hold whatever the score, the text, the call, an outage or a fault says."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serve.ruled import TIERS, ruled
from tierwise.data.errors import BadInput
from tierwise.data.tiers import Tier
from tierwise.serve import BundleError, Decision

PLANS = {"name": "plans", "role": "planner", "tier": "medium", "why": "tried"}
SECRET = {"name": "secret", "data_class": "secret", "allowed": ["small", "medium"]}


class Hostile:
    """Raises wherever it is touched."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


def told(made: Decision) -> tuple[str, str, str]:
    return made.tier, made.reason, made.rule


# pins


def test_a_pin_serves_its_tier_and_the_model_is_not_asked(
    bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = ruled(bundle_folder, {"pins": [PLANS]})
    monkeypatch.setattr(router, "_decide", None)
    made = router.decide("a", role="planner", has_schema=True, floor=0.99, max_latency_s=0.1)
    assert told(made) == ("medium", "pinned", "plans")
    assert (made.numbers, made.propensities, made.propensity) == ((), (), 1.0)
    assert not router.faults


def test_a_pinned_step_is_not_read(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {"pins": [PLANS]})
    assert told(router.decide(Hostile(), role="planner"))[:2] == ("medium", "pinned")  # type: ignore[arg-type]
    assert not router.faults


def test_among_allowed_tiers_the_model_chooses(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {"pins": [SECRET]})
    assert told(router.decide("a", data_class="secret")) == ("medium", "pinned", "secret")
    assert router.decide("a", data_class="secret", has_schema=True).tier == "small"
    assert told(router.decide("a", data_class="open")) == ("large", "floor", "")
    assert told(router.decide("a")) == ("large", "floor", "")


def test_a_pin_survives_escalation(bundle_folder: Path) -> None:
    router = ruled(
        bundle_folder, {"pins": [PLANS, {"tenant": "t", "allowed": ["small", "medium"]}]}
    )
    assert router.decide("a", role="planner").next_tier is None
    made = router.decide("a", tenant="t", has_schema=True)
    assert (made.tier, made.next_tier, made.allowed) == ("small", "medium", ("small", "medium"))
    assert router.decide("a", tenant="t").next_tier is None


def test_pins_that_meet_hold_together(bundle_folder: Path) -> None:
    router = ruled(
        bundle_folder,
        {"pins": [SECRET, {"name": "ours", "tenant": "t", "allowed": ["medium", "large"]}]},
    )
    made = router.decide("a", data_class="secret", tenant="t")
    assert (made.tier, made.reason, made.allowed) == ("medium", "pinned", ("medium",))
    assert made.numbers == ()  # nothing was left to choose


def test_three_pins_that_agree_in_pairs_only_leave_no_tier_and_name_one_of_theirs(
    bundle_folder: Path,
) -> None:
    router = ruled(
        bundle_folder,
        {
            "pins": [
                {"name": "one", "tenant": "t", "allowed": ["small", "medium"]},
                {"name": "two", "data_class": "d", "allowed": ["medium", "large"]},
                {"name": "three", "task_type": "x", "allowed": ["small", "large"]},
            ]
        },
    )
    made = router.decide("a", tenant="t", data_class="d", task_type="x")
    assert told(made) == ("medium", "none_allowed", "one")


def test_unless_spares_steps(bundle_folder: Path) -> None:
    pin = {**PLANS, "unless": {"data_class": "secret"}, "tier": "large"}
    router = ruled(bundle_folder, {"pins": [pin, SECRET]})
    assert router.decide("a", role="planner").tier == "large"
    assert router.decide("a", role="planner", data_class="secret").rule == "secret"


def test_a_pin_with_two_conditions_holds_where_both_do(bundle_folder: Path) -> None:
    pin = {"role": "planner", "tenant": ["t", "u"], "tier": "small"}
    router = ruled(bundle_folder, {"pins": [pin]})
    assert router.decide("a", role="planner", tenant="u").reason == "pinned"
    assert router.decide("a", role="planner", tenant="v").reason == "floor"
    assert router.decide("a", tenant="t").reason == "floor"


@pytest.mark.parametrize(
    "value",
    [True, 1, 1.0, np.True_, np.float32(1), "yes", [], pytest.param(Hostile(), id="hostile")],
)
def test_a_flag_that_is_true_or_cannot_be_read_pins(bundle_folder: Path, value: Any) -> None:
    router = ruled(bundle_folder, {"pins": [{"irreversible": True, "tier": "medium"}]})
    assert told(router.decide("a", irreversible=value)) == ("medium", "pinned", "irreversible")


@pytest.mark.parametrize("value", [None, False, 0, 0.0, np.False_, math.nan])
def test_a_flag_that_is_false_or_unknown_does_not_pin(bundle_folder: Path, value: Any) -> None:
    router = ruled(bundle_folder, {"pins": [{"irreversible": True, "tier": "medium"}]})
    assert router.decide("a", irreversible=value).reason == "floor"


def test_in_an_outage_a_pin_is_served_by_another_of_its_tiers_or_by_none(
    bundle_folder: Path,
) -> None:
    pin = {**PLANS, "allowed": ["small", "medium"]}
    router = ruled(bundle_folder, {"pins": [pin]})
    router.set_outage("b")
    assert told(router.decide("a", role="planner")) == ("small", "pinned", "plans")
    router.set_outage("a")
    made = router.decide("a", role="planner")
    assert told(made) == ("medium", "none_allowed", "plans")  # named, so that the call fails there
    assert made.allowed == ()


@pytest.mark.parametrize("fault", ["floor", "max_latency_s", "pin", "allowed"])
def test_pins_hold_in_a_fault(bundle_folder: Path, fault: str) -> None:
    router = ruled(bundle_folder, {"pins": [SECRET]})
    made = router.decide("a", data_class="secret", **{fault: Hostile()})
    assert told(made) == ("medium", "fallback", "secret")
    assert router.faults == {fault: 1}


def test_pins_hold_where_the_graph_fails(
    bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = ruled(bundle_folder, {"pins": [SECRET]})
    nonsense = np.zeros(20, np.float32)
    nonsense[0] = 2  # a tier that was not allowed
    monkeypatch.setattr(router, "_decide", lambda *_: nonsense)
    assert told(router.decide("a", data_class="secret")) == ("medium", "fallback", "secret")


# vendors, outages, failover


def test_a_forbidden_vendor_never_serves_not_even_in_a_fault(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {"forbidden_vendors": ["c"]})
    made = router.decide("a")
    assert told(made) == ("medium", "constrained", "forbidden_vendors")
    assert made.next_tier is None
    assert told(router.decide(7)) == ("medium", "fallback", "")  # type: ignore[arg-type]
    assert told(router.decide("a", pin="large")) == ("medium", "none_allowed", "call")


def test_a_vendor_that_is_out_does_not_serve_until_it_is_back(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {})
    router.set_outage("c")
    assert told(router.decide("a")) == ("medium", "constrained", "outage")
    assert told(router.decide(7)) == ("medium", "fallback", "")  # type: ignore[arg-type]
    assert router.outages == {"c"}
    router.set_outage("c", False)
    assert told(router.decide("a")) == ("large", "floor", "")


def test_an_outage_of_an_unknown_vendor_is_an_error(bundle_folder: Path) -> None:
    with pytest.raises(BadInput, match="'d'; expected a, b, c"):
        ruled(bundle_folder, {}).set_outage("d")


def test_failover_goes_in_order_and_leaves_steps_of_other_vendors_alone(
    bundle_folder: Path,
) -> None:
    router = ruled(bundle_folder, {"failover": {"c": ["a", "b"]}})
    router.set_outage("c")
    assert told(router.decide("a")) == ("small", "constrained", "outage")
    made = router.decide("a", has_schema=True)
    assert told(made) == ("small", "floor", "")
    assert made.next_tier == "medium"
    router.set_outage("a")
    assert told(router.decide("a")) == ("medium", "constrained", "outage")
    router.set_outage("b")
    assert told(router.decide("a")) == ("large", "none_allowed", "outage")


def test_failover_keeps_to_the_latency_limit(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {"failover": {"a": ["c", "b"]}})
    router.set_outage("a")
    assert router.decide("a", has_schema=True).tier == "large"
    assert router.decide("a", has_schema=True, max_latency_s=2.5).tier == "medium"
    made = router.decide("a", has_schema=True, max_latency_s=1.5)
    assert told(made)[1:] == ("none_allowed", "outage")


# fixed roles, the frontier, floors, latency


def test_a_fixed_role_skips_the_model(bundle_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    router = ruled(bundle_folder, {"fixed_roles": {"worker": "small"}})
    monkeypatch.setattr(router, "_decide", None)
    made = router.decide("a", role="worker")
    assert told(made) == ("small", "fixed_role", "fixed_roles.worker")
    assert made.next_tier == "medium"
    made = router.decide("a", role="worker", allowed=["large"])
    assert told(made) == ("large", "constrained", "call")
    router.set_outage("a")
    assert told(router.decide("a", role="worker")) == ("medium", "constrained", "outage")


def test_a_pin_of_others_narrows_a_fixed_role(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {"fixed_roles": {"worker": "large"}, "pins": [SECRET]})
    made = router.decide("a", role="worker", data_class="secret")
    assert told(made) == ("medium", "pinned", "secret")


def test_the_frontier_serves_only_steps_that_are_said_to_need_it(bundle_folder: Path) -> None:
    rules = {"frontier_only_for": ["user_visible"], "pins": [{"tenant": "t", "tier": "large"}]}
    router = ruled(bundle_folder, rules)
    assert told(router.decide("a")) == ("medium", "constrained", "frontier_only_for")
    assert router.decide("a").next_tier is None
    assert router.decide("a", user_visible=True).tier == "large"
    assert router.decide("a", tenant="t").tier == "large"  # a pin is the exception


def test_a_tier_called_frontier_is_the_frontier(bundle_folder: Path) -> None:
    tiers = (Tier("small"), Tier("frontier"), Tier("large"))
    bundle = {"frontier_only_for": ["irreversible"]}
    router = ruled(bundle_folder, bundle, tiers)
    assert router.decide("a").allowed == ("small", "large")


def test_a_call_may_ask_for_a_stricter_floor_than_the_rule_and_for_no_other(
    bundle_folder: Path,
) -> None:
    router = ruled(bundle_folder, {"floors": {"worker": 0.96}})
    strict = ("large", "not_certified", "floors.worker")
    assert told(router.decide("a", role="worker", has_schema=True)) == strict
    assert told(router.decide("a", role="worker", has_schema=True, floor=0.5)) == strict
    assert told(router.decide("a", role="worker", has_schema=True, floor=0.97))[1:] == (
        "not_certified", "",
    )  # fmt: skip
    assert router.decide("a", role="planner", has_schema=True).tier == "small"


def test_a_call_may_ask_for_less_latency_than_the_band_and_for_no_more(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {"latency_s": {"interactive": 2.5}})
    made = router.decide("a", workload="interactive", max_latency_s=9)
    assert told(made) == ("medium", "constrained", "latency_s.interactive")
    assert router.decide("a", workload="interactive", max_latency_s=1.5).tier == "small"
    assert router.decide("a", workload="batch").tier == "large"


# the call


def test_the_calls_pin_serves_without_the_model(bundle_folder: Path) -> None:
    made = ruled(bundle_folder, {}).decide("a", pin="small")
    assert (*told(made), made.numbers) == ("small", "pinned", "call", ())


def test_a_pin_of_no_tier_falls_back_and_is_counted(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {})
    assert router.decide("a", pin="huge").reason == "fallback"
    assert router.faults == {"pin": 1}


def test_a_call_cannot_widen_what_rules_allow(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {"pins": [SECRET]})
    made = router.decide("a", data_class="secret", pin="large")
    assert told(made) == ("medium", "none_allowed", "secret")
    made = router.decide("a", data_class="secret", allowed=["small", "large"])
    assert (made.tier, made.reason, made.allowed) == ("small", "pinned", ("small",))
    assert router.decide("a", pin="small", allowed=["large"]).reason == "none_allowed"


def test_what_the_call_leaves_out_is_named(bundle_folder: Path) -> None:
    made = ruled(bundle_folder, {}).decide("a", allowed=["small"])
    assert told(made) == ("small", "constrained", "call")


# loading, many, explaining


def test_a_bundle_whose_rules_contradict_each_other_is_not_served(bundle_folder: Path) -> None:
    with pytest.raises(BundleError, match=r"pin 'secret' contradicts forbidden_vendors.*vendor b"):
        ruled(bundle_folder, {"pins": [SECRET], "forbidden_vendors": ["b"]})


@pytest.mark.parametrize("rules", [{"pins": 3}, {"version": 2}, {"mood": []}])
def test_a_bundle_with_rules_of_another_form_is_not_served(
    bundle_folder: Path, rules: dict[str, Any]
) -> None:
    with pytest.raises(BundleError, match="rules"):
        ruled(bundle_folder, rules)


def test_vendors_that_are_no_text_are_no_crash(bundle_folder: Path) -> None:
    tiers = (Tier("small", vendor=7), *TIERS[1:])  # type: ignore[arg-type]
    with pytest.raises(BundleError, match="tier 'small'"):
        ruled(bundle_folder, {"forbidden_vendors": ["x"]}, tiers)


def test_decide_many_gives_each_step_its_own_arguments(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {"pins": [PLANS]})
    made = router.decide_many(
        ["a", "b", "c"], [{"role": "planner"}, {"has_schema": True}], data_class="open"
    )
    assert [told(one)[:2] for one in made] == [
        ("medium", "pinned"), ("small", "floor"), ("large", "floor"),
    ]  # fmt: skip


def test_decide_many_raises_for_nothing_and_keeps_pins(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {"pins": [PLANS]})
    made = router.decide_many(
        ["a", Hostile(), "c", "d"],  # type: ignore[list-item]
        [7, {}, {"step": 1, "self": 2}, {3: 4}],  # type: ignore[list-item, dict-item]
        role="planner",
    )
    assert [one.tier for one in made] == ["medium"] * 4
    assert router.decided == {"fallback": 2, "pinned": 2}
    assert router.decide_many(Hostile()) == []  # type: ignore[arg-type]


def test_an_explanation_is_of_the_tiers_that_rules_leave(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {"pins": [SECRET]})
    found = router.explain("a b", data_class="secret")
    assert (found.decision.tier, found.runner_up) == ("medium", "small")
    assert [one.usable for one in found.tiers] == [True, True, False]
    assert "a pin" in router.explain("a", pin="small").because


def test_decisions_are_counted_by_reason(bundle_folder: Path) -> None:
    router = ruled(bundle_folder, {"pins": [PLANS]})
    router.decide_many(["a", "b"], role="planner")
    router.decide("a")
    assert router.decided == {"pinned": 2, "floor": 1}


def test_a_router_that_takes_over_knows_who_is_out(bundle_folder: Path) -> None:
    old, new = ruled(bundle_folder, {}), ruled(bundle_folder, {})
    old.set_outage("c")
    old.set_outage("a")
    without = ruled(bundle_folder, {}, (Tier("small"), *TIERS[1:]))
    for router in (new, without):
        router.inherit(old)
    assert (new.decide("a").tier, new.outages) == ("medium", {"a", "c"})
    assert without.outages == {"c"}


def test_threads_that_decide_while_vendors_come_and_go_keep_to_pins(bundle_folder: Path) -> None:
    pin = {**PLANS, "allowed": ["small", "medium"]}
    router = ruled(bundle_folder, {"pins": [pin], "failover": {"c": ["a"]}})
    steps = [{"role": "planner"}, {"role": "worker"}] * 300
    found: list[Decision] = []

    def decide() -> None:
        found.extend(router.decide_many(["a"] * len(steps), steps))

    threads = [threading.Thread(target=decide) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for vendor in "bc":
            router.set_outage(vendor, vendor not in router.outages)
    assert {one.tier for one in found[::2]} == {"small", "medium"}
    assert {one.tier for one in found[1::2]} <= {"small", "medium", "large"}
    assert router.decided.total() == len(found) == 1_800
    assert not router.faults
