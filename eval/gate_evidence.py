"""What the test part says of a challenger beside what serves now, as one number a step each.

Both questions of the gate are about means over the same steps: how far quality lies above the
floor, and how much dearer the challenger is than the champion. With every outcome known the
numbers are plain differences. With one tier served a step they are doubly robust scores (Dudik,
Langford and Li 2011, equation 2): their mean is the same, whatever the outcome model says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.eval.estimators import effective_size, scores, weights
from tierwise.eval.logged import Floats, Logged, of_served
from tierwise.training.promise import Floor

Tiers = NDArray[np.int64]


@dataclass(frozen=True)
class Choices:
    """What is compared: the tier that each policy serves, shape (n_steps,), and the reference."""

    challenger: Tiers
    champion: Tiers
    reference: int


@dataclass(frozen=True)
class Evidence:
    """One number a step for each question.

    Attributes
    ----------
    quality : ndarray of shape (n_steps,)
        Of mean 0 where the challenger keeps its floor exactly, above where it keeps more.
    cost : ndarray of shape (n_steps,)
        USD; of mean below 0 where the challenger is cheaper than the champion.
    worst : float
        The lowest number for `quality` that a step could have got.
    weight : ndarray of shape (n_steps,)
        Of the step's outcome for the challenger; 1 where every outcome is known.
    unit, role : ndarray of str, shape (n_steps,)
        Units are independent of each other; a role is "" where unknown.
    effective : float
        Steps served by both policies themselves that would tell as much.
    """

    quality: Floats
    cost: Floats
    worst: float
    weight: Floats
    unit: NDArray[Any]
    role: NDArray[np.str_]
    effective: float


def known_evidence(
    quality: Floats,
    cost: Floats,
    choices: Choices,
    floor: Floor,
    unit: NDArray[Any],
    role: NDArray[np.str_],
) -> Evidence:
    """Return the evidence of steps whose outcome is known for every tier.

    Parameters
    ----------
    quality, cost : ndarray of shape (n_steps, n_tiers)
        Quality 0..1; USD, retries included.
    choices : Choices
    floor : Floor
    unit, role : ndarray of str, shape (n_steps,)
    """
    served = of_served(quality, choices.challenger)
    usual = quality[:, choices.reference]
    if floor.kind == "retain":
        above = served - floor.level * usual
    elif floor.kind == "absolute":
        above = served - floor.level
    else:
        above = (1 - floor.level) - np.maximum(usual - served, 0.0)
    dearer = of_served(cost, choices.challenger) - of_served(cost, choices.champion)
    worst = float(above.min())
    return Evidence(above, dearer, worst, np.ones(len(above)), unit, role, float(len(above)))


def logged_evidence(
    logged: Logged,
    quality: Floats,
    cost: Floats,
    expected_quality: Floats,
    expected_cost: Floats,
    choices: Choices,
    floor: Floor,
    role: NDArray[np.str_],
) -> Evidence:
    """Return the evidence of steps of which one tier was served, drawn with known probability.

    Parameters
    ----------
    logged : Logged
    quality, cost : ndarray of shape (n_steps,)
        Of the tier served: 0..1; USD of all attempts.
    expected_quality, expected_cost : ndarray of shape (n_steps, n_tiers)
        From a model that saw no step of the same unit.
    choices : Choices
    floor : Floor
    role : ndarray of str, shape (n_steps,)

    Raises
    ------
    BadInput
        Where the floor compares two outcomes of the same step, or the logs cannot tell: a bad
        propensity, or a tier that could not have been served.
    """
    if floor.kind == "miss":
        raise BadInput(
            "a miss floor, and logs that hold one tier a step",
            "a floor that logs can show: retain or absolute",
            "set certify.floor, or log several tiers on the same steps",
        )
    n_tiers = logged.propensities.shape[1]
    always = np.full(len(logged), choices.reference)
    challenger, champion, reference = (
        np.eye(n_tiers)[tier] for tier in (choices.challenger, choices.champion, always)
    )
    compared = [challenger, champion] + ([reference] if floor.kind == "retain" else [])
    effective = min(effective_size(target, logged) for target in compared)
    above = scores(challenger, logged, quality, expected_quality)
    if floor.kind == "retain":
        above -= floor.level * scores(reference, logged, quality, expected_quality)
    else:
        above -= floor.level
    dearer = scores(challenger - champion, logged, cost, expected_cost)
    worst = min(float(above.min()), _had_it_failed(choices, floor, logged, expected_quality))
    weight = weights(challenger, logged)
    return Evidence(above, dearer, worst, weight, logged.unit, role, effective)


def _had_it_failed(
    choices: Choices, floor: Floor, logged: Logged, expected_quality: Floats
) -> float:
    """Return the lowest number of a step that draws the challenger's tier and gets quality 0."""
    expected = of_served(expected_quality, choices.challenger)
    chance = of_served(logged.propensities, choices.challenger)
    usual = expected_quality[:, choices.reference] if floor.kind == "retain" else 1.0
    # NaN where only the propensity of another tier is known.
    return float(np.nanmin(expected - expected / chance - floor.level * usual, initial=0.0))
