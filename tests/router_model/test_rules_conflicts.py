"""Two rules that cannot both hold are an error that names both; exceptions are not."""

from __future__ import annotations

from typing import Any

import pytest

from tierwise.data.errors import BadInput
from tierwise.data.tiers import Tier
from tierwise.router_model.rules import Known
from tierwise.router_model.rules_conflicts import warnings
from tierwise.router_model.rules_read import read_rules

KNOWN = Known(
    (
        Tier("small", vendor="a", latency_s=1.0),
        Tier("medium", vendor="b", latency_s=2.0),
        Tier("large", vendor="c", latency_s=4.0),
    ),
    roles=("planner", "worker"),
    task_types=("extract",),
)
PLANS = {"name": "plans", "role": "planner", "tier": "large"}
SECRET = {"name": "secret", "data_class": "s", "allowed": ["small", "medium"]}
TABLE = {"default": "small", "roles": {"planner": "large"}}


def pins(*given: dict[str, Any]) -> dict[str, Any]:
    return {"pins": list(given)}


@pytest.mark.parametrize(
    ("rules", "one", "other"),
    [
        (pins(PLANS, SECRET), "pin 'plans'", "pin 'secret'"),
        (pins(PLANS, {**PLANS, "tenant": "t"}), "pin 'plans'", "another of this name"),
        (pins(PLANS, {"name": "x", "role": "planner", "tier": "small"}), "'plans'", "'x'"),
        (
            pins({**PLANS, "allowed": ["medium", "large"]}, SECRET),
            "pin 'plans'",
            "pin 'secret'",  # large is not among its tiers, though medium would be
        ),
        (
            pins(
                {"name": "x", "tenant": "t", "tier": "small", "allowed": ["small", "medium"]},
                {"name": "y", "role": "worker", "tier": "medium", "allowed": ["small", "medium"]},
            ),
            "pin 'x'",
            "pin 'y'",
        ),
        (pins(SECRET) | {"forbidden_vendors": ["b"]}, "pin 'secret'", "forbidden_vendors"),
        ({"fixed_roles": {"worker": "large"}, "forbidden_vendors": ["c"]}, "fixed_roles.worker",
         "forbidden_vendors"),
        (pins(PLANS) | {"fixed_roles": {"planner": "large"}}, "fixed_roles.planner", "'plans'"),
        ({"fixed_roles": {"worker": "small"}, "floors": {"worker": 0.9}}, "floors.worker",
         "fixed_roles.worker"),
        (pins(PLANS) | {"floors": {"planner": 0.9}}, "floors.planner", "pin 'plans'"),
        (
            {"fixed_roles": {"worker": "small"}, "explore": {"by_role": {"worker": 0.1}}},
            "explore.by_role.worker",
            "fixed_roles.worker",
        ),
        ({"fixed_roles": {"worker": "large"}, "frontier_only_for": ["user_visible"]},
         "fixed_roles.worker", "frontier_only_for"),
        ({"forbidden_vendors": ["a", "b"], "frontier_only_for": ["user_visible"]},
         "forbidden_vendors", "frontier_only_for"),
        ({"forbidden_vendors": ["a", "b", "c"]}, "forbidden_vendors", "no tier is left"),
        ({"failover": {"a": ["a"]}}, "failover.a", "itself"),
        ({"failover": {"a": ["b"]}, "forbidden_vendors": ["b"]}, "failover.a", "forbidden_vendors"),
        (
            {
                "budgets": {"default": {"usd": 1, "usd_per_day": 1}, "role_table": TABLE},
                "forbidden_vendors": ["c"],
            },
            "budgets.role_table",
            "forbidden_vendors",
        ),
    ],
)  # fmt: skip
def test_a_contradiction_names_both_rules(rules: dict[str, Any], one: str, other: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_rules(rules, KNOWN, "rules.yaml")
    assert one in str(caught.value)
    assert other in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "rules",
    [
        pins({**PLANS, "unless": {"data_class": "s"}}, SECRET),
        pins({**PLANS, "data_class": "open"}, SECRET),
        pins(PLANS, {"name": "x", "role": "worker", "tier": "small"}),
        pins(SECRET, {"name": "x", "tenant": "t", "tier": "medium"}),
        pins(SECRET, {"name": "x", "tenant": "t", "allowed": ["medium", "large"]}),
        pins(PLANS) | {"frontier_only_for": ["user_visible"]},
        pins(SECRET) | {"fixed_roles": {"worker": "large"}},
        pins({**PLANS, "tenant": "t"}) | {"floors": {"planner": 0.9}},
        pins({**PLANS, "unless": {"tenant": "t"}}) | {"floors": {"planner": 0.9}},
        {"fixed_roles": {"worker": "small"}, "explore": {"rate": 0.1, "by_role": {"worker": 0}}},
    ],
)
def test_what_can_all_hold_is_no_contradiction(rules: dict[str, Any]) -> None:
    read_rules(rules, KNOWN, "rules.yaml")


def test_a_latency_that_no_tier_is_known_to_keep_is_a_warning() -> None:
    rules = read_rules({"latency_s": {"interactive": 0.5, "batch": 1}}, KNOWN, "r")
    (said,) = warnings(rules, KNOWN)
    assert "interactive" in said
    unknown = Known((Tier("small"), Tier("large")))
    assert warnings(rules, unknown) == ()


def test_a_task_that_the_policy_has_never_seen_is_a_warning() -> None:
    rules = read_rules(pins({"task_type": ["extract", "exract"], "tier": "small"}), KNOWN, "r")
    (said,) = warnings(rules, KNOWN)
    assert "'exract'" in said
