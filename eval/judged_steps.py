"""Recorded steps on which a policy can be judged: every outcome known, or one tier's a step.

Both kinds answer the same two questions: what a policy is worth, and how two policies differ.
Quality is that of the first answer; cost is that of all attempts of the step.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.eval import estimators
from tierwise.eval.estimators import Estimate, Logged, plain_mean
from tierwise.eval.logged import Floats, of_served, supported
from tierwise.eval.outcome_model import cross_fitted
from tierwise.eval.served import with_retries
from tierwise.features.steps import StepTable

Tiers = NDArray[np.int64]
Mask = NDArray[np.bool_]

ROUNDING = 1.001e-3  # by which the sum of propensities of three or four digits may miss 1
CERTAIN = 0.9999  # level at which propensities that cannot be true are called so


@dataclass(frozen=True)
class Worth:
    """A policy's mean quality and mean cost in USD a step; `other` holds what else was estimated.

    `other` maps the name of an estimator to its quality and cost.
    """

    quality: Estimate
    cost: Estimate
    other: dict[str, tuple[Estimate, Estimate]]

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        return _pair(self.quality, self.cost) | {
            "steps": self.quality.steps,
            "units": self.quality.units,
            "effective": self.quality.effective,
            **{name: _pair(*both) for name, both in self.other.items()},
        }


class JudgedSteps(Protocol):
    """Steps on which policies are judged; a policy is the tier it serves at each."""

    @property
    def level(self) -> float:
        """Of every interval."""

    def worth(self, tier: Tiers, mask: Mask | None = None) -> Worth:
        """Return what a policy is worth, on some of the steps where `mask` is given.

        Raises
        ------
        BadInput
            Where the steps cannot tell.
        """

    def difference(self, a: Tiers, b: Tiers, share: float = 1.0) -> Worth:
        """Return a's worth less `share` of b's, step by step; raises as `worth`."""

    def logging(self, mask: Mask | None = None) -> Worth | None:
        """Return what was served, None where no single policy served these steps."""


@dataclass(frozen=True)
class FullSteps:
    """Steps whose outcome is known for every tier; quality and cost (n_steps, n_tiers)."""

    quality: Floats
    cost: Floats
    unit: NDArray[Any]
    level: float = 0.95

    def worth(self, tier: Tiers, mask: Mask | None = None) -> Worth:
        """Return plain means."""
        at = _rows(mask, len(tier))
        return self._mean(self.quality[at, tier[at]], self.cost[at, tier[at]], self.unit[at])

    def difference(self, a: Tiers, b: Tiers, share: float = 1.0) -> Worth:
        """Return plain means of the differences."""
        rows = np.arange(len(a))
        quality, cost = (of[rows, a] - share * of[rows, b] for of in (self.quality, self.cost))
        return self._mean(quality, cost, self.unit)

    def logging(self, mask: Mask | None = None) -> Worth | None:
        """Return None: every tier was asked."""
        return None

    def _mean(self, quality: Floats, cost: Floats, unit: NDArray[Any]) -> Worth:
        found = [plain_mean(values, unit, self.level) for values in (quality, cost)]
        return Worth(found[0], found[1], {})


@dataclass(frozen=True)
class LoggedSteps:
    """Steps of which one tier's outcome is known, drawn with known probabilities.

    Attributes
    ----------
    logged : Logged
    outcome : tuple of two ndarray, each of shape (n_steps,)
        Quality and cost of the tier served.
    predicted : tuple of two ndarray, each of shape (n_steps, n_tiers)
        What a model that saw no step of the same unit expects of them.
    level : float
    """

    logged: Logged
    outcome: tuple[Floats, Floats]
    predicted: tuple[Floats, Floats]
    level: float = 0.95

    def worth(self, tier: Tiers, mask: Mask | None = None) -> Worth:
        """Return the doubly robust value; the self-normalized and the direct one are beside it."""
        rows = _rows(mask, len(tier))
        logged, level = self.logged.rows(rows), self.level
        target = self._one_hot(tier)[rows]
        robust, snips, direct = [], [], []
        for outcome, predicted in zip(self.outcome, self.predicted, strict=True):
            y, guess = outcome[rows], predicted[rows]
            robust.append(estimators.doubly_robust(target, logged, y, guess, level))
            snips.append(estimators.snips(target, logged, y, level))
            direct.append(estimators.direct(target, guess, logged.unit, level))
        beside = {"snips": (snips[0], snips[1]), "direct": (direct[0], direct[1])}
        return Worth(robust[0], robust[1], beside)

    def difference(self, a: Tiers, b: Tiers, share: float = 1.0) -> Worth:
        """Return the doubly robust difference, paired by step."""
        return self._less(self._one_hot(a), self._one_hot(b), share)

    def from_logging(self, tier: Tiers) -> Worth:
        """Return the policy's worth less that of the one that logged, paired by step.

        Raises
        ------
        BadInput
            As `worth`, and where only the served tier's propensity is known.
        """
        if not np.isfinite(self.logged.propensities).all():
            raise BadInput(
                "propensities of the served tiers alone", "those of all tiers", "log propensities"
            )
        return self._less(self._one_hot(tier), self.logged.propensities, 1.0)

    def logging(self, mask: Mask | None = None) -> Worth | None:
        """Return the plain means of what was served."""
        rows = _rows(mask, len(self.logged))
        unit = self.logged.unit[rows]
        found = [plain_mean(outcome[rows], unit, self.level) for outcome in self.outcome]
        return Worth(found[0], found[1], {})

    def doubted(self) -> list[int]:
        """Return tiers whose propensities cannot be those that they were drawn by.

        The mean of [served] / propensity is 1 where they are; a tier is named where 1 is outside
        the interval of level `CERTAIN`, and passed over where too few steps tell.
        """
        n_steps, n_tiers = self.logged.propensities.shape
        found = []
        for tier in range(n_tiers):
            target = self._one_hot(np.full(n_steps, tier))
            if not supported(target, self.logged).all():
                continue
            if estimators.effective_size(target, self.logged) < estimators.LEAST_EFFECTIVE:
                continue
            mean = estimators.ips(target, self.logged, np.ones(n_steps), CERTAIN)
            if not mean.low <= 1 <= mean.high:
                found.append(tier)
        return found

    def _less(self, a: Floats, b: Floats, share: float) -> Worth:
        found = [
            estimators.paired_difference(a, b, self.logged, outcome, predicted, self.level, share)
            for outcome, predicted in zip(self.outcome, self.predicted, strict=True)
        ]
        return Worth(found[0], found[1], {})

    def _one_hot(self, tier: Tiers) -> Floats:
        return np.eye(self.logged.propensities.shape[1])[tier]


def full_steps(table: StepTable, level: float = 0.95) -> tuple[FullSteps, NDArray[np.int64]]:
    """Return the steps whose quality is known for every tier, and their positions in `table`.

    An unknown cost becomes the tier's mean; a failed check is paid for by the next tier up.
    """
    keep = np.flatnonzero(np.isfinite(table.quality).all(axis=1))
    cost, known = table.cost[keep], np.isfinite(table.cost[keep])
    mean = np.where(known, cost, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    ladder = (*range(1, len(table.tiers)), -1)
    paid = with_retries(np.where(known, cost, mean), table.valid[keep], ladder)
    return FullSteps(table.quality[keep], paid, table.unit[keep], level), keep


def logged_steps(table: StepTable, role: NDArray[Any], level: float = 0.95) -> LoggedSteps:
    """Return steps that can all be weighed, with an outcome model of roles.

    Propensities that miss 1 by no more than the digits of a log are divided by their sum.

    Parameters
    ----------
    table : StepTable
        Steps with a tier served, its propensity, its quality and the cost of the step.
    role : ndarray of str, shape (n_steps,)
    level : float

    Raises
    ------
    BadInput
        Where propensities cannot be true of any policy, naming a step.
    """
    total = table.propensities.sum(axis=1, keepdims=True)
    rounded = np.abs(total - 1) <= ROUNDING  # False where a tier's is unknown
    propensities = np.where(rounded, table.propensities / total, table.propensities)
    logged = Logged(table.served, propensities, table.unit, table.step)
    outcome = (of_served(table.quality, table.served), table.ladder_cost)
    guesses = [cross_fitted(logged, one, role) for one in outcome]
    return LoggedSteps(logged, outcome, (guesses[0], guesses[1]), level)


def _rows(mask: Mask | None, n_steps: int) -> NDArray[np.int64]:
    return np.arange(n_steps) if mask is None else np.flatnonzero(mask)


def _pair(quality: Estimate, cost: Estimate) -> dict[str, Any]:
    kept = ("value", "low", "high", "error")
    return {
        name: {key: value for key, value in asdict(one).items() if key in kept}
        for name, one in (("quality", quality), ("cost_usd", cost))
    }
