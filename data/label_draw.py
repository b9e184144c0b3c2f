"""Which traces to label: whole ones, at random, each with a known probability, within a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from tierwise.data.errors import BadInput

_SAFETY = 2.0
"""Standard deviations between the expected price of a draw and the budget."""
_DRAWS = 200
"""By Cantelli's inequality one draw in five at most is beyond `_SAFETY`; this many never are."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def strata(role: pd.Series, trace: Ints) -> tuple[list[str], Ints]:
    """Put each trace into the stratum of its rarest role.

    Parameters
    ----------
    role : Series of str, shape (n_steps,)
        "" where unknown.
    trace : ndarray of int64, shape (n_steps,)
        0..n_traces-1.

    Returns
    -------
    roles : list of str
        One a stratum.
    stratum : ndarray of int64, shape (n_traces,)
        Index into `roles`.
    """
    counts = role.value_counts()
    rarest = sorted(counts.index, key=lambda name: (counts[name], name))
    rank = role.map({name: place for place, name in enumerate(rarest)}).to_numpy(np.int64)
    of_trace = pd.Series(rank).groupby(trace).min().to_numpy(np.int64)
    used, code = np.unique(of_trace, return_inverse=True)
    return [rarest[place] for place in used], code.astype(np.int64)


def least_probability(
    role: pd.Series,
    trace: Ints,
    stratum: Ints,
    roles: Sequence[str],
    per_role: Mapping[str, int],
) -> Floats:
    """Find the probabilities that give enough steps of single roles in expectation.

    Parameters
    ----------
    role, trace, stratum, roles
        As in `strata`.
    per_role : mapping of str to int
        Steps wanted of a role.

    Returns
    -------
    ndarray of float64, shape (n_strata,)
        The greatest share that any role in the stratum's traces asks for, 0..1.

    Raises
    ------
    BadInput
        For a role that does not occur.
    """
    least = np.zeros(len(roles))
    for name, wanted in per_role.items():
        of_role = (role == name).to_numpy()
        if not of_role.any():
            raise BadInput(
                f"--per-role {name}: no such role among the steps that can be labeled",
                f"one of {', '.join(sorted(set(role) - {''})) or 'none: the log has no roles'}",
                "mend --per-role",
            )
        share = min(1.0, wanted / int(of_role.sum()))
        places = np.unique(stratum[trace[of_role]])
        least[places] = np.maximum(least[places], share)
    return least


def inclusion(stratum: Ints, price: Floats, least: Floats, budget_usd: float) -> Floats:
    """Find the largest probabilities of inclusion that the budget can pay.

    One probability for all strata, raised where `least` asks for more: with equal probabilities
    plain means over the labeled steps estimate means over the log.

    Parameters
    ----------
    stratum : ndarray of int64, shape (n_traces,)
        0..n_strata-1.
    price : ndarray of float64, shape (n_traces,)
        Expected price of labeling the whole trace, USD, above 0.
    least : ndarray of float64, shape (n_strata,)
        Least probability of each stratum, 0..1.
    budget_usd : float
        For all that is drawn.

    Returns
    -------
    ndarray of float64, shape (n_strata,)
        Probability to propose a trace of the stratum; 1 where everything can be paid.

    Raises
    ------
    BadInput
        Where the budget pays less than one trace, or less than `least`.
    """
    if price.sum() <= budget_usd:
        return np.ones(len(least))
    needed = _reserve(np.maximum(0.0, least), stratum, price)
    if least.any() and needed > budget_usd:
        raise BadInput(
            f"a budget with room for {budget_usd:.4g} USD of calls",
            f"about {needed:.4g} USD for these --per-role",
            "raise --budget-usd, or ask for fewer steps",
        )
    low, high = 0.0, 1.0
    for _ in range(50):  # halvings: more than a float64 can tell apart in n_traces
        middle = (low + high) / 2
        fits = _reserve(np.maximum(middle, least), stratum, price) <= budget_usd
        low, high = (middle, high) if fits else (low, middle)
    probability = np.maximum(low, least)
    if float(probability[stratum].sum()) < 1:
        raise BadInput(
            f"a budget with room for {budget_usd:.4g} USD of calls: less than one trace",
            f"several times the {price.mean():.4g} USD of the mean trace",
            "raise --budget-usd, or name fewer or cheaper tiers",
        )
    return probability


def draw(
    stratum: Ints,
    price: Floats,
    probability: Floats,
    budget_usd: float,
    rng: np.random.Generator,
) -> Ints:
    """Draw traces without replacement within each stratum.

    A stratum of N traces gives floor(N p + u) of them, u uniform in [0, 1), so that each trace is
    proposed with probability p exactly. A draw beyond the budget is thrown away as a whole and
    repeated (rejective sampling: Fuller 2009, Biometrika 96, "Some design properties of a
    rejective sampling procedure"). `inclusion` leaves room for that to be rare, and `recorded`
    says what it changes.

    Parameters
    ----------
    stratum, price, budget_usd
        As in `inclusion`.
    probability : ndarray of float64, shape (n_strata,)
        From `inclusion`.
    rng : Generator
        Makes the draw.

    Returns
    -------
    ndarray of int64, shape (n_drawn,)
        Indices of traces in random order: a run that stops early has labeled a random part.

    Raises
    ------
    BadInput
        Where no draw fits the budget.
    """
    members = [np.flatnonzero(stratum == place) for place in range(len(probability))]
    for _ in range(_DRAWS):
        chosen = []
        for one, p in zip(members, probability.tolist(), strict=True):
            size = min(int(np.floor(len(one) * p + rng.random())), len(one))
            chosen.append(rng.permutation(one)[:size])
        drawn = rng.permutation(np.concatenate(chosen))
        if len(drawn) and price[drawn].sum() <= budget_usd:
            return drawn.astype(np.int64)
    raise BadInput(
        f"a budget with room for {budget_usd:.4g} USD of calls, which no draw keeps",
        f"several times the {price.mean():.4g} USD of the mean trace",
        "raise --budget-usd, or name fewer or cheaper tiers",
    )


def recorded(stratum: Ints, price: Floats, probability: Floats, budget_usd: float) -> Floats:
    """Say how likely each trace is to be among what `draw` returns.

    A draw with a dear trace in it is thrown away more often. By Bayes' rule a trace that was
    proposed with probability p is kept with p P(within budget | it is in) / P(within budget);
    both are taken from normal approximations of the price of a draw.

    Parameters
    ----------
    stratum, price, probability, budget_usd
        As in `draw`.

    Returns
    -------
    ndarray of float64, shape (n_traces,)
        Probabilities, 0..1.
    """
    law = _Law.of(probability, stratum, price)
    if law.variance == 0:
        return probability[stratum]
    n, mean, m = law.n[stratum], law.mean[stratum], law.expected_n[stratum]
    others = (n * mean - price) / np.maximum(n - 1, 1)
    size = m + law.rounding[stratum] / m  # expected size of the stratum's draw with the trace in it
    shift = price + (size - 1) * others - m * mean
    own = (price - mean) ** 2 * n / np.maximum(n - 1, 1) / np.maximum(law.squares[stratum], 1e-300)
    rest = law.variance - law.within[stratum] * np.minimum(own, 1)
    room = budget_usd - law.expected
    given = ndtr((room - shift) / np.sqrt(np.maximum(rest, 1e-12 * law.variance)))
    kept: Floats = probability[stratum] * given / ndtr(room / np.sqrt(law.variance))
    return np.minimum(kept, 1.0)


@dataclass(frozen=True)
class _Law:
    """The price of a draw: its mean and variance, and by stratum (n_strata,) what they are of."""

    n: Floats
    mean: Floats
    squares: Floats  # sum of squared deviations from the mean
    expected_n: Floats
    rounding: Floats  # variance of the number drawn
    within: Floats  # variance of the price at a fixed number
    expected: float
    variance: float

    @classmethod
    def of(cls, probability: Floats, stratum: Ints, price: Floats) -> _Law:
        n_strata = len(probability)
        n = np.bincount(stratum, minlength=n_strata).astype(np.float64)
        total = np.bincount(stratum, price, n_strata).astype(np.float64)
        mean = total / np.maximum(n, 1)
        squares = np.bincount(stratum, (price - mean[stratum]) ** 2, n_strata).astype(np.float64)
        within = n * probability * (1 - probability) * squares / np.maximum(n - 1, 1)
        part = (n * probability) % 1.0  # of a trace, which is drawn or not
        rounding = part * (1 - part)
        variance = float((within + rounding * mean**2).sum())
        expected = float((probability * total).sum())
        return cls(n, mean, squares, n * probability, rounding, within, expected, variance)


def _reserve(probability: Floats, stratum: Ints, price: Floats) -> float:
    """Return the expected price of a draw plus `_SAFETY` standard deviations, in USD."""
    law = _Law.of(probability, stratum, price)
    return law.expected + _SAFETY * float(np.sqrt(law.variance))
