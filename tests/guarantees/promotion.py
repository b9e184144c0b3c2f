"""Simulated logs in which it is known whether a challenger should be promoted.

A cell has one large population of traces. The champion serves by a score of the step, the
challenger by another one; the logs hold the champion's tier, or any tier on the share of steps that
is explored, and one outcome a step. What is exactly at the boundary is put there on
the population: the floor a hair above the challenger's true quality, or its cost a hair above the
champion's. A world draws traces with replacement and asks the rules that the gate asks, with doubly
robust scores on a table of role means from other traces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tierwise.eval.gate_evidence import Choices, Evidence, known_evidence, logged_evidence
from tierwise.eval.gate_rules import GateParams, statistical
from tierwise.eval.logged import Logged
from tierwise.training.promise import Floor

Floats = NDArray[np.float64]
WORLDS = 400
TRACES, STEPS = 500, 10  # 5,000 logged steps
LEARN_TRACES = 1_500
POPULATION = 6_000
TIERS, ROLES, SIZES = 3, 4, 5
EASIEST = 0.1  # share of steps on which the challenger alone serves the cheapest tier
NOISE = 0.3  # of each policy's score of how hard a step is
LEVEL = 0.9  # of the floor, roughly where it is moved
HAIR = 1e-6
WRONG = 0.025  # promised share of false promotions
POWER = 0.8
SLACK = 0.03  # above the floor, where that power is asked


@dataclass(frozen=True)
class Case:
    """One kind of world.

    Attributes
    ----------
    truth : {"below", "dearer", "better"}
        The challenger truly breaks its floor by a hair, costs a hair more, or is better.
    kind : {"retain", "miss", "absolute"}
        Form of the floor.
    effect : float
        Standard deviation of what the steps of a trace have in common, in logits.
    slack : float
        How far the challenger's quality lies above the floor, where it does.
    explored : float
        Share of steps that the logs draw any tier for.
    logged : bool
        False: the outcome of every tier is known.
    """

    truth: str
    kind: str = "absolute"
    effect: float = 1.0
    slack: float = SLACK
    explored: float = 0.2
    logged: bool = True

    @property
    def name(self) -> str:
        feedback = f"{self.explored:.0%} explored" if self.logged else "full"
        return f"{self.truth} {self.kind} effect {self.effect:g} slack {self.slack:g} {feedback}"


@dataclass(frozen=True)
class Truth:
    """Every step there is, trace after trace, and what the two policies serve on it."""

    quality: Floats
    cost: Floats
    role: NDArray[np.int64]
    cell: NDArray[np.int64]  # of the table of means: role and size of the request
    choices: Choices
    floor: Floor


@dataclass(frozen=True)
class Promoted:
    """How often a case was promoted, and how often it may be, or has to be."""

    case: Case
    worlds: int
    share: float

    @property
    def bound(self) -> float:
        """At most this share where promotion is false, at least this one where it is right."""
        if self.case.truth == "better":
            few = self.worlds < WORLDS  # a part of the worlds leaves room for chance
            chance = 3 * math.sqrt(POWER * (1 - POWER) / self.worlds) if few else 0.0
            return POWER - chance if self.case.slack == SLACK else 0.0
        return WRONG + 3 * math.sqrt(WRONG * (1 - WRONG) / self.worlds)

    @property
    def holds(self) -> bool:
        right = self.case.truth == "better"
        return self.share >= self.bound if right else self.share <= self.bound


def cases() -> list[Case]:
    """Return both boundaries, with logs and with every outcome known, and the curve of slacks."""
    below = [
        Case("below", kind, effect) for kind in ("retain", "absolute") for effect in (0.0, 1.0)
    ]
    dearer = [Case("dearer", "absolute", effect) for effect in (0.0, 1.0)]
    full = [Case("below", kind, logged=False) for kind in ("retain", "miss", "absolute")]
    better = [Case("better", slack=slack) for slack in (0.01, 0.02, 0.03, 0.04, 0.05)]
    seldom = [Case("below", explored=0.05), Case("dearer", explored=0.05)]
    return [*below, *dearer, *seldom, *full, Case("dearer", logged=False), *better]


def truth_of(case: Case, rng: np.random.Generator) -> Truth:
    """Build a case's population."""
    n = POPULATION * STEPS
    role = rng.integers(0, ROLES, n)
    trace = np.repeat(rng.standard_normal(POPULATION), STEPS)
    hard = rng.standard_normal(n) + 0.2 * (role - 1.5)
    size = 0.5 * rng.standard_normal(n) + 0.3 * trace + 0.2 * role
    cell = role * SIZES + np.digitize(size, np.quantile(size, np.arange(1, SIZES) / SIZES))
    length = np.exp(size[:, None] + 0.3 * rng.standard_normal((n, TIERS)))
    cost = np.array([0.1, 0.35, 1.0]) * length
    seen = hard + NOISE * rng.standard_normal((2, n))
    champion = 1 + (seen[0] > 0.3).astype(np.int64)
    challenger = _of_cost(1.0 if case.truth == "dearer" else 0.9, seen[1], cost, champion)
    rows, luck = np.arange(n), rng.random((n, TIERS))

    def quality_at(level: float) -> Floats:
        logit = (
            level + np.array([-0.7, 0.0, 0.5]) - 0.5 * hard[:, None] - case.effect * trace[:, None]
        )
        return (luck < 1 / (1 + np.exp(-logit))).astype(np.float64)

    low, high = 0.0, 8.0
    while high - low > 1e-4:  # the quality rises with the level
        middle = (low + high) / 2
        enough = quality_at(middle)[rows, challenger].mean() >= LEVEL + case.slack
        low, high = (low, middle) if enough else (middle, high)
    quality = quality_at(high)
    choices = Choices(challenger, champion, TIERS - 1)
    at = _level(case.kind, quality[rows, challenger], quality[:, TIERS - 1])
    floor = Floor(case.kind, at + HAIR if case.truth == "below" else at - case.slack)
    return Truth(quality, cost, role, cell, choices, floor)


def _level(kind: str, served: Floats, usual: Floats) -> float:
    """Return the level that is kept exactly, written out here and not taken from the gate."""
    if kind == "retain":
        return float(served.mean() / usual.mean())
    if kind == "absolute":
        return float(served.mean())
    return float(1 - np.clip(usual - served, 0, None).mean())


def _of_cost(
    ratio: float, score: Floats, cost: Floats, champion: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the cheapest challenger that costs more than `ratio` times what the champion does.

    It serves the cheapest tier on the easiest steps and the dearest above a bound of the score.
    """
    rows = np.arange(len(score))
    wanted = ratio * cost[rows, champion].mean()
    easiest, order = np.quantile(score, EASIEST), np.argsort(-score)
    tier = np.where(score < easiest, 0, 1)
    more = cost[order, 2] - cost[order, tier[order]]
    so_far = cost[rows, tier].mean() + np.cumsum(more) / len(score)
    tier[order[: int(np.argmax(so_far > wanted)) + 1]] = 2
    return np.asarray(tier, np.int64)


def promoted(case: Case, truth: Truth, rng: np.random.Generator) -> bool:
    """Draw one world's logs and return whether the gate's statistical rules let it pass."""
    evidence = draw(case, truth, rng)
    told = statistical(evidence, truth.floor, "the champion", GateParams())
    return all(rule.verdict != "fail" for rule in told)


def draw(case: Case, truth: Truth, rng: np.random.Generator) -> Evidence:
    """Draw a world's traces and return what they tell."""
    rows = _steps(rng.integers(0, POPULATION, TRACES))
    unit = np.repeat(np.arange(TRACES), STEPS)
    quality, cost, role = truth.quality[rows], truth.cost[rows], truth.role[rows].astype(np.str_)
    choices = Choices(
        truth.choices.challenger[rows], truth.choices.champion[rows], truth.choices.reference
    )
    if not case.logged:
        return known_evidence(quality, cost, choices, truth.floor, unit, role)
    propensities = _propensities(choices.champion, case.explored)
    served = _drawn(propensities, rng)
    at = np.arange(len(rows)), served
    learn = _steps(rng.integers(0, POPULATION, LEARN_TRACES))
    expected_quality, expected_cost = (
        _table(outcome, truth, case.explored, learn, rng)[truth.cell[rows]]
        for outcome in (truth.quality, truth.cost)
    )
    return logged_evidence(
        Logged(served, propensities, unit, np.arange(len(rows))),
        quality[at],
        cost[at],
        expected_quality,
        expected_cost,
        choices,
        truth.floor,
        role,
    )


def _steps(traces: NDArray[np.int64]) -> NDArray[np.int64]:
    return (traces[:, None] * STEPS + np.arange(STEPS)).ravel()


def _propensities(champion: NDArray[np.int64], explored: float) -> Floats:
    return np.asarray(explored / TIERS + (1 - explored) * np.eye(TIERS)[champion])


def _drawn(propensities: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    point = rng.random((len(propensities), 1))
    drawn = (point > propensities.cumsum(axis=1)).sum(axis=1)
    return np.minimum(drawn, TIERS - 1)


def _table(
    outcome: Floats,
    truth: Truth,
    explored: float,
    learn: NDArray[np.int64],
    rng: np.random.Generator,
) -> Floats:
    """Return logged means, shape (n_cells, n_tiers); biased, as such tables are."""
    served = _drawn(_propensities(truth.choices.champion[learn], explored), rng)
    place, n_cells = truth.cell[learn] * TIERS + served, ROLES * SIZES
    sums = np.bincount(place, outcome[learn, served], n_cells * TIERS)
    count = np.bincount(place, minlength=n_cells * TIERS)
    return np.asarray(sums / np.maximum(count, 1)).reshape(n_cells, TIERS)


def run_case(case: Case, worlds: int, seed: int) -> Promoted:
    """Run the worlds of one case."""
    rng = np.random.default_rng(seed)
    truth = truth_of(case, rng)
    passed = [promoted(case, truth, rng) for _ in range(worlds)]
    return Promoted(case, worlds, float(np.mean(passed)))


def as_lines(found: list[Promoted]) -> list[str]:
    """Return a table, one case a line."""
    lines = [
        f"{found[0].worlds} worlds a case: {TRACES * STEPS:,} steps, {STEPS} a trace",
        "| truth | floor | trace effect | above the floor | known | promoted | bound |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        case, sign = one.case, ">=" if one.case.truth == "better" else "<="
        above = "0" if case.truth == "below" else f"{case.slack:g}"
        bound = f"{sign} {one.bound:.3f}" if one.bound else "-"
        lines.append(
            f"| {case.truth} | {case.kind} | {case.effect:g} | {above} "
            f"| {f'{case.explored:.0%} explored' if case.logged else 'all tiers'} | {one.share:.3f}"
            f"{'' if one.holds else ' BROKEN'} | {bound} |"
        )
    return lines
