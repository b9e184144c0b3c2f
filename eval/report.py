"""The report: one offline page that says what was measured, what is promised and what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tierwise.eval.drawing import bars, cost_quality
from tierwise.eval.metrics import Floats
from tierwise.eval.page import PAGE

KINDS = {"oracle": "oracle", "nearest texts": "words", "task mean": "task", "router": "router"}
MEANINGS = {
    "router": "the router over its whole path",
    "task mean": "the mean of role and task",
    "nearest texts": "nearest texts",
    "oracle": "knowing every outcome (the oracle)",
}
REASONS = {
    "floor": "floor: the certified policy chose",
    "not_certified": "not_certified: nothing was certified there, the reference tier serves",
    "fixed_role": "fixed_role: the role is bound to a tier",
}
FEEDBACK = {
    "full": "The logs hold outcomes of several tiers, of too few steps to judge a policy on.",
    "logged": "The logs hold the outcome of the one tier that served each step.",
    "none": "The logs hold costs, and no quality of any answer.",
}
NOT_PROMISED = (
    "Any single tenant, role or task: the promise is a mean over the steps of a stratum.",
    "Traffic that differs from the logs it was learned and certified on.",
    "Text written to mislead the router.",
    "More than the recorded quality says: an error of the judge or check is an error here.",
    "Decisions that did not come from the floor: pins, outages, budgets, latency limits and "
    "exploration are counted apart.",
)


def percent(value: float | None) -> str:
    """Return a share as a percentage; a dash where it is unknown."""
    return "-" if value is None else f"{100 * value:.1f} %"


def interval(one: Mapping[str, float | None]) -> str:
    """Return an interval's ends in words."""
    return f"{percent(one['low'])} to {percent(one['high'])}"


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], own: str = "", words: int = 1
) -> str:
    """Return an HTML table of ready HTML cells; `words` columns are text, the row `own` is bold."""
    kind = ["" if index < words else ' class="n"' for index in range(len(header))]
    head = "".join(f"<th{k}>{escape(h)}</th>" for k, h in zip(kind, header, strict=True))
    body = "".join(
        f"<tr{' class=own' if row[0] == own else ''}>"
        + "".join(f"<td{k}>{cell}</td>" for k, cell in zip(kind, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def thousand(usd: float | None) -> str:
    """Return the price of a thousand steps of so many USD each; a dash where it is unknown."""
    if usd is None:
        return "-"
    value = 1000 * usd
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def tile(title: str, value: str, note: str) -> str:
    """Return one headline number."""
    return (
        f'<div class="tile">{escape(title)}<b>{escape(value)}</b>'
        f'<span class="soft">{escape(note)}</span></div>'
    )


def render(
    metrics: Mapping[str, Any],
    certificate: Mapping[str, Any],
    points: Mapping[str, tuple[Floats, Floats]],
) -> str:
    """Return the page.

    Parameters
    ----------
    metrics : mapping
        Content of metrics.json.
    certificate : mapping
        Content of certificate.json.
    points : mapping of str to pair of ndarray
        Mean cost and mean quality of swept policies; empty where nothing was judged.
    """
    parts = []
    if metrics.get("note"):
        parts.append(f'<p class="note">{escape(metrics["note"])}</p>')
    if "policy" in metrics:
        parts += [_headline(metrics), _promise(certificate), _curve(metrics, points)]
        parts += [_controls(metrics), _mix(metrics), _calibration(metrics), _slices(metrics)]
    else:
        parts += [_audit(metrics), _promise(certificate)]
        if "mix" in metrics:
            parts.append(_mix(metrics))
    items = "".join(f"<li>{escape(words)}</li>" for words in NOT_PROMISED)
    parts.append(f"<h2>What is not promised</h2><ul>{items}</ul>")
    return PAGE.substitute(subject=escape(_subject(metrics)), body="\n".join(parts))


def _subject(metrics: Mapping[str, Any]) -> str:
    if "test" not in metrics:
        return FEEDBACK.get(metrics.get("feedback", ""), "What the logs hold is unknown.")
    test = metrics["test"]
    words = (
        f"Measured on {test['steps']:,} test steps in {test['units']:,} independent units, against "
        f"always serving {metrics['reference']}. Intervals: bootstrap over units, 95 % unless set "
        "otherwise. Retries after a failed check are charged; quality is that of the first answer."
    )
    if test["left_out"]:
        words += f" {test['left_out']:,} steps lack an outcome of some tier and are left out."
    if test["units"] < 30:
        words += " With so few units the intervals are too narrow."
    return words


def _headline(metrics: Mapping[str, Any]) -> str:
    policy = metrics["policy"]
    tiles = [
        tile("cost saved", percent(policy["cost_saved"]["value"]), interval(policy["cost_saved"])),
        tile(
            "quality kept",
            percent(policy["quality_kept"]["value"]),
            interval(policy["quality_kept"]),
        ),
    ]
    if "time_saved" in policy:
        time = policy["time_saved"]
        tiles.append(tile("time saved", percent(time["value"]), interval(time)))
    gain = metrics["curves"]["router"]["routing_gain"]
    shown = "-" if gain is None else f"{gain:.3f}"
    tiles.append(tile("routing gain", shown, "0 mixing fixed tiers, 1 knowing every outcome"))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _promise(certificate: Mapping[str, Any]) -> str:
    words = escape(certificate.get("promise", "Nothing is promised."))
    return f'<h2>The promise</h2><p class="promise">{words}</p>'


def _curve(metrics: Mapping[str, Any], points: Mapping[str, tuple[Floats, Floats]]) -> str:
    fixed = {
        name: (one["cost_usd"], one["quality"])
        for name, one in metrics["controls"].items()
        if name.startswith("always ") or name in ("role table", "rule of thumb")
    }
    served = (metrics["policy"]["cost_usd"], metrics["policy"]["quality"])
    rows = [
        [escape(name), *(percent(one[f"saved_at_{r}"]) for r in (100, 98, 95)), _gain(one)]
        for name, one in metrics["curves"].items()
    ]
    return (
        "<h2>Cost and quality</h2>"
        + cost_quality(points, fixed, served, KINDS)
        + _keys(points)
        + table(
            ["swept policy", *(f"saved at {r}\u00a0%" for r in (100, 98, 95)), "routing gain"],
            rows,
            own="router",
        )
        + '<p class="soft">Saved: the share of the reference tier\'s cost that a point of the '
        "curve saves while it keeps that share of the reference tier's quality.</p>"
    )


def _keys(points: Mapping[str, tuple[Floats, Floats]]) -> str:
    """Return what the lines and dots of the curve mean."""
    lines = "".join(
        f'<span><svg class="key" viewBox="0 0 36 10" aria-hidden="true"><polyline '
        f'class="{KINDS[name]}" points="1,5 35,5"/></svg>{escape(words)}</span>'
        for name, words in MEANINGS.items()
        if name in points
    )
    return (
        f'<p class="soft keys">{lines}</p><p class="soft">The large dot is what ships; small dots '
        "are policies without learning. Up and to the left is better.</p>"
    )


def _gain(one: Mapping[str, Any]) -> str:
    return "-" if one["routing_gain"] is None else f"{one['routing_gain']:.3f}"


def _controls(metrics: Mapping[str, Any]) -> str:
    policy = metrics["policy"]
    own = {
        "quality": policy["quality"],
        "cost_usd": policy["cost_usd"],
        "quality_kept": policy["quality_kept"]["value"],
        "cost_saved": policy["cost_saved"]["value"],
    }
    rows = [
        [
            escape(name),
            percent(one["quality_kept"]),
            percent(one["cost_saved"]),
            f"{one['quality']:.4f}",
            thousand(one["cost_usd"]),
        ]
        for name, one in {"this policy": own, **metrics["controls"]}.items()
    ]
    header = ["policy", "quality kept", "cost saved", "mean quality", "USD per 1,000 steps"]
    return "<h2>Beside simple policies</h2>" + table(header, rows, own="this policy")


def _mix(metrics: Mapping[str, Any]) -> str:
    rows = [
        [
            escape(role),
            bars(mix) + escape(", ".join(f"{t} {s:.0%}" for t, s in mix.items() if s > 0)),
        ]
        for role, mix in {"all": metrics["mix"], **metrics["mix_by_role"]}.items()
    ]
    reasons = "; ".join(
        f"{REASONS.get(name, name)} ({count:,} steps)" for name, count in metrics["reasons"].items()
    )
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        '<h2>Who is served what</h2><p class="soft">Share of test steps by role; bars run from the '
        "cheapest tier (pale) to the dearest (full color).</p>"
        f'<div class="wide"><table>{body}</table></div>'
        f'<p class="soft">Why: {escape(reasons)}.</p>'
    )


def _calibration(metrics: Mapping[str, Any]) -> str:
    found = metrics["calibration"]
    rows = [
        [
            escape(tier),
            percent(found[tier]["mean_estimate"]),
            percent(found[tier]["mean_outcome"]),
            percent(found[tier]["ece"]),
        ]
        for tier in _ordered(found, metrics)
    ]
    return (
        "<h2>Do estimates come true</h2>"
        + table(["tier", "expected quality", "true quality", "calibration error"], rows)
        + '<p class="soft">Calibration error: the mean distance of expected from true quality over '
        "groups of test steps of like estimates. It holds some noise: even true "
        "estimates seldom get 0.</p>"
    )


def _ordered(found: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    """Return the tiers found, cheap to dear where their order is known."""
    known = [tier for tier in metrics.get("tiers", ()) if tier in found]
    return known + [tier for tier in found if tier not in known]


def _slices(metrics: Mapping[str, Any]) -> str:
    rows = [
        [
            escape(name),
            percent(one["quality_kept"]["value"]),
            interval(one["quality_kept"]),
            percent(one["cost_saved"]),
            f"{one['steps']:,}",
            f"{one['units']:,}",
        ]
        for name, one in metrics["slices"].items()
    ]
    header = ["slice", "quality kept", "interval", "cost saved", "steps", "units"]
    return (
        "<h2>Worst slices</h2>"
        + table(header, rows)
        + '<p class="soft">Picked for being the worst, so that part of it is chance.</p>'
    )


def _audit(metrics: Mapping[str, Any]) -> str:
    audit = metrics.get("audit", {})
    total = str(next(iter(audit.get("lines", [])), ""))
    by_role: Mapping[str, Any] = audit.get("by_role", {})
    spent = {
        role: sum(one["cost_usd"] for one in tiers.values()) for role, tiers in by_role.items()
    }
    rows = [
        [
            escape(role),
            escape(tier),
            f"{by_role[role][tier]['calls']:,}",
            f"{by_role[role][tier]['cost_usd']:,.4g}",
            percent(by_role[role][tier]["share"]),
            percent(by_role[role][tier]["quality"]),
        ]
        for role in sorted(by_role, key=lambda name: (-spent[name], name))
        for tier in _ordered(by_role[role], metrics)
    ]
    header = ["role", "tier", "calls", "USD", "share of spend", "mean quality"]
    hints = "".join(f"<li>{escape(flag)}</li>" for flag in audit.get("flags", []))
    return (
        f"<h2>Where the money goes</h2><p>{escape(total)}</p>"
        + table(header, rows, words=2)
        + (f"<h2>Worth a trial</h2><ul>{hints}</ul>" if hints else "")
    )
