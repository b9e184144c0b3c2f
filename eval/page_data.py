"""What the page shows beyond metrics.json: every level of the floor, curves and bins with ends.

Each interval is a percentile interval over units, all drawn together (`joint`). The draws are the
page's own, so that no number of metrics.json depends on what the page shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.eval.bootstrap import unit_codes
from tierwise.eval.calibration import Bin
from tierwise.eval.joint import Ends, Joint
from tierwise.eval.judge import Draws, Facts, Points
from tierwise.eval.levels import Level, counted, role_rows
from tierwise.eval.metrics import Floats
from tierwise.eval.slices import Slice
from tierwise.eval.words import Three


@dataclass(frozen=True)
class Measured:
    """What a policy did on the judged steps; each a value with its ends.

    Attributes
    ----------
    quality, kept, miss : tuple of float
        Mean quality, its share of the reference tier's, mean of max(0, reference's - served).
    cost, less, saved : tuple of float
        Mean USD a step, by how much it is less than the reference tier's, and the share saved.
    """

    quality: Three
    kept: Three
    miss: Three
    cost: Three
    less: Three
    saved: Three


@dataclass(frozen=True)
class PageData:
    """What the page draws.

    Attributes
    ----------
    levels : tuple of Level
        Of the floor; empty where no floor moves the policy.
    at_level : tuple of Measured
        Of each level.
    rows : tuple of str
        The rows of the tier mix: all steps, then roles.
    mix : tuple of list
        Of each level: steps by tier, a list for every row.
    shipped : Measured
        The policy that ships.
    path : tuple of Measured
        The router at each point of its path.
    fixed : mapping of str to Measured
        Controls that are one point.
    points : mapping of str to pair of ndarray
        Swept policies: mean cost and mean quality.
    bins : mapping of str to sequence of (Bin, tuple of float)
        Of each tier, with the ends of the outcome's interval.
    slices : tuple of Slice
        Every one looked at, that of least quality kept first.
    """

    levels: tuple[Level, ...]
    at_level: tuple[Measured, ...]
    rows: tuple[str, ...]
    mix: tuple[list[list[int]], ...]
    shipped: Measured
    path: tuple[Measured, ...]
    fixed: Mapping[str, Measured]
    points: Mapping[str, Points]
    bins: Mapping[str, Sequence[tuple[Bin, Three]]]
    slices: tuple[Slice, ...]


def measure(
    facts: Facts, choices: Sequence[NDArray[Any]], reference: int, draws: Draws
) -> tuple[Measured, ...]:
    """Judge several policies on the same draws of units.

    Parameters
    ----------
    facts : Facts
    choices : sequence of ndarray of int, shape (n_steps,)
        The tiers that each policy serves; equal ones are judged once.
    reference : int
    draws : Draws
    """
    rows = np.arange(len(facts.quality))
    places: dict[bytes, int] = {}
    kept = [np.asarray(one, np.int8) for one in choices]
    order = [places.setdefault(one.tobytes(), len(places)) for one in kept]
    usual, dear = facts.quality[:, reference], facts.cost[:, reference]

    def columns() -> Iterator[Floats]:
        yield from (np.ones(len(rows)), usual, dear)
        for raw in places:
            tier = np.frombuffer(raw, np.int8)
            quality = facts.quality[rows, tier]
            cost = facts.cost[rows, tier]
            yield from (quality, cost, np.maximum(usual - quality, 0.0), dear - cost)

    joint = Joint.of(unit_codes(facts.unit), columns(), draws)
    quality_at, cost_at, miss_at, less_at = (range(3 + i, 3 + 4 * len(places), 4) for i in range(4))

    def over(above: Sequence[int], below: int) -> Ends:
        return joint.ratios(above, [below] * len(above))

    quality, miss, cost = over(quality_at, 0), over(miss_at, 0), over(cost_at, 0)
    less, share, saved = over(less_at, 0), over(quality_at, 1), over(less_at, 2)
    found = [
        Measured(quality.at(i), share.at(i), miss.at(i), cost.at(i), less.at(i), saved.at(i))
        for i in range(len(places))
    ]
    return tuple(found[i] for i in order)


def gather(
    facts: Facts,
    tier: NDArray[np.int64],
    path: NDArray[np.int8],
    levels: tuple[Level, ...],
    fixed: Mapping[str, NDArray[np.int64]],
    points: Mapping[str, Points],
    bins: Mapping[str, Sequence[tuple[Bin, Three]]],
    slices: tuple[Slice, ...],
    reference: int,
    draws: Draws,
) -> PageData:
    """Judge everything that the page draws.

    Parameters
    ----------
    facts : Facts
    tier : ndarray of int64, shape (n_steps,)
        Served by the policy that ships.
    path : ndarray of int8, shape (n_points, n_steps)
    levels : tuple of Level
    fixed : mapping of str to ndarray of int64, shape (n_steps,)
    points, bins, slices
        As in `PageData`.
    reference : int
    draws : Draws
    """
    choices = [tier, *(one.tier for one in levels), *path, *fixed.values()]
    found = measure(facts, choices, reference, draws)
    after = 1 + len(levels)
    rows = role_rows(facts.role)
    shown = [one.tier for one in levels] or [tier]
    return PageData(
        levels=levels,
        at_level=found[1:after],
        rows=tuple(rows),
        mix=tuple(counted(one, rows, facts.quality.shape[1]) for one in shown),
        shipped=found[0],
        path=found[after : after + len(path)],
        fixed=dict(zip(fixed, found[after + len(path) :], strict=True)),
        points=points,
        bins=bins,
        slices=slices,
    )


def bins_with_ends(
    estimate: Floats,
    quality: Floats,
    unit: NDArray[Any],
    bins: Mapping[str, Sequence[Bin]],
    draws: Draws,
) -> dict[str, list[tuple[Bin, Three]]]:
    """Return each tier's reliability bins with the interval of the mean outcome of their steps.

    Parameters
    ----------
    estimate, quality : ndarray of shape (n_steps, n_tiers)
    unit : ndarray of shape (n_steps,)
    bins : mapping of str to sequence of Bin
        From `calibration.reliability`, in the order of the tiers.
    draws : Draws
    """
    codes, found = unit_codes(unit), {}
    for index, (name, ones) in enumerate(bins.items()):
        # Bins come from the lowest estimate up and hold the steps that they count.
        order = np.argsort(estimate[:, index], kind="stable")
        ends = np.cumsum([one.steps for one in ones])
        place = np.empty(len(order), np.int64)
        place[order] = np.searchsorted(ends, np.arange(len(order)), side="right")
        columns = [part for b in range(len(ones)) for part in _columns(place == b, quality, index)]
        joint = Joint.of(codes, columns, draws)
        outcome = joint.ratios(range(0, len(columns), 2), range(1, len(columns), 2))
        found[name] = [(one, outcome.at(b)) for b, one in enumerate(ones)]
    return found


def _columns(mask: NDArray[np.bool_], quality: Floats, index: int) -> tuple[Floats, Floats]:
    inside = mask.astype(np.float64)
    return quality[:, index] * inside, inside
