"""Logs in which one tier a step was served, with the probabilities it was drawn by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput

Floats = NDArray[np.float64]

SUM_TOLERANCE = 1e-6  # how far a row of probabilities may be from 1


@dataclass(frozen=True)
class Logged:
    """Steps of which one tier each was served: first attempts only, one row a step.

    Attributes
    ----------
    served : ndarray of int64, shape (n_steps,)
        The tier of the first attempt.
    propensities : ndarray of float64, shape (n_steps, n_tiers)
        Probability with which the logging policy chose each tier, given what it saw of the step;
        the served tier's must be known, the others' may be NaN.
    unit : ndarray of str, shape (n_steps,)
        Units of the variance: steps of different units are independent.
    step : ndarray of str, shape (n_steps,)
        Keys, each once.
    """

    served: NDArray[np.int64]
    propensities: Floats
    unit: NDArray[Any]
    step: NDArray[Any]

    def __len__(self) -> int:
        return len(self.step)

    def rows(self, index: NDArray[Any]) -> Logged:
        """Return the steps at `index` (positions or a mask), in that order."""
        return Logged(
            self.served[index], self.propensities[index], self.unit[index], self.step[index]
        )


def check_logged(logged: Logged) -> None:
    """Refuse logs that cannot be weighed.

    Raises
    ------
    BadInput
        Naming the step: one that no tier served, one that occurs twice (retries are no second
        sample), or propensities that are missing, outside [0, 1], 0 for the tier served, or that
        do not sum to 1.
    """
    n_tiers = logged.propensities.shape[1]
    unserved = (logged.served < 0) | (logged.served >= n_tiers)
    refuse_steps(logged, unserved, "was served by no tier", "one tier a step", "leave it out")
    order = np.argsort(logged.step, kind="stable")
    step = logged.step[order]
    twice = np.zeros(len(step), np.bool_)
    twice[order[1:]] = step[1:] == step[:-1]
    refuse_steps(logged, twice, "occurs twice", "one row a step", "keep first attempts only")
    given, chosen = logged.propensities, of_served(logged.propensities, logged.served)
    known = np.isfinite(given)
    rule, todo = "a probability above 0 for the tier served", "mend or leave out such steps"
    refuse_steps(logged, ~np.isfinite(chosen), "has no propensity", rule, todo)
    refuse_steps(logged, chosen <= 0, "has propensity 0 or less for the tier served", rule, todo)
    out = np.any(known & ((given < 0) | (given > 1 + SUM_TOLERANCE)), axis=1)
    refuse_steps(logged, out, "has a propensity outside [0, 1]", "probabilities", todo)
    total = np.where(known, given, 0.0).sum(axis=1)
    off = np.where(known.all(axis=1), np.abs(total - 1), total - 1) > SUM_TOLERANCE
    refuse_steps(logged, off, "has propensities that do not sum to 1", "a distribution", todo)


def supported(target: Floats, logged: Logged) -> NDArray[np.bool_]:
    """Return where the logs could have served all that the policy may serve, shape (n_steps,)."""
    return np.asarray(~((target > 0) & ~could_serve(logged.propensities)).any(axis=1), np.bool_)


def could_serve(propensities: Floats) -> NDArray[np.bool_]:
    """Return which tiers the logging policy could have served, shape (n_steps, n_tiers).

    A tier of unknown propensity could have been, unless the known ones leave it nothing.
    """
    left = 1 - np.where(np.isfinite(propensities), propensities, 0.0).sum(axis=1, keepdims=True)
    return np.where(np.isfinite(propensities), propensities > 0, left > SUM_TOLERANCE)


def of_served(values: Floats, served: NDArray[np.int64]) -> Floats:
    """Return the entry of the tier served, shape (n_steps,), from one a tier."""
    return np.asarray(values[np.arange(len(served)), served], np.float64)


def refuse_steps(logged: Logged, bad: NDArray[Any], what: str, expected: str, todo: str) -> None:
    """Raise where a step is bad, naming the first in the order of keys."""
    if bad.any():
        first = np.sort(logged.step[bad])[0]
        many = f" (and {int(bad.sum()) - 1:,} more)" if bad.sum() > 1 else ""
        raise BadInput(f"step {first}{many} {what}", expected, todo)
