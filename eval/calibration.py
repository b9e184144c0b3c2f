"""Do estimates of quality come true: reliability bins and their mean error, tier by tier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tierwise.eval.metrics import Floats


@dataclass(frozen=True)
class Bin:
    """Steps of similar estimates: what was expected of them and what came of them."""

    estimate: float
    outcome: float
    steps: int


def reliability(estimate: Floats, outcome: Floats, n_bins: int = 10) -> tuple[Bin, ...]:
    """Return bins of about as many steps each, from the lowest estimate to the highest.

    Bins of equal counts rather than equal widths: estimates of quality crowd together, and empty
    bins say nothing. Equal estimates stay in one bin.

    Parameters
    ----------
    estimate, outcome : ndarray of shape (n_steps,)
        Expected and true quality of one tier, 0..1; steps of unknown outcome are left out.
    n_bins : int
        At most.
    """
    known = np.isfinite(outcome) & np.isfinite(estimate)
    estimate, outcome = estimate[known], outcome[known]
    if len(estimate) == 0:
        return ()
    edges = np.unique(np.quantile(estimate, np.linspace(0, 1, n_bins + 1)[1:-1]))
    place = np.searchsorted(edges, estimate, side="right")
    return tuple(
        Bin(
            float(estimate[place == index].mean()),
            float(outcome[place == index].mean()),
            int((place == index).sum()),
        )
        for index in np.unique(place)
    )


def expected_error(bins: tuple[Bin, ...]) -> float:
    """Return the mean of |outcome - estimate| over bins, weighted by steps (ECE).

    Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", section
    on measures. It grows with noise in small bins, so a perfect estimate does not get 0.
    """
    steps = sum(one.steps for one in bins)
    if steps == 0:
        return float("nan")
    return sum(one.steps * abs(one.outcome - one.estimate) for one in bins) / steps
