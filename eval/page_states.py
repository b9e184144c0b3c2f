"""What the page says at each level of the floor: one state for each stop of its slider.

Every word and number of a state is made here, so that the page's script only puts texts in their
places and projects the bill.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tierwise.eval.levels import Level, default_level
from tierwise.eval.page_data import Measured, PageData
from tierwise.eval.words import Three, floor_words, percent, short_floor, span, three

CERTIFIED, PARTLY, NOT, TABLE = "certified", "partly", "not", "table"
SURE = {CERTIFIED: "at least, that the floor holds", PARTLY: "at least, where certified"}
BADGES = {
    CERTIFIED: "certified",
    PARTLY: "certified in part",
    NOT: "not certified: the reference serves",
    TABLE: "role table: no floor, nothing certified",
}


@dataclass(frozen=True)
class State:
    """The page at one level of the floor.

    Attributes
    ----------
    kind : str
        CERTIFIED, PARTLY, NOT or TABLE.
    level : float or None
        None where no floor moves the policy.
    texts : mapping of str to str
        What stands in each named place of the page.
    measured : Measured
    mix : list of list of int
        Steps by tier, a list for every row of `PageData.rows`.
    """

    kind: str
    level: float | None
    texts: Mapping[str, str]
    measured: Measured
    mix: list[list[int]]


def make_states(
    data: PageData, metrics: Mapping[str, Any], certificate: Mapping[str, Any]
) -> tuple[tuple[State, ...], int]:
    """Return the states, in ascending strictness, and the place of the one that ships.

    Where metrics.json has an interval too, the state that ships shows that one: two draws of the
    same interval would differ in the last digit.
    """
    shipped = _as_in_metrics(data.shipped, metrics["policy"])
    reference = str(metrics["reference"])
    kind = str(certificate["floor"]["kind"])
    if not data.levels:
        texts = _numbers(kind, None, shipped, reference) | {
            "floor": "none",
            "sure": "-",
            "sure_note": "a role table serves",
            "badge": BADGES[TABLE],
            "lead": f"By the role table, {_did(shipped, reference)}.",
            "promise": "A table of a tier for each role serves. No floor is promised.",
            "check": "",
        }
        return (State(TABLE, None, texts, shipped, data.mix[0]),), 0
    ships = default_level(certificate)
    strictest = max((one.level for one in data.levels if one.certified), default=None)
    sure = f"{round(100 * (1 - certificate['delta']), 2):g} %"
    found = []
    for index, (level, measured) in enumerate(zip(data.levels, data.at_level, strict=True)):
        told = shipped if index == ships else measured
        state = CERTIFIED if not level.uncertified else PARTLY if level.certified else NOT
        texts = _numbers(kind, level.level, told, reference) | {
            "floor": short_floor(kind, level.level) + (" (ships)" if index == ships else ""),
            "badge": BADGES[state],
            "sure": "none" if state == NOT else sure,
            "sure_note": "the reference serves" if state == NOT else SURE[state],
            "lead": _lead(kind, level, told, reference, state),
            "promise": _promise(kind, level, reference, sure, strictest),
            "check": _check(kind, level.level, told, state),
        }
        found.append(State(state, level.level, texts, told, data.mix[index]))
    return tuple(found), ships


def _as_in_metrics(measured: Measured, policy: Mapping[str, Any]) -> Measured:
    less = three(policy["cost_difference_usd"])
    return replace(
        measured,
        quality=three(policy["quality_interval"]),
        kept=three(policy["quality_kept"]),
        miss=three(policy["miss"]),
        saved=three(policy["cost_saved"]),
        less=(-less[0], -less[2], -less[1]),
    )


def goal_name(kind: str) -> str:
    """Return the name of what a floor of this kind bounds."""
    return {"retain": "quality kept", "miss": "mean shortfall", "absolute": "mean quality"}[kind]


def goal(kind: str, measured: Measured) -> Three:
    """Return what a floor of this kind bounds, as measured."""
    return {"retain": measured.kept, "miss": measured.miss, "absolute": measured.quality}[kind]


def _numbers(kind: str, level: float | None, one: Measured, reference: str) -> dict[str, str]:
    told = goal(kind, one)
    share = kind == "retain"
    return {
        "saved": percent(one.saved[0]),
        "saved_ends": span(one.saved),
        "goal": percent(told[0]) if share else f"{told[0]:.3f}",
        "goal_ends": span(told) if share else f"{told[1]:.3f} to {told[2]:.3f}",
        "floor_words": "" if level is None else floor_words(kind, level, reference),
    }


def _did(one: Measured, reference: str) -> str:
    kept = percent(one.kept[0]) if math.isfinite(one.kept[0]) else "an unknown share"
    if one.saved[0] < 0:
        paid = f"costs {percent(-one.saved[0])} more than always serving {reference}"
    else:
        paid = f"saves {percent(one.saved[0])} of what always serving {reference} costs"
    return f"the policy {paid} and keeps {kept} of its quality"


def _lead(kind: str, level: Level, one: Measured, reference: str, state: str) -> str:
    name = "With a mean shortfall of at most" if kind == "miss" else "At a floor of"
    at = f"{name} {short_floor(kind, level.level)}"
    if state == NOT:
        return f"{at} nothing is certified: {reference} serves every step and nothing is saved."
    return f"{at} {_did(one, reference)}."


def _promise(
    kind: str,
    level: Level,
    reference: str,
    sure: str,
    strictest: float | None,
) -> str:
    words = floor_words(kind, level.level, reference)
    if not level.certified:
        said = f"It could not be shown that a cheaper policy would {words}, so {reference} serves "
        said += "every step"
        if strictest is None:
            return said + "; no level of this floor is certified."
        return said + f"; the strictest certified floor is {short_floor(kind, strictest)}."
    over = f"the steps of {_named(level.certified)}" if level.uncertified else "all steps"
    said = (
        f"With probability at least {sure} over the draw of the certification set, the policy will "
        f"{words} over {over} like those it was certified on."
    )
    if level.uncertified:
        said += (
            f" That is {100 * level.covered:.0f} % of the test steps. Not certified: "
            f"{_named(level.uncertified)}, where {reference} serves."
        )
    return said


def _named(names: Sequence[str]) -> str:
    return ", ".join("the pooled rest" if one == "rest" else f"role {one}" for one in names)


def _check(kind: str, level: float, one: Measured, state: str) -> str:
    """Return whether the test part, which certification never saw, agrees with the floor."""
    if state == NOT:
        return ""
    value, low, high = goal(kind, one)
    part = "On the test part"
    if state == PARTLY:
        part += ", steps that the reference serves included,"
    if not math.isfinite(low) or not math.isfinite(high):
        return "The test part cannot say whether the floor was kept."
    if kind == "miss":
        value, low, high, level = -value, -high, -low, level - 1
    if low >= level:
        return f"{part} the floor was kept, its whole interval included."
    if high < level:
        return f"{part} the floor was broken: even the best end of the interval is below."
    if value >= level:
        return f"{part} the floor was kept, though its interval reaches below the floor."
    return f"{part} the measure lies below the floor; its interval reaches above it."
