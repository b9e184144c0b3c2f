"""The report's first screen and what moves with its slider: floor, savings, bill, curve, mix."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tierwise.eval.drawing_curve import KINDS, Scale, cost_quality
from tierwise.eval.page_data import PageData
from tierwise.eval.page_states import State, goal_name
from tierwise.eval.words import Three, mixed, money, money_span, short_floor, tight

STEPS = 100_000  # a month, until the reader types another number
MEANINGS = {
    "task mean": "the mean of role and task",
    "nearest texts": "nearest texts",
    "oracle": "knowing every outcome (the oracle)",
}
PAIRED = (
    "Quality is compared with the reference's step by step, so that the reference itself has no "
    "interval there. "
)


def text(state: State, name: str, tag: str = "span", kind: str = "") -> str:
    """Return an element whose text is the state's, now and when the floor moves."""
    extra = f' class="{kind}"' if kind else ""
    return f'<{tag}{extra} data-text="{name}">{escape(state.texts[name])}</{tag}>'


def first_screen(
    states: Sequence[State], ships: int, metrics: Mapping[str, Any], certificate: Mapping[str, Any]
) -> str:
    """Return what is saved, what is promised, at which floor, and how sure that is."""
    state = states[ships]
    goal = goal_name(str(certificate["floor"]["kind"]))
    cost = rounded(state.measured.cost)
    tiles = [
        _tile("cost saved", text(state, "saved", "b"), text(state, "saved_ends")),
        _tile(goal, text(state, "goal", "b"), text(state, "goal_ends")),
        _tile(
            "promised with probability",
            text(state, "sure", "b"),
            text(state, "sure_note"),
        ),
        _tile(
            "projected bill a month",
            f'<b id="bill">{money(STEPS * cost[0])}</b>',
            f'<span id="bill-ends">{_monthly(cost)}</span>',
        ),
    ]
    return (
        text(state, "lead", "p", "lead")
        + f'<div class="tiles">{"".join(tiles)}</div>'
        + _floor_card(states, ships)
        + _bill_card(state, metrics)
    )


def _tile(title: str, value: str, note: str) -> str:
    """Return one headline number; value and note are ready HTML."""
    return (
        f'<div class="tile"><h3>{escape(title)}</h3>{value}<span class="soft">{note}</span></div>'
    )


def _floor_card(states: Sequence[State], ships: int) -> str:
    state = states[ships]
    slider = ""
    if len(states) > 1:
        cells = "".join(
            f'<i class="{one.kind}{_here(i, ships)}"></i>' for i, one in enumerate(states)
        )
        slider = (
            '<div class="needs-script" hidden><div class="row"><label for="floor">Quality floor'
            f"</label>{text(state, 'floor', 'output')}{text(state, 'floor_words', kind='soft')}"
            '<button type="button" id="back">back to what ships</button></div>'
            f'<input class="slide" type="range" id="floor" min="0" max="{len(states) - 1}" '
            f'step="1" value="{ships}" autocomplete="off"></div>'
            f'<div class="strip" aria-hidden="true">{cells}</div>'
            f'<p class="ends-of soft"><span>{escape(_name(states[0]))}</span><span>green: certified'
            f"; hatched: not</span><span>{escape(_name(states[-1]))}, strictest</span></p>"
        )
    kind = escape(state.kind)
    badge = f'<span class="badge" data-kind="{kind}" data-text="badge">'
    return (
        f'<section class="card" aria-label="The floor">{slider}<p>{badge}'
        f"{escape(state.texts['badge'])}</span></p>{text(state, 'promise', 'p')}"
        f"{text(state, 'check', 'p', 'soft')}"
        '<output class="said" id="said" aria-live="polite"></output></section>'
    )


def _here(index: int, ships: int) -> str:
    return " here" if index == ships else ""


def _name(state: State) -> str:
    return state.texts["floor"].replace(" (ships)", "")


def _bill_card(state: State, metrics: Mapping[str, Any]) -> str:
    cost, less = rounded(state.measured.cost), rounded(state.measured.less)
    usual = STEPS * metrics["policy"]["reference_cost_usd"]
    return (
        '<section class="card" aria-label="The monthly bill"><div class="row needs-script" hidden>'
        '<label for="steps">Steps (model calls) a month</label><input type="number" id="steps" '
        f'min="0" step="any" inputmode="decimal" value="{STEPS}" autocomplete="off" '
        'aria-describedby="steps-wrong"><span id="steps-wrong" role="alert" hidden>Type a number '
        "of steps, 0 or more.</span></div>"
        f"<noscript><p>For {STEPS:,} steps a month:</p></noscript><p>Projected: "
        f'<b id="bill-again">{money(STEPS * cost[0])}</b> a month (<span id="bill-ends-again">'
        f"{_monthly(cost)}</span>); always {escape(str(metrics['reference']))} costs "
        f'<span id="bill-reference">{money(usual)}</span>. That is <b id="bill-less">'
        f'{money(STEPS * less[0])}</b> less (<span id="bill-less-ends">{_monthly(less)}</span>).'
        '</p><p class="soft">The mean cost of a test step, retries after a failed check included, '
        "times the steps of a month: right as far as the month's steps are like the test steps.</p>"
        "</section>"
    )


def _monthly(one: Three) -> str:
    return money_span(STEPS * one[1], STEPS * one[2])


def rounded(one: Three) -> Three:
    """Return a value and its ends with six digits, as metrics.json has them."""
    value, low, high = (float(f"{x:.6g}") for x in one)
    return value, low, high


def curve(
    data: PageData,
    states: Sequence[State],
    ships: int,
    metrics: Mapping[str, Any],
    certificate: Mapping[str, Any],
) -> tuple[str, dict[str, list[list[float | None]]]]:
    """Return the drawing of cost against quality, and where each state's dot lies in it."""
    kind, usual = certificate["floor"]["kind"], metrics["policy"]["reference_quality"]
    relative = kind != "absolute" and bool(usual)
    scale = Scale(relative, float(usual or 0.0), str(metrics["reference"]))
    drawn = kind == "absolute" or (kind == "retain" and relative)
    floors = [
        (100 * one.level if relative else one.level) if drawn and one.level is not None else None
        for one in states
    ]
    names = [_name(one) for one in states]
    shown, places = cost_quality(data, scale, states[ships].measured, floors, names, ships)
    return f"<h2>Cost and quality</h2>{shown}{_keys(data, relative, drawn)}", places


def _keys(data: PageData, relative: bool, line: bool) -> str:
    """Return what the lines and dots of the curve mean."""
    kinds = {"router": "router", **KINDS}
    words = {"router": "the router at each point of its path"} | {
        name: said for name, said in MEANINGS.items() if name in data.points
    }
    lines = "".join(
        f'<span><svg class="key" viewBox="0 0 36 10" aria-hidden="true"><polyline '
        f'class="{kinds[name]}" points="1,5 35,5"/></svg>{escape(said)}</span>'
        for name, said in words.items()
    )
    return (
        f'<p class="soft keys">{lines}</p><p class="soft">Up and to the left is better. The large '
        "dot is what the chosen floor serves, the dashed ring what ships"
        + (", the green line the floor" if line else "")
        + "; small dots are single tiers and other policies without learning. Shaded band and thin "
        "lines: intervals, bootstrap over units. "
        + (PAIRED if relative else "")
        + "The lines of learned controls are the best mixtures of their points, picked on these "
        "very steps, which favors them.</p>"
    )


def script_data(
    states: Sequence[State],
    ships: int,
    places: Mapping[str, list[list[float | None]]],
    metrics: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what the page's script moves between; equal mixes are held once."""
    mixes: list[list[list[int]]] = []
    found = []
    for state in states:
        if state.mix not in mixes:
            mixes.append(state.mix)
        found.append(
            {
                "name": tight(_name(state)),
                "kind": state.kind,
                "texts": {name: tight(words) for name, words in state.texts.items()},
                "mix": mixes.index(state.mix),
                "cost": _nulls(rounded(state.measured.cost)),
                "less": _nulls(rounded(state.measured.less)),
            }
        )
    return {
        "states": found,
        "ships": ships,
        "mixes": mixes,
        "places": dict(places),
        "tiers": list(metrics["tiers"]),
        "reference": metrics["policy"]["reference_cost_usd"],
    }


def _nulls(one: Three) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in one]


def every_floor(states: Sequence[State], tiers: Sequence[str], kind: str) -> list[list[str]]:
    """Return the rows of the table of all levels: ready HTML."""
    return [
        [
            escape(short_floor(kind, one.level) if one.level is not None else "none"),
            escape(one.texts["badge"]),
            escape(one.texts["goal"]),
            escape(one.texts["goal_ends"]),
            escape(one.texts["saved"]),
            escape(one.texts["saved_ends"]),
            escape(mixed(one.mix[0], tiers)),
        ]
        for one in states
    ]
