"""The report: one offline page that says what was measured, what is promised and what is not."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from tierwise.eval.page import page
from tierwise.eval.page_data import PageData
from tierwise.eval.page_states import goal_name, make_states
from tierwise.eval.report_floor import curve, every_floor, first_screen, script_data
from tierwise.eval.report_logs import arrived, climbed, estimated
from tierwise.eval.report_mix import mix, reasons
from tierwise.eval.report_tables import audit, calibration, controls, ordered, origin, worst
from tierwise.eval.words import interval, percent, table, thousand, tight

__all__ = ["interval", "percent", "render", "thousand"]

FEEDBACK = {
    "full": "The logs hold outcomes of several tiers, of too few steps to judge a policy on.",
    "logged": "The logs hold the outcome of the one tier that served each step.",
    "mixed": "The logs hold outcomes of several tiers for some steps, of too few to judge on.",
    "none": "The logs hold costs, and no quality of any answer.",
}
NOT_SAID = (
    "What a policy would save, or what quality it would keep: that needs outcomes of several "
    "tiers on the same steps.",
    "Whether estimates come true, and which slices fare worst.",
    "A floor: none is certified.",
)
NOT_PROMISED = (
    "Any single tenant, role or task: the promise is a mean over the steps of a stratum.",
    "Traffic that differs from the logs it was learned and certified on.",
    "Text written to mislead the router.",
    "More than the recorded quality says: an error of the judge or check is an error here.",
    "Decisions that did not come from the floor: the guard, pins, outages, budgets, latency limits "
    "and exploration are counted apart.",
    "A floor picked by looking at this page: each level is a promise of its own, and its "
    "probability is that of a level chosen beforehand.",
    "The intervals of the test part: they tell how sure a measurement is, not what other traffic "
    "will do.",
)


def render(
    metrics: Mapping[str, Any],
    certificate: Mapping[str, Any],
    data: PageData | None = None,
    inputs: Mapping[str, str] | None = None,
    slices: int = 8,
    level: float = 0.95,
) -> str:
    """Return the page.

    Parameters
    ----------
    metrics : mapping
        Content of metrics.json.
    certificate : mapping
        Content of certificate.json.
    data : PageData, optional
        What the page draws; None where nothing could be judged.
    inputs : mapping of str to str, optional
        What the page was made from: names and hashes, no times and no paths.
    slices : int
        Worst slices shown.
    level : float
        Of the intervals.
    """
    top = ["<h1>tierwise report</h1>"]
    if metrics.get("note"):
        top.append(f'<p class="note">{escape(metrics["note"])}</p>')
    if data is None:
        body, moved = [*top, *_described(metrics, certificate)], None
    else:
        judged, moved = _judged(metrics, certificate, data, slices, level)
        body = [*top, *judged]
    body.append(origin(inputs or {}))
    return page(tight("\n".join(body)), moved)


def _judged(
    metrics: Mapping[str, Any],
    certificate: Mapping[str, Any],
    data: PageData,
    slices: int,
    level: float,
) -> tuple[list[str], dict[str, Any]]:
    """Return the parts of the page of a policy that was judged, and the data of its script."""
    states, ships = make_states(data, metrics, certificate)
    drawn, places = curve(data, states, ships, metrics, certificate)
    kind, tiers = str(certificate["floor"]["kind"]), list(metrics["tiers"])
    header = ["floor", "", goal_name(kind), "interval", "cost saved", "interval", "tier mix"]
    parts = [
        first_screen(states, ships, metrics, certificate),
        f'<p class="soft">{escape(_subject(metrics, level))}</p>',
        drawn,
        _more(metrics),
        mix(data.rows, states[ships].mix, tiers),
        reasons(metrics),
        _promise(metrics, certificate),
        climbed(metrics),
        arrived(metrics),
        _limits(),
        worst(data.slices, slices, level),
        calibration(metrics, data),
        controls(metrics, data),
        "<h2>Every floor</h2><details><summary>All levels as a table</summary>"
        + table(header, every_floor(states, tiers, kind), words=2)
        + "</details>",
    ]
    return parts, script_data(states, ships, places, metrics)


def _described(metrics: Mapping[str, Any], certificate: Mapping[str, Any]) -> list[str]:
    """Return the parts of the page where the logs can only be described."""
    said = FEEDBACK.get(metrics.get("feedback", ""), "What the logs hold is unknown.")
    value = estimated(metrics)
    items = "".join(f"<li>{escape(words)}</li>" for words in NOT_SAID[1 if value else 0 :])
    parts = [
        f'<p class="lead">{escape(said)}</p>',
        value,
        climbed(metrics),
        arrived(metrics),
        audit(metrics),
        f"<h2>What this page cannot say</h2><ul>{items}</ul>",
        _promise(metrics, certificate),
    ]
    if "mix" in metrics:
        # Shares, of which the page draws ten-thousandths as if they were steps.
        mixes = {"all steps": metrics["mix"]} | {
            (name if name != "unknown" else "role unknown"): one
            for name, one in metrics["mix_by_role"].items()
        }
        tiers = ordered(metrics["mix"], metrics)
        counts = [[round(10000 * one[tier]) for tier in tiers] for one in mixes.values()]
        parts += [mix(list(mixes), counts, tiers), reasons(metrics)]
    return [*parts, _limits()]


def _promise(metrics: Mapping[str, Any], certificate: Mapping[str, Any]) -> str:
    words = escape(certificate.get("promise", "Nothing is promised."))
    if set(metrics.get("reasons", ())) == {"fixed_role"}:
        words = "Nothing is certified: a table of a tier for each role serves, without a floor."
    if certificate.get("guarded"):
        words += (
            f" {certificate['guarded']:,} certification steps are no part of it: they are too "
            "unlike those the policy was learned from, so that the guard serves the reference."
        )
    return f'<h2>The promise that ships</h2><p class="promise">{words}</p>'


def _limits() -> str:
    items = "".join(f"<li>{escape(words)}</li>" for words in NOT_PROMISED)
    return f"<h2>What is not promised</h2><ul>{items}</ul>"


def _more(metrics: Mapping[str, Any]) -> str:
    """Return what else was measured of the policy that ships."""
    policy, said = metrics["policy"], []
    if "time_saved" in policy:
        time = policy["time_saved"]
        said.append(
            f"Time saved by what ships: {percent(time['value'])} ({interval(time)}), on the "
            f"{percent(policy['time_known_share'])} of steps where both times are known."
        )
    gain = metrics["curves"]["router"]["routing_gain"]
    if gain is not None:
        said.append(
            f"Routing gain of the whole path: {gain:.3f} (0 mixing fixed tiers, 1 knowing every "
            "outcome)."
        )
    return "".join(f"<p>{escape(words)}</p>" for words in said)


def _subject(metrics: Mapping[str, Any], level: float) -> str:
    test = metrics["test"]
    words = (
        f"Measured on {test['steps']:,} test steps in {test['units']:,} independent units, against "
        f"always serving {metrics['reference']}. Intervals: {100 * level:.4g} %, bootstrap over "
        "units. Retries after a failed check are charged; quality is that of the first answer."
    )
    if test["left_out"]:
        words += f" {test['left_out']:,} steps lack an outcome of some tier and are left out."
    if test["units"] < 30:
        words += " With so few units the intervals are too narrow."
    return words
