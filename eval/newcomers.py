"""How far new tiers are known: whom each stands for, its own steps, and how fast they come."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tierwise.data.times import days
from tierwise.features.steps import LEARN, StepTable


def newcomers(notes: Mapping[str, Any], traces: Path, table: StepTable) -> dict[str, Any]:
    """Return what fit said of new tiers, with steps a day and days until each is on its own.

    Parameters
    ----------
    notes : mapping
        The notes of model.json.
    traces : Path
        The trace table.
    table : StepTable

    Returns
    -------
    dict
        Empty without new tiers. `per_day` and `days_left` are None where no time is known, the
        latter also where no steps come.
    """
    said = notes.get("newcomers", {})
    span = days(traces, table.of_part(LEARN).step) if said else None
    found = {}
    for tier, one in said.items():
        per_day = one["effective_steps"] / span if span else None
        left = max(one["on_its_own_at"] - one["effective_steps"], 0.0)
        days_left = math.ceil(left / per_day) if per_day else None
        found[tier] = {**one, "per_day": per_day, "days_left": days_left}
    return found


def lines(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say it, a sentence a tier."""
    said = []
    for tier, one in found.items():
        words = (
            f"{tier} is new and estimated as {one['like']}, its own word heeded by "
            f"{one['own_share']:.0%}: {one['effective_steps']:.0f} of the "
            f"{one['on_its_own_at']:.0f} effective steps from which it is learned for itself"
        )
        if one["days_left"] is not None:
            words += f"; {one['per_day']:.1f} come a day, so that {one['days_left']} days are left"
        said.append(words + ".")
    return said
