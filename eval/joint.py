"""Intervals of many ratios on the same bootstrap draws: one by one, and all at once.

A page that shows a hundred policies draws its units once for all of them, so that whatever is
compared has seen the same draw. Percentile intervals as in `bootstrap`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from tierwise.eval.bootstrap import resampled
from tierwise.eval.judge import Draws
from tierwise.eval.metrics import Floats


@dataclass(frozen=True)
class Ends:
    """Values with the ends of their intervals, each of shape (n_columns,); NaN where unknown."""

    value: Floats
    low: Floats
    high: Floats

    def at(self, index: int) -> tuple[float, float, float]:
        """Return one value with its ends."""
        return float(self.value[index]), float(self.low[index]), float(self.high[index])


def sums_by_unit(unit: NDArray[np.int64], columns: Iterable[NDArray[Any]]) -> Floats:
    """Return the sums of columns, each of shape (n_steps,), over units, (n_units, n_columns).

    Columns may be made one at a time: hundreds of them, each of all steps, need not fit.
    """
    n_units = int(unit.max()) + 1
    return np.stack([np.bincount(unit, one, n_units) for one in columns], axis=1)


@dataclass(frozen=True)
class Joint:
    """Totals of columns over all units, and over each draw of them.

    Attributes
    ----------
    seen : ndarray of shape (n_columns,)
    drawn : ndarray of shape (draws, n_columns)
    level : float
        Of the intervals.
    """

    seen: Floats
    drawn: Floats
    level: float

    @classmethod
    def of(cls, unit: NDArray[np.int64], columns: Iterable[NDArray[Any]], draws: Draws) -> Joint:
        """Draw whole units; `unit` holds their codes, shape (n_steps,)."""
        sums = sums_by_unit(unit, columns)
        return cls(sums.sum(axis=0), resampled(sums, draws.count, draws.rng), draws.level)

    def ratios(self, above: Sequence[int], below: Sequence[int]) -> Ends:
        """Return the ratios of columns, each with its own interval."""
        value, drawn = self._ratios(above, below)
        with np.errstate(invalid="ignore"):
            low, high = _quantiles(drawn, [(1 - self.level) / 2, (1 + self.level) / 2])
        return Ends(value, low, high)

    def together(self, above: Sequence[int], below: Sequence[int]) -> Ends:
        """Return the ratios of columns with intervals that hold for all of them at once.

        value +- c x the standard deviation of its draws, c the quantile over draws of the largest
        of all deviations so measured (sup-t bands; Montiel Olea and Plagborg-Moller 2019,
        "Simultaneous confidence bands", section 2). To pick the worst of many by looking is then
        allowed for.
        """
        value, drawn = self._ratios(above, below)
        known = np.where(np.isfinite(drawn), drawn, value)
        spread = known.std(axis=0)
        varies = np.isfinite(spread) & (spread > 0)
        if not varies.any():
            return Ends(value, value, value)
        away = np.abs(known[:, varies] - value[varies]) / spread[varies]
        reach = float(np.quantile(away.max(axis=1), self.level)) * np.where(varies, spread, 0.0)
        return Ends(value, value - reach, value + reach)

    def _ratios(self, above: Sequence[int], below: Sequence[int]) -> tuple[Floats, Floats]:
        up, down = list(above), list(below)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = self.seen[up] / self.seen[down]
            drawn = self.drawn[:, up] / self.drawn[:, down]
        value = np.where(np.isfinite(value), value, np.nan)
        return value, np.where(np.isfinite(drawn), drawn, np.nan)


def _quantiles(drawn: Floats, at: Sequence[float]) -> Floats:
    """Return quantiles over draws, NaN for columns without a known draw."""
    found = np.full((len(at), drawn.shape[1]), np.nan)
    complete = np.isfinite(drawn).all(axis=0)
    found[:, complete] = np.quantile(drawn[:, complete], at, axis=0)
    some = np.isfinite(drawn).any(axis=0) & ~complete
    for index in np.flatnonzero(some):
        one = drawn[:, index]
        found[:, index] = np.quantile(one[np.isfinite(one)], at)
    return cast(Floats, found)
