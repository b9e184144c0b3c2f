"""An explanation in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tierwise.data.aligned import aligned
from tierwise.router_model.layout import DECIDES, POINT
from tierwise.router_model.manifest import Manifest
from tierwise.serve.decision import Decision

if TYPE_CHECKING:
    from tierwise.serve.explanation import Explanation

BY_THE_RULE = ("floor", "not_certified", "constrained")


def because(manifest: Manifest, decision: Decision) -> str:
    """Say in a sentence what decided; an earlier bundle's reasons mean what they mean here."""
    known = manifest.decides.get(decision.reason) or DECIDES.get(decision.reason)
    return f"{decision.tier} serves; what decided: {known or decision.reason}."


def details(
    manifest: Manifest,
    decision: Decision,
    context: NDArray[np.float32],
    floor: float | None,
    weighs: bool,
) -> tuple[str, ...]:
    """Say which floor held, and what its point of the path weighs; or what the guard saw.

    Empty where neither has a part.

    `weighs` says whether the manifest's rule was applied.
    """
    if decision.reason == "guard":
        return (_guard(manifest, decision),)
    if decision.reason not in BY_THE_RULE or not manifest.floors:
        return ()
    kind = manifest.floors.get("floor", {}).get("kind", "")
    level = manifest.floors.get("floor", {}).get("level") if floor is None else floor
    role = _role(manifest, context)
    asked = "certified" if floor is None else "asked for by this call"
    found = [f"floor: {kind} {_number(level)}, {asked}, for {_stratum(manifest, role)}"]
    if manifest.rule and not weighs:
        return (*found, "the reference may not serve: the best expected quality decides")
    point, rule = int(decision.numbers[POINT]), manifest.rule
    try:
        margin, weight = float(rule["margin"][point]), float(rule["weight"][point])
        last = len(rule["margin"]) - 1
    except (KeyError, IndexError, TypeError, ValueError):
        return (*found, f"point {point} of the path from the reference always (0) to cheapest")
    place = f"point {point} of {last}, from the reference always (0) to cheapest"
    extra = "served always" if margin > 1 else f"put ahead by {margin:.3g}"
    price = f"{weight:.3g} of quality for each mean call of {rule['reference']}"
    return (*found, f"{place}: {rule['reference']} is {extra}; cost weighs {price}")


def _guard(manifest: Manifest, decision: Decision) -> str:
    said = f"{_percent(decision.ood)} of the text's tokens are none that the learn part had"
    try:
        limit = float(manifest.rule["guard"])
    except (KeyError, TypeError, ValueError):
        return said
    return f"{said}; above {_percent(limit)} the reference serves, whatever the floor"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _role(manifest: Manifest, context: NDArray[np.float32]) -> str | None:
    code = float(context[0, 0])
    words = manifest.context[0].vocabulary
    return words[int(code)] if 0 <= code < len(words) else None


def _stratum(manifest: Manifest, role: str | None) -> str:
    for one in manifest.floors.get("strata", ()):
        if role is not None and one.get("name") == role:
            return f"role {role}"
    return "all roles without a floor of their own, together"


def lines(found: Explanation) -> list[str]:
    """Return the explanation as lines for people."""
    said = [found.because, *(f"  {line}" for line in found.details)]
    if found.tiers:
        said += ["", *_tiers(found)]
    if found.moves:
        said += ["", *_moves(found)]
    return [*said, "", *found.notes] if found.notes else said


def _tiers(found: Explanation) -> list[str]:
    head = ("tier", "quality", "USD", "USD in all", "seconds", "ahead", "")
    rows: list[tuple[str, ...]] = [head]
    for one in found.tiers:
        word = "serves" if one.tier == found.decision.tier else ""
        word = "runner-up" if one.tier == found.runner_up else word
        numbers = (one.quality, one.cost_usd, one.total_cost_usd, one.latency_s)
        said = [_number(value) for value in numbers]
        ahead = _signed(one.ahead) if one.usable else "-"
        rows.append((one.tier, *said, ahead, word if one.usable else "may not serve"))
    return aligned(rows, words=(0, 6))


def _moves(found: Explanation) -> list[str]:
    said = [
        f"What moved {found.decision.tier} against {found.runner_up} most (+ speaks for "
        f"{found.decision.tier}; {found.tried} words and the known context left out in turn):"
    ]
    rows: list[tuple[str, ...]] = [("total", "quality", "cost", "floor", "", "", "without it")]
    for one in found.moves:
        name = repr(one.name) if one.kind == "word" else f"{one.name} = {one.value}"
        often = f" ({one.value})" if one.kind == "word" and one.value else ""
        numbers = (one.total, one.by_quality, one.by_cost, one.by_floor)
        rows.append((*map(_signed, numbers), one.kind, name + often, one.tier_without))
    return said + aligned(rows, words=(4, 5, 6))


def _number(value: Any) -> str:
    if not isinstance(value, int | float) or math.isnan(value):
        return "-"
    return f"{value:.4g}"


def _signed(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:+.4f}"
