"""The simulated world: how hard each thing is, how able each tier is, and so the true expectations.

    difficulty = spread * (sqrt(role_share) role/task + sqrt(text_share) text
                           + sqrt(trace_share) trace + sqrt(noise_share) noise)
    mean quality = sigmoid(sharpness (ability[tier] - difficulty
                                      + quirk[task, tier] + quirk[language, tier]))

Each of the four parts has mean 0 and variance 1 over the fleet's steps, so that the shares are the
shares of the difficulty's variance where they add up to 1. The text part alone depends on words.
The sharpness is 1, and less for roles whose quality is a grade.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, expit

from tierwise.data.fleet_params import FleetParams
from tierwise.data.fleet_plan import NO_CONSTRAINT, SIZE_SHARES, Plan, draw_plan
from tierwise.data.fleet_roles import (
    GRADE_CONCENTRATION,
    GRADE_SHARPNESS,
    TASK_BASE,
    TASK_GRADED,
    TASK_TOKENS,
    TASKS,
    WRONG_PASSES,
)
from tierwise.data.fleet_tiers import Tier, make_ladder
from tierwise.data.fleet_words import (
    CONSTRAINTS,
    LANGUAGE_SHARES,
    N_OPERATIONS,
    N_TOPICS,
    SCARCE,
)

Floats = NDArray[np.float64]

# How the text part's variance is divided: what is asked, about what, both together, the two
# constraints, the language, how much is attached. A free choice.
TEXT_PARTS = {
    "operation": 0.35,
    "topic": 0.20,
    "pair": 0.07,
    "constraint": 0.23,
    "language": 0.05,
    "size": 0.10,
}


@dataclass(frozen=True)
class World:
    """Prices, abilities and effects; every expectation follows from it.

    Attributes
    ----------
    params : FleetParams
        What it was made of.
    tiers : tuple of Tier
        In order of mean cost, n_tiers of them.
    task : ndarray of shape (n_tasks,)
        Role/task part of the difficulty.
    operation : ndarray of shape (n_tasks, n_operations)
        Text part; mean 0 over the operations that the task asks for.
    topic, constraint, language, size : ndarray
        Text part, one value a word, sentence, language, size.
    pair : ndarray of shape (n_operations, n_topics)
        Text part: what only the two together say.
    task_quirk, language_quirk : ndarray of shape (n_tasks or n_languages, n_tiers)
        Logits by which a tier is better than its ability there.
    """

    params: FleetParams
    tiers: tuple[Tier, ...]
    task: Floats
    operation: Floats
    topic: Floats
    constraint: Floats
    language: Floats
    size: Floats
    pair: Floats
    task_quirk: Floats
    language_quirk: Floats


@dataclass(frozen=True)
class Truth:
    """Expectations given everything that was drawn about a step; arrays (n_steps, n_tiers).

    Attributes
    ----------
    quality : ndarray
        Mean quality, 0..1.
    cost : ndarray
        Mean cost of one call, USD.
    invalid : ndarray
        P(the deterministic check fails); 0 where the step has no schema.
    """

    quality: Floats
    cost: Floats
    invalid: Floats


def make_world(params: FleetParams, rng: np.random.Generator) -> World:
    """Draw the effects of a world.

    The role/task part is the base difficulty of `fleet_roles` plus a little of this world's own,
    standardized over a pilot of 4,000 traces; all words get effects of this world alone.
    """
    tiers = make_ladder(params.tiers)
    pilot = draw_plan(4000, params.steps_min, params.steps_max, rng)
    frequency = np.bincount(pilot.task, minlength=len(TASKS)) / len(pilot)
    asked = np.zeros((len(TASKS), N_OPERATIONS))
    for row, task in zip(asked, TASKS, strict=True):
        row[list(task.operations)] = 1 / len(task.operations)
    common = rng.standard_normal(N_OPERATIONS)
    operation = common + 0.5 * rng.standard_normal((len(TASKS), N_OPERATIONS))
    sentences = np.full(len(CONSTRAINTS), (1 - NO_CONSTRAINT) / (len(CONSTRAINTS) - 1))
    sentences[0] = NO_CONSTRAINT
    words = rng.standard_normal(len(CONSTRAINTS))
    words[0] = -0.5  # an unconstrained step is easier than most
    pair = rng.standard_normal((N_OPERATIONS, N_TOPICS))
    pair = (pair - pair.mean(axis=1, keepdims=True)) / pair.std(axis=1, keepdims=True)
    return World(
        params=params,
        tiers=tiers,
        task=_standard(TASK_BASE + 0.15 * rng.standard_normal(len(TASKS)), frequency),
        operation=np.stack([_standard(e, p) for e, p in zip(operation, asked, strict=True)]),
        topic=_standard(rng.standard_normal(N_TOPICS), np.full(N_TOPICS, 1 / N_TOPICS)),
        constraint=_standard(words, sentences),
        language=_standard(np.array(SCARCE), np.array(LANGUAGE_SHARES)),
        size=_standard(np.array([0.0, 1.0, 2.0]), np.array(SIZE_SHARES)),
        pair=pair,
        task_quirk=params.quirks * _task_quirks(tiers, rng),
        language_quirk=params.quirks * _language_quirks(tiers),
    )


def parts(world: World, plan: Plan) -> dict[str, Floats]:
    """Return the four parts of the difficulty in logits: role, text, trace, noise, each (n_steps,).

    Their sum is the difficulty.
    """
    p = world.params
    text = {
        "operation": world.operation[plan.task, plan.operation],
        "topic": world.topic[plan.topic],
        "pair": world.pair[plan.operation, plan.topic],
        "constraint": (world.constraint[plan.constraint_a] + world.constraint[plan.constraint_b])
        / np.sqrt(2),
        "language": world.language[plan.language],
        "size": world.size[plan.size],
    }
    raw = {
        "role": world.task[plan.task],
        "text": sum((np.sqrt(TEXT_PARTS[k]) * v for k, v in text.items()), np.zeros(len(plan))),
        "trace": plan.trace_effect,
        "noise": plan.noise,
    }
    return {k: p.spread * np.sqrt(getattr(p, f"{k}_share")) * v for k, v in raw.items()}


def truth(world: World, plan: Plan) -> Truth:
    """Return the true expectations of every tier on every step."""
    ability = np.array([tier.ability for tier in world.tiers])
    difficulty = sum(parts(world, plan).values(), np.zeros(len(plan)))
    logits = ability - difficulty[:, None] + world.task_quirk[plan.task]
    # What is only visible in the text goes with the text's share, quirks included.
    logits += (world.params.text_share > 0) * world.language_quirk[plan.language]
    sharpness = np.where(TASK_GRADED[plan.task], GRADE_SHARPNESS, 1.0)
    quality = np.asarray(expit(sharpness[:, None] * logits), dtype=np.float64)
    return Truth(quality, _mean_cost(world, plan), _invalid(quality, plan))


def answer_tokens(plan: Plan) -> Floats:
    """Return the mean tokens of an answer, (n_steps,), reasoning not counted."""
    return TASK_TOKENS[plan.task] * plan.verbosity


def _mean_cost(world: World, plan: Plan) -> Floats:
    fresh, cached = plan.input_tokens - plan.cached_tokens, plan.cached_tokens
    columns = [
        fresh * t.price_in
        + cached * t.price_cached
        + answer_tokens(plan) * (1 + t.reasoning) * t.price_out
        for t in world.tiers
    ]
    return np.stack(columns, axis=1) / 1e6


def _invalid(quality: Floats, plan: Plan) -> Floats:
    """Return P(check fails) = P(not ok) * P(the check notices); only steps with a schema."""
    wrong = 1 - quality
    graded = TASK_GRADED[plan.task]
    mean = quality[graded]
    a, b = GRADE_CONCENTRATION * mean, GRADE_CONCENTRATION * (1 - mean)
    wrong[graded] = betainc(np.maximum(a, 1e-9), np.maximum(b, 1e-9), 0.5)
    noticed = plan.has_schema * (1 - WRONG_PASSES[plan.task])
    result: Floats = wrong * noticed[:, None]
    return result


def _standard(effect: Floats, probability: Floats) -> Floats:
    """Shift and scale to mean 0 and variance 1 under `probability`; 0 where that is 0."""
    centered = effect - probability @ effect
    scaled: Floats = centered / np.sqrt(probability @ centered**2)
    return scaled * (probability > 0)


def _task_quirks(tiers: tuple[Tier, ...], rng: np.random.Generator) -> Floats:
    """Return what a tier is unusually good or bad at: some of it for reasons, some by chance."""
    place = np.array([tier.position for tier in tiers])
    effort = np.array([float(tier.effort == "high") for tier in tiers])
    quirks = rng.normal(0.0, 0.3, (len(TASKS), len(tiers)))
    for row, task in zip(quirks, TASKS, strict=True):
        if task.role in ("extractor", "router"):
            row += 2.2 * (1 - place) - 1.2 * effort  # small models copy and label nearly as well
        if task.name in ("rename_symbols", "extract_dates", "pick_queue"):
            row -= 4.0 * place  # the dear ones do more than was asked
        if task.role == "critic":
            row += 1.2 * (1 - np.abs(2 * place - 1))  # mid is nearly as good a critic
        if task.role == "coder" or task.name == "write_sql":
            row += 1.0 * effort  # reasoning pays
    return quirks


def _language_quirks(tiers: tuple[Tier, ...]) -> Floats:
    place = np.array([tier.position for tier in tiers])
    quirks: Floats = -2.0 * np.outer(SCARCE, 1 - place)
    return quirks
