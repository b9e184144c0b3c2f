"""What comes of every step at every tier, drawn around the true expectations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tierwise.data.fleet_plan import Plan
from tierwise.data.fleet_roles import GRADE_CONCENTRATION, TASK_GRADED, WRONG_PASSES
from tierwise.data.fleet_world import Truth, World, answer_tokens, truth

Floats = NDArray[np.float64]

OK_AT = 0.5  # a graded answer below it is wrong; matters only for what a check notices
LENGTH_SIGMA = 0.25  # log-normal spread of an answer's length from run to run
LATENCY_SIGMA = 0.3


@dataclass(frozen=True)
class Outcomes:
    """One run of every tier on every step; arrays of shape (n_steps, n_tiers).

    Attributes
    ----------
    quality : ndarray
        0 or 1; anything between for graded roles.
    valid : ndarray
        1 or 0 as the deterministic check says, NaN where the step has no schema.
    cost : ndarray
        USD.
    latency : ndarray
        Seconds.
    output_tokens, reasoning_tokens : ndarray
        Tokens billed at the output price; the second are part of the first.
    """

    quality: Floats
    valid: Floats
    cost: Floats
    latency: Floats
    output_tokens: Floats
    reasoning_tokens: Floats


def outcomes(
    world: World, plan: Plan, rng: np.random.Generator, expected: Truth | None = None
) -> Outcomes:
    """Draw outcomes; a second call gives the same steps another run.

    Parameters
    ----------
    world : World
        Abilities, effects and prices; it need not be the one whose texts the steps carry.
    plan : Plan
        The steps, with everything hidden about them.
    rng : numpy.random.Generator
        Source of every draw.
    expected : Truth, optional
        `truth(world, plan)` where it is at hand.
    """
    mean = (expected or truth(world, plan)).quality
    quality = _quality(mean, plan, rng)
    answer, reasoning = _tokens(world, plan, rng)
    return Outcomes(
        quality=quality,
        valid=_valid(quality, plan, rng),
        cost=_cost(world, plan, answer + reasoning),
        latency=_latency(world, answer + reasoning, rng),
        output_tokens=answer + reasoning,
        reasoning_tokens=reasoning,
    )


def _quality(mean: Floats, plan: Plan, rng: np.random.Generator) -> Floats:
    quality = (rng.random(mean.shape) < mean).astype(np.float64)
    graded = TASK_GRADED[plan.task]
    a = np.maximum(GRADE_CONCENTRATION * mean[graded], 1e-6)
    b = np.maximum(GRADE_CONCENTRATION * (1 - mean[graded]), 1e-6)
    quality[graded] = rng.beta(a, b)
    return quality


def _valid(quality: Floats, plan: Plan, rng: np.random.Generator) -> Floats:
    """Draw the check: a right answer passes, a wrong one does at its task's rate."""
    passes = rng.random(quality.shape) < WRONG_PASSES[plan.task][:, None]
    valid = ((quality >= OK_AT) | passes).astype(np.float64)
    valid[~plan.has_schema] = np.nan
    return valid


def _tokens(world: World, plan: Plan, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw whole tokens of answer and reasoning, with the means that `truth` counts with."""
    shape = (len(plan), len(world.tiers))
    shift, sigma = -(LENGTH_SIGMA**2) / 2, LENGTH_SIGMA
    answer = answer_tokens(plan)[:, None] * rng.lognormal(shift, sigma, shape)
    factor = np.array([tier.reasoning for tier in world.tiers])
    reasoning = factor * answer_tokens(plan)[:, None] * rng.lognormal(shift, sigma, shape)
    return _whole(answer, rng), _whole(reasoning, rng)


def _whole(value: Floats, rng: np.random.Generator) -> Floats:
    """Round up or down at random, so that the mean stays."""
    return np.floor(value + rng.random(value.shape))


def _cost(world: World, plan: Plan, billed: Floats) -> Floats:
    price_in = np.array([tier.price_in for tier in world.tiers])
    price_cached = np.array([tier.price_cached for tier in world.tiers])
    price_out = np.array([tier.price_out for tier in world.tiers])
    fresh = (plan.input_tokens - plan.cached_tokens)[:, None]
    total = fresh * price_in + plan.cached_tokens[:, None] * price_cached + billed * price_out
    result: Floats = total / 1e6
    return result


def _latency(world: World, billed: Floats, rng: np.random.Generator) -> Floats:
    first = np.array([tier.first_token_s for tier in world.tiers])
    each = np.array([tier.token_s for tier in world.tiers])
    jitter = rng.lognormal(0.0, LATENCY_SIGMA, billed.shape)
    result: Floats = (first + each * billed) * jitter
    return result
