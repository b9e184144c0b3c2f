"""The report: one offline page that says what was measured, what is promised and what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tierwise.eval.drawing import bars, cost_quality, estimate_against_outcome
from tierwise.eval.metrics import Floats
from tierwise.eval.page import PAGE

KINDS = {"oracle": "oracle", "nearest texts": "words", "task mean": "task", "router": "router"}
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


def table(header: Sequence[str], rows: Sequence[Sequence[str]], own: str = "") -> str:
    """Return an HTML table of ready HTML cells; the first column is text, the row `own` is bold."""
    kind = ["" if index == 0 else ' class="n"' for index in range(len(header))]
    head = "".join(f"<th{k}>{escape(h)}</th>" for k, h in zip(kind, header, strict=True))
    body = "".join(
        f"<tr{' class=own' if row[0] == own else ''}>"
        + "".join(f"<td{k}>{cell}</td>" for k, cell in zip(kind, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


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
    if "policy" in metrics:
        parts += [_headline(metrics), _promise(certificate), _curve(metrics, points)]
        parts += [_controls(metrics), _mix(metrics), _calibration(metrics), _slices(metrics)]
    else:
        parts += [f"<p>{escape(metrics.get('note', ''))}</p>", _audit(metrics)]
        if "mix" in metrics:
            parts += [_promise(certificate), _mix(metrics)]
    items = "".join(f"<li>{escape(words)}</li>" for words in NOT_PROMISED)
    parts.append(f"<h2>What is not promised</h2><ul>{items}</ul>")
    return PAGE.substitute(subject=escape(_subject(metrics)), body="\n".join(parts))


def _subject(metrics: Mapping[str, Any]) -> str:
    if "test" not in metrics:
        return f"Feedback in the logs: {metrics.get('feedback', 'unknown')}."
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
        + '<p class="soft">The large dot is what ships. Solid: the router over its whole path; '
        "dashed: the mean of role and task; dotted: nearest texts; thin: knowing every outcome. "
        "Small dots: policies without learning.</p>"
        + table(
            ["swept policy", "saved at 100 %", "at 98 %", "at 95 % of quality", "routing gain"],
            rows,
            own="router",
        )
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
            f"{one['cost_usd']:.4g}",
        ]
        for name, one in {"this policy": own, **metrics["controls"]}.items()
    ]
    header = ["policy", "quality kept", "cost saved", "mean quality", "USD a step"]
    return "<h2>Beside simple policies</h2>" + table(header, rows, own="this policy")


def _mix(metrics: Mapping[str, Any]) -> str:
    rows = [
        [
            escape(role),
            bars(mix),
            escape(", ".join(f"{t} {s:.0%}" for t, s in mix.items() if s > 0)),
        ]
        for role, mix in {"all": metrics["mix"], **metrics["mix_by_role"]}.items()
    ]
    reasons = ", ".join(f"{name} {count:,}" for name, count in metrics["reasons"].items())
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<h2>Who is served what</h2><div class="wide"><table>{body}</table></div>'
        f'<p class="soft">Reasons: {escape(reasons)}.</p>'
    )


def _calibration(metrics: Mapping[str, Any]) -> str:
    drawn = "".join(
        estimate_against_outcome(tier, one["mean_estimate"], one["mean_outcome"], one["ece"] or 0.0)
        for tier, one in metrics["calibration"].items()
    )
    return f'<h2>Do estimates come true</h2><div class="small">{drawn}</div>'


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
    items = "".join(
        f"<li>{escape(line)}</li>" for line in metrics.get("audit", {}).get("lines", [])
    )
    return f"<h2>Where the money goes</h2><ul>{items}</ul>"
