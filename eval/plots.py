"""Plots of an evaluation, as tables for `dvc plots` and as pictures that need no network."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tierwise.data.files import replacing, write_bytes
from tierwise.eval.calibration import Bin
from tierwise.eval.drawing import shortened, together
from tierwise.eval.judge import Points

MARKS = "x+^v<>sDpP*hHdX1234"
LONGEST = 44  # letters of a name in a legend
LINES = ("router", "task mean", "nearest texts", "oracle")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows as CSV; numbers with six significant digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([f"{x:.6g}" if isinstance(x, float) else x for x in row])
    write_bytes(path, text.getvalue().encode())


def write_plots(
    folder: Path,
    points: Mapping[str, Points],
    served: tuple[float, float],
    fixed: Mapping[str, Mapping[str, float]],
    bins: Mapping[str, Sequence[Bin]],
    mix: Mapping[str, Mapping[str, float]],
) -> None:
    """Write curve, calibration and mix, each as .csv and .png.

    Parameters
    ----------
    folder : Path
        Made where missing.
    points : mapping of str to pair of ndarray
        Mean cost (USD a step) and mean quality of swept policies.
    served : tuple of float
        Mean cost and quality at the certified point.
    fixed : mapping of str to mapping
        cost_usd and quality of policies that are one point.
    bins : mapping of str to sequence of Bin
        Of each tier.
    mix : mapping of str to mapping
        Role, or "all" -> tier -> share of steps.
    """
    write_csv(
        folder / "curve.csv", ("cost", "quality", "policy"), curve_rows(points, served, fixed)
    )
    write_csv(
        folder / "calibration.csv",
        ("tier", "estimate", "outcome", "steps"),
        [(tier, b.estimate, b.outcome, b.steps) for tier, ones in bins.items() for b in ones],
    )
    write_csv(
        folder / "mix.csv",
        ("role", "tier", "share"),
        [(role, tier, share) for role, ones in mix.items() for tier, share in ones.items()],
    )
    _save(_curve(points, served, fixed), folder / "curve.png")
    _save(_calibration(bins), folder / "calibration.png")
    _save(_mix(mix), folder / "mix.png")


def curve_rows(
    points: Mapping[str, Points],
    served: tuple[float, float],
    fixed: Mapping[str, Mapping[str, float]],
) -> list[tuple[float, float, str]]:
    """Return every point of every policy as cost, quality, policy."""
    rows = [
        (float(x), float(y), name)
        for name, (cost, quality) in points.items()
        for x, y in zip(cost, quality, strict=True)
    ]
    rows += [(one["cost_usd"], one["quality"], name) for name, one in fixed.items()]
    return [*rows, (served[0], served[1], "served")]


def _plain(name: str) -> str:
    """Return a name for a legend: not too long, and dollars are not the start of a formula."""
    return shortened(name, LONGEST).replace("$", r"\$")


def _curve(
    points: Mapping[str, Points],
    served: tuple[float, float],
    fixed: Mapping[str, Mapping[str, float]],
) -> Figure:
    figure = Figure(figsize=(9, 4.5))
    axes = figure.subplots()
    for name in LINES:
        if name in points:
            axes.plot(*points[name], label=name, linewidth=2 if name == "router" else 1)
    places = {name: (one["cost_usd"], one["quality"]) for name, one in fixed.items()}
    # In the legend rather than beside the marks: names beside marks lie over each other.
    for mark, (name, place) in zip(cycle(MARKS), together(places).items(), strict=False):
        axes.plot(*place, mark, color="dimgray", label=_plain(name), markersize=6)
    axes.plot(*served, "o", color="black", label="served")
    axes.set(xlabel="mean cost, USD a step", ylabel="mean quality")
    _legend(axes)
    return figure


def _legend(axes: Axes) -> None:
    """Add a legend to the right of a drawing, where it covers nothing; names may start with _."""
    handles: list[Any] = [*axes.lines, *axes.containers]
    names = [str(one.get_label()) for one in handles]
    axes.legend(handles, names, fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1.0))


def _calibration(bins: Mapping[str, Sequence[Bin]]) -> Figure:
    figure = Figure(figsize=(4.5, 4.5))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="gray", linewidth=0.5)
    for tier, ones in bins.items():
        axes.plot(
            [b.estimate for b in ones], [b.outcome for b in ones], "o-", label=_plain(tier), ms=3
        )
    axes.set(xlabel="expected quality", ylabel="true quality", xlim=(0, 1), ylim=(0, 1))
    axes.legend(fontsize=7)
    return figure


def _mix(mix: Mapping[str, Mapping[str, float]]) -> Figure:
    figure = Figure(figsize=(9, 1.2 + 0.35 * len(mix)))
    axes = figure.subplots()
    names, left = list(mix)[::-1], [0.0] * len(mix)
    for tier in next(iter(mix.values()), {}):
        share = [mix[name][tier] for name in names]
        axes.barh([_plain(name) for name in names], share, left=left, label=_plain(tier))
        left = [a + b for a, b in zip(left, share, strict=True)]
    axes.set(xlabel="share of steps", xlim=(0, 1))
    _legend(axes)
    return figure


def _save(figure: Figure, path: Path) -> None:
    """Save without the writer's name and version, so that equal figures give equal bytes."""
    figure.tight_layout()
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=110, metadata={"Software": None})
