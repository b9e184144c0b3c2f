"""The scoreboard's figures as tables of words, for Markdown and HTML alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, Any]
NONE = "-"


@dataclass(frozen=True)
class Section:
    """A table with its heading and what it shows.

    Attributes
    ----------
    title, note : str
    header : list of str
    rows : list of list of str
        The first cell names the row.
    """

    title: str
    note: str
    header: list[str]
    rows: list[list[str]]


def sections(found: Figures) -> list[Section]:
    """Return every section that has a row."""
    tables = found["tables"]
    every = [
        _gains(tables),
        _differences(tables),
        _saved(tables),
        _certified(tables),
        _few(tables),
        _routellm(tables),
        _aiq(tables),
        _peers(tables),
        _skipped(found["skipped"]),
    ]
    return [one for one in every if one.rows]


def number(value: float | None, digits: int = 3, sign: bool = False) -> str:
    """Return a number in words; "-" where it is unknown."""
    if value is None:
        return NONE
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def with_interval(one: Figures | None, digits: int = 3, sign: bool = False) -> str:
    """Return a value and the ends of its interval."""
    if one is None or one["value"] is None:
        return NONE
    value, low, high = (number(one[n], digits, sign) for n in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def names_of(tables: Figures, slot: str) -> list[str]:
    """Return the names of controls or peers over all tables, in order of appearance."""
    return list(dict.fromkeys(name for one in tables.values() for name in one[slot]))


def in_words(found: Figures) -> str:
    """Return the mean over tables in one sentence."""
    mean, ahead = found["mean_routing_gain_interval"], found["difference_to_blend"]
    if mean is None:
        return "On no table is there anything to route."
    return (
        f"Mean routing gain {with_interval(mean)}; less that of the stacked blend: "
        f"{with_interval(ahead, 4, sign=True)}."
    )


def _gains(tables: Figures) -> Section:
    controls = names_of(tables, "controls")
    rows = [
        [
            name,
            f"{one['steps']:,} x {len(one['tiers'])}",
            with_interval(one["routing_gain"]),
            *(number(one["controls"][c]["routing_gain"]["value"]) for c in controls),
        ]
        for name, one in tables.items()
    ]
    note = (
        "Out of fold, mean over draws of the folds. 0: as good as mixing fixed tiers by a coin; "
        "1: every outcome known beforehand. In brackets the 95 % interval over split units."
    )
    return Section("Routing gain", note, ["table", "steps x tiers", "router", *controls], rows)


def _differences(tables: Figures) -> Section:
    controls = names_of(tables, "controls")
    rows = [
        [name, *(with_interval(one["controls"][c]["difference"], sign=True) for c in controls)]
        for name, one in tables.items()
    ]
    note = "Routing gain of the router less the control's, on the same draws of the split units."
    return Section("Router less control", note, ["table", *controls], rows)


def _saved(tables: Figures) -> Section:
    controls = names_of(tables, "controls")

    def cell(one: Figures) -> str:
        return " / ".join(number(one["saved"][ratio], 2) for ratio in ("100", "98", "95"))

    rows = [
        [name, cell(one), *(cell(one["controls"][c]) for c in controls)]
        for name, one in tables.items()
    ]
    note = (
        "Share of the best tier's cost saved at 100 / 98 / 95 % of its quality. The point of the "
        "curve is picked on the judged steps: upper bounds, not promises."
    )
    return Section("Cost saved, swept", note, ["table", "router", *controls], rows)


def _certified(tables: Figures) -> Section:
    rows = []
    for name, one in tables.items():
        for level, found in (one["certified"] or {}).items():
            rows.append(
                [
                    name,
                    f"{level} %",
                    f"{number(found['saved'], 2)} ({number(found['saved_low'], 2)} to "
                    f"{number(found['saved_high'], 2)})",
                    number(found["kept"]),
                    number(found["swept"], 2),
                    number(one["saved"].get(level), 2),
                    f"{found['draws']}",
                ]
            )
    note = (
        "Learn, certify and test apart: what is saved on the test part at the point that was "
        "certified (delta .1), mean and range over draws of the parts; what the best point of the "
        "same path saves there; what the out-of-fold sweep saves."
    )
    header = ["table", "floor", "saved", "quality kept", "best point", "swept", "draws"]
    return Section("Cost saved, certified", note, header, rows)


def _few(tables: Figures) -> Section:
    rows = [
        [
            name,
            number(one["few_steps"]["router"]),
            number(one["few_steps"]["task_mean"]),
            number(one["few_steps"]["difference"], sign=True),
            number(one["few_steps"]["standard_error"]),
            f"{one['few_steps']['draws']}",
        ]
        for name, one in tables.items()
        if one["few_steps"]
    ]
    note = "Routing gain after 300 steps only, beside the task mean of the same steps."
    header = ["table", "router", "task mean", "difference", "standard error", "draws"]
    return Section("Few steps", note, header, rows)


def _routellm(tables: Figures) -> Section:
    rows = [
        [
            f"{name}: {policy}",
            number(one["apgr"]),
            number(_percent(one["cpt_50"]), 1),
            number(_percent(one["cpt_80"]), 1),
        ]
        for name, table in tables.items()
        for policy, one in (table["routellm"] or {}).items()
    ]
    note = (
        "Tables of two tiers in RouteLLM's own metric: average performance gap recovered, and the "
        "percentage of calls of the strong tier for 50 and 80 % of the gap (less is better)."
    )
    return Section("APGR and CPT", note, ["table: policy", "APGR", "CPT(50)", "CPT(80)"], rows)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _aiq(tables: Figures) -> Section:
    policies = list(dict.fromkeys(policy for one in tables.values() for policy in one["aiq"]))
    rows = [
        [name, *(number(one["aiq"].get(policy)) for policy in policies)]
        for name, one in tables.items()
    ]
    note = "RouterBench's average quality over all budgets between cheapest and dearest tier."
    return Section("AIQ", note, ["table", *policies], rows)


def _peers(tables: Figures) -> Section:
    peers = names_of(tables, "peers")
    rows = [
        [name, *(_peer(one["peers"].get(peer)) for peer in peers)]
        for name, one in tables.items()
        if one["peers"]
    ]
    note = (
        "Routing gain of others' difficulty scores, none of them trained on the table, by a "
        "threshold swept between the cheapest and the best tier; in brackets the router's lead. "
        "Then, of installed ones, the median time of a call and what their own thresholds save "
        "and keep of the best tier, their classes laid over the tiers that are worth their cost."
    )
    return Section("Peers", note, ["table", *peers], rows)


def _peer(one: Figures | None) -> str:
    if one is None:
        return NONE
    lead = number(one["difference"]["value"], sign=True)
    gain = f"{number(one['routing_gain']['value'])} ({lead})"
    if "microseconds" not in one:
        return gain
    own = f"saves {number(one['default_saved'], 2)}, keeps {number(one['default_kept'], 2)}"
    return f"{gain}; {one['microseconds'][1]:,.0f} us; {own}"


def _skipped(skipped: Figures) -> Section:
    rows = [[name, why] for name, why in skipped.items()]
    return Section("Not judged", "", ["table", "why"], rows)
