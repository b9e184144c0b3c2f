"""One-sided bounds of a mean over steps that hold where bad outcomes are rare and heavy.

A tier that was drawn seldom is known from few steps of large weight. Where by chance none of them
failed, both the mean and its error look too good, and the usual bound is passed far more often than
it says (docs/promotion.md has the figures). So each bound is that of the steps and of one more, as
bad as a step can be: what an unseen outcome could do is in it, and with many steps it vanishes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.eval.estimators import plain_mean

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bounds:
    """A mean, and what it is at least and at most, each with the same confidence."""

    value: float
    low: float
    high: float


def bounds(
    values: Floats, unit: NDArray[Any], confidence: float, lowest: float, highest: float
) -> Bounds:
    """Return the mean of one number a step with its one-sided bounds.

    Student t on sums of units, each bound with one more step that is a unit of its own.

    Parameters
    ----------
    values : ndarray of shape (n_steps,)
    unit : ndarray of shape (n_steps,)
        Units are independent of each other; steps of one need not be.
    confidence : float
        Of each bound, in (0.5, 1).
    lowest, highest : float
        The number of the one more step of the lower and of the upper bound.
    """
    code = np.unique(unit, return_inverse=True)[1]
    more, central = np.append(code, code.max() + 1), 2 * confidence - 1
    return Bounds(
        float(values.mean()),
        plain_mean(np.append(values, lowest), more, central).low,
        plain_mean(np.append(values, highest), more, central).high,
    )
