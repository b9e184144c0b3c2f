"""Rules are read strictly: a name or form that is not known is an error that says what is near."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.data.errors import BadInput
from tierwise.data.tiers import Tier
from tierwise.router_model.rules import Known, Rules
from tierwise.router_model.rules_read import read_rules

KNOWN = Known(
    (Tier("small", vendor="a"), Tier("medium", vendor="b"), Tier("large", vendor="c")),
    roles=("planner", "worker"),
    task_types=("extract",),
)
FULL: dict[str, Any] = {
    "pins": [
        {"role": "planner", "tier": "large", "why": "plans", "unless": {"tenant": ["t"]}},
        {"name": "x", "tenant": ["t"], "irreversible": True, "allowed": ["small", "medium"]},
    ],
    "forbidden_vendors": [],
    "floors": {"worker": 0.9},
    "latency_s": {"interactive": 5, "batch": 600},
    "failover": {"a": ["b", "c"]},
    "budgets": {
        "tenants": {"t": {"usd": 1, "usd_per_day": 10}},
        "default": {"usd": 0.5, "usd_per_day": 5},
        "role_table": {"default": "medium", "roles": {"worker": "small"}},
    },
    "frontier_only_for": ["user_visible"],
    "fixed_roles": {"critic": "small"},
    "explore": {"rate": 0.02, "by_role": {"worker": 0.1}, "usd_per_day": 5},
    "new_roles": ["critic"],
}


def test_rules_survive_their_json() -> None:
    rules = read_rules(FULL, KNOWN, "rules")
    compiled = json.loads(json.dumps(rules.to_json(), allow_nan=False))
    assert read_rules(compiled, KNOWN, "rules") == rules


def test_no_rules_survive_their_json() -> None:
    assert read_rules(Rules().to_json(), KNOWN, "rules") == Rules()


def test_a_word_may_stand_for_a_list_of_one() -> None:
    (pin,) = read_rules({"pins": [{"role": "planner", "tier": "large"}]}, KNOWN, "r").pins
    assert (pin.when, pin.tier, pin.allowed) == ({"role": ("planner",)}, "large", ("large",))
    assert pin.name == "role planner"


def test_budgets_count_from_the_policys_own_role_table_if_it_has_one() -> None:
    known = Known(KNOWN.tiers, KNOWN.roles, (), {"default": "small", "roles": {"worker": "large"}})
    given = {"budgets": {"default": {"usd": 1, "usd_per_day": 1}}}
    budgets = read_rules(given, known, "r").budgets
    assert budgets is not None
    assert (budgets.base, budgets.base_of) == ("small", {"worker": "large"})


def test_a_policy_that_knows_no_roles_takes_any() -> None:
    known = Known(KNOWN.tiers)
    assert read_rules({"fixed_roles": {"any": "small"}}, known, "r").fixed_roles == {"any": "small"}


def changed(**values: Any) -> dict[str, Any]:
    return {**FULL, **values}


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([], "names and values"),
        ({1: 2}, "quote each name"),
        ({"pin": []}, "did you mean pins?"),
        ({"version": 2}, "version 2"),
        ({"version": True}, "version True"),
        ({"pins": {}}, "a list"),
        ({"pins": [{}] * 501}, "at most 500"),
        ({"pins": [{"tier": "large"}]}, "pin 1 in rules.yaml without a condition"),
        ({"pins": [{"role": "planner"}]}, "without tiers"),
        ({"pins": [{"role": "planer", "tier": "large"}]}, "did you mean planner?"),
        ({"pins": [{"role": "planner", "tier": "larg"}]}, "did you mean large?"),
        ({"pins": [{"role": [], "tier": "large"}]}, "role of pin 1"),
        ({"pins": [{"role": "planner", "tier": "large", "allowed": ["small"]}]}, "is not in its"),
        ({"pins": [{"tenat": "t", "tier": "large"}]}, "did you mean tenant?"),
        ({"pins": [{"irreversible": False, "tier": "large"}]}, "leave it out"),
        ({"pins": [{"tenant": 7, "tier": "large"}]}, "tenant of pin 1"),
        ({"pins": [{"tenant": "t", "tier": "large", "why": "a\nb"}]}, "a line of text"),
        ({"pins": [{"tenant": "t", "tier": "large", "unless": {"role": "x"}}]}, "unless of pin 1"),
        ({"pins": [{"tenant": "t", "tier": "large", "unless": {"tier": "x"}}]}, "unknown key"),
        ({"forbidden_vendors": ["bb"]}, "did you mean b?"),
        ({"floors": {"worker": 1.5}}, "0 to 1"),
        ({"floors": {"worker": True}}, "a number of 0 or more"),
        ({"floors": {"worker": float("nan")}}, "a number of 0 or more"),
        ({"floors": {"critic": 0.9}}, "A role still to come goes to new_roles"),
        ({"latency_s": {"interactiv": 1}}, "did you mean interactive?"),
        ({"latency_s": {"batch": -1}}, "0 or more"),
        ({"failover": {"x": ["a"]}}, "'x' as failover"),
        ({"failover": {"a": ["x"]}}, "failover of a"),
        ({"budgets": {"role_table": {"default": "small"}}}, "budgets in rules.yaml of nobody"),
        ({"budgets": {"default": {"usd": 1, "usd_per_day": 1}}}, "add role_table"),
        ({"budgets": {"default": {"usd": 1}, "role_table": {"default": "small"}}}, "usd_per_day"),
        ({"budgets": {"tenants": {"t": 5}, "role_table": {"default": "small"}}}, "t of budgets"),
        ({"frontier_only_for": ["visible"]}, "did you mean user_visible?"),
        ({"fixed_roles": {"worker": "tiny"}}, "fixed_roles of worker"),
        ({"explore": {"rate": 2}}, "0 to 1"),
        ({"explore": {"rat": 0.1}}, "did you mean rate?"),
        ({"explore": {"by_role": {"worker": "often"}}}, "a number"),
    ],
)
def test_what_cannot_be_honored_is_one_line_that_names_the_place(rules: Any, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_rules(rules, KNOWN, "rules.yaml")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4) | st.sampled_from(["large", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*FULL, "role", "tier", "usd", "t"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(FULL)), ANYTHING))
def test_whatever_stands_there_is_rules_or_one_error(content: Any) -> None:
    try:
        rules = read_rules(content, KNOWN, "rules")
    except BadInput as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert read_rules(rules.to_json(), KNOWN, "rules") == rules
