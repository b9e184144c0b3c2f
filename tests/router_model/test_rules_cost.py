"""What a pin costs is counted on the steps it holds for, over the role table's tiers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tierwise.data.errors import BadInput
from tierwise.data.tiers import Tier
from tierwise.router_model.rules import Known, Rules
from tierwise.router_model.rules_cost import pin_costs, read_steps
from tierwise.router_model.rules_read import read_rules

MEANS = {"small": 1.0, "medium": 3.0, "large": 10.0}
KNOWN = Known(tuple(Tier(name, mean_cost_usd=usd) for name, usd in MEANS.items()))
BUDGETS = {
    "default": {"usd": 1, "usd_per_day": 1},
    "role_table": {"default": "medium", "roles": {"planner": "large"}},
}


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    rows = [
        ("a", "0", "planner", "t", True),
        ("a", "0", "planner", "t", True),  # another tier's outcome of the same step
        ("a", "1", "worker", "t", False),
        ("b", "0", "worker", "u", None),
        ("c", "0", None, "u", True),
    ]
    names = ["trace_id", "step_id", "role", "tenant", "irreversible"]
    frame = pd.DataFrame(rows, columns=names).assign(tier="small")
    frame["irreversible"] = frame["irreversible"].astype("boolean")
    frame.to_parquet(tmp_path / "traces.parquet")
    return tmp_path


def rules_of(*pins: dict[str, Any], **more: Any) -> Rules:
    return read_rules({"pins": list(pins), **more}, KNOWN, "rules")


def told(rules: Rules, traces: Path, known: Known = KNOWN) -> list[tuple[Any, Any, Any]]:
    found = pin_costs(rules, known, read_steps(traces))
    return [(one["steps_met"], one["least_usd"], one["most_usd"]) for one in found]


def test_each_step_counts_once_and_by_its_roles_tier(traces: Path) -> None:
    rules = rules_of(
        {"tenant": "t", "tier": "medium"},
        {"role": "worker", "tier": "medium"},
        {"irreversible": True, "allowed": ["small", "medium"]},
        budgets=BUDGETS,
    )
    assert told(rules, traces) == [(2, -7.0, -7.0), (2, 0.0, 0.0), (2, -11.0, -7.0)]


def test_spared_steps_are_not_counted_and_what_is_unknown_spares_none(traces: Path) -> None:
    pin = {"tenant": ["t", "u"], "tier": "small"}
    spared = rules_of({**pin, "unless": {"role": "worker", "data_class": "d"}}, budgets=BUDGETS)
    assert told(spared, traces) == [(2, -11.0, -11.0)]


def test_what_the_table_does_not_say_is_unknown(traces: Path) -> None:
    assert told(rules_of({"data_class": "d", "tier": "small"}), traces) == [(None, None, None)]
    costless = Known((Tier("small"), *KNOWN.tiers[1:]))
    assert told(rules_of({"tenant": "t", "tier": "small"}), traces, costless) == [(2, None, None)]


def test_the_policys_role_table_counts_else_the_usual_one(traces: Path) -> None:
    rules = rules_of({"role": "planner", "tier": "small"})
    assert told(rules, traces) == [(1, -9.0, -9.0)]  # the usual one has planners on the dearest
    known = Known(KNOWN.tiers, (), (), {"default": "small", "roles": {"planner": "medium"}})
    assert told(rules, traces, known) == [(1, -2.0, -2.0)]


def test_what_is_no_trace_table_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read"):
        read_steps(tmp_path)
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "traces.parquet")
    with pytest.raises(BadInput, match="no column trace_id"):
        read_steps(tmp_path)
