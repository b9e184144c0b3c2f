"""What the pins of a bundle cost over a role table, on the steps of a trace table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tierwise.data.role_table import RoleTable, position
from tierwise.data.trace_columns import read_columns
from tierwise.router_model.rules import FLAGS, WORDS, Known, Pin, Rules

_STEP = ["trace_id", "step_id"]
_COLUMNS = [*_STEP, *WORDS, *FLAGS]


def read_steps(traces: Path) -> pd.DataFrame:
    """Read what pins look at, one row a step.

    Parameters
    ----------
    traces : Path
        A trace table, or the folder of a run. It has no column data_class, and may lack others.

    Raises
    ------
    BadInput
        Where the file is missing or is no trace table.
    """
    path = traces / "traces.parquet" if traces.is_dir() else traces
    steps = read_columns(path, _COLUMNS, needed=["trace_id"])
    if "step_id" not in steps:
        return steps
    return steps.drop_duplicates(_STEP, ignore_index=True)


def pin_costs(rules: Rules, known: Known, steps: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what each pin costs over the role table, at the tiers' mean costs a call.

    Parameters
    ----------
    rules : Rules
    known : Known
        With mean costs in USD, where they are known.
    steps : DataFrame
        As from `read_steps`.

    Returns
    -------
    list of dict
        For each pin `steps_met` (None where the table lacks a column that it looks at), and the USD
        that these cost more: `least_usd` and `most_usd` over the tiers it allows, the same where it
        names one; None is unknown.
    """
    costs = {tier.name: tier.mean_cost_usd for tier in known.tiers}
    base = _base(rules, known)
    return [_cost(pin, costs, base, steps) for pin in rules.pins]


def _cost(
    pin: Pin, costs: Mapping[str, float | None], base: tuple[str, Mapping[str, str]],
    steps: pd.DataFrame,
) -> dict[str, Any]:  # fmt: skip
    found: dict[str, Any] = {"steps_met": None, "least_usd": None, "most_usd": None}
    if not set(pin.when) <= set(steps):
        return found
    met = pd.Series(True, index=steps.index)
    for key, words in pin.when.items():
        met &= steps[key].isin([True] if key in FLAGS else words)  # unknown meets nothing
    for key, words in pin.unless.items():
        if key in steps:  # what is unknown spares no step, as in a gateway
            met &= ~steps[key].isin(words)
    found["steps_met"] = int(met.sum())
    tiers = (pin.tier,) if pin.tier is not None else pin.allowed
    own = [costs[tier] for tier in tiers]
    default, by_role = base
    roles = steps.loc[met, "role"] if "role" in steps else pd.Series(None, index=steps.index[met])
    usual = [costs[by_role.get(str(role), default)] for role in roles]
    pinned, paid = (
        [usd for usd in own if usd is not None],
        [usd for usd in usual if usd is not None],
    )
    if len(pinned) == len(own) and len(paid) == len(usual):
        found["least_usd"] = min(pinned) * len(paid) - sum(paid)
        found["most_usd"] = max(pinned) * len(paid) - sum(paid)
    return found


def _base(rules: Rules, known: Known) -> tuple[str, Mapping[str, str]]:
    """Return the role table that budgets count from, else the policy's, else the usual one."""
    if rules.budgets is not None:
        return rules.budgets.base, rules.budgets.base_of
    if known.role_table:
        return known.role_table["default"], known.role_table["roles"]
    names, table = known.tier_names, RoleTable()
    by_role = {role: names[position(tier, names)] for role, tier in table.roles.items()}
    return names[position(table.default, names)], by_role
