"""Simulated worlds in which the truth of every point of the path is known.

A cell fixes the form of the floor, the steps of a trace, how much a trace's steps have in common,
the kind of quality and the number of tiers. It has one large population of traces. Estimates come
from a model overfitted on a separate draw, and the path is laid on that model's own training
scores, so both are as wrong as they get. The floor is moved onto a point of the path so that this
point breaks it by a hair: the hardest place to keep a promise. A world draws its certification
traces from the population, with replacement, and calls the certifier that the pipeline calls.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tierwise.router_model.rule import choose, fit_path
from tierwise.training.certificate import Floor, certified_point

DELTA = 0.1
N_POINTS = 32
FEATURES = 40  # four of them matter
LEARN_STEPS = 300
POPULATION_STEPS = 60_000
UNITS = {1: 2_000, 20: 200, 40: 100}  # certification traces by steps a trace
HAIR = 1e-6
POWER = 0.6
NOMINAL = {"retain": 0.95, "miss": 0.95, "absolute": 0.04}  # absolute: below the reference's mean


@dataclass(frozen=True)
class Cell:
    """One kind of world: the form of the floor, and what makes keeping it hard."""

    kind: str
    steps: int
    effect: float
    binary: bool
    tiers: int

    @property
    def name(self) -> str:
        quality = "binary" if self.binary else "continuous"
        return f"{self.kind} {self.steps} steps effect {self.effect:g} {quality} {self.tiers} tiers"


@dataclass(frozen=True)
class Population:
    """Every step there is, trace after trace, and the truth of each point.

    Attributes
    ----------
    served : ndarray of shape (n_points, n_steps)
    reference : ndarray of shape (n_steps,)
    same : ndarray of shape (n_points, n_steps)
        Whether the served tier is the reference.
    floor : Floor
    gap : ndarray of shape (n_points,)
        How far each point keeps the floor over the whole population; negative: it breaks it.
    saving : ndarray of shape (n_points,)
        1 - cost / cost of always serving the reference.
    """

    served: NDArray[np.float64]
    reference: NDArray[np.float64]
    same: NDArray[np.bool_]
    floor: Floor
    gap: NDArray[np.float64]
    saving: NDArray[np.float64]

    @property
    def knowing(self) -> float:
        """Saving of the cheapest point that truly keeps the floor."""
        return float(self.saving[self.gap >= 0].max(initial=0.0))


@dataclass(frozen=True)
class Outcome:
    """What the worlds of a cell came to.

    Attributes
    ----------
    broken, allowed : float
        Share of worlds whose certified point truly breaks the floor, and the share allowed:
        delta plus three standard errors.
    nothing : float
        Share of worlds that save nothing.
    kept : float
        Mean saving over that of the cheapest point that truly keeps the floor.
    knowing : float
        The latter, as a share of the reference's cost.
    """

    cell: Cell
    worlds: int
    broken: float
    allowed: float
    nothing: float
    kept: float
    knowing: float

    @property
    def holds(self) -> bool:
        return self.broken <= self.allowed

    @property
    def powerful(self) -> bool:
        """Whether enough is saved; asked of independent steps under two of the floors only."""
        asked = self.cell.steps == 1 and self.cell.kind in ("miss", "absolute")
        return not asked or self.kept >= POWER


def cells() -> list[Cell]:
    """Return all 108 cells."""
    return [
        Cell(*values)
        for values in itertools.product(
            ("retain", "miss", "absolute"), (1, 20, 40), (0.0, 1.0, 2.0), (True, False), (3, 8)
        )
    ]


def _steps(
    cell: Cell, n_traces: int, taste: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Draw features (n, FEATURES), quality (n, tiers) and relative cost (n, tiers)."""
    n = n_traces * cell.steps
    x = rng.standard_normal((n, FEATURES))
    trace = np.repeat(rng.standard_normal(n_traces) * cell.effect, cell.steps)
    logit = np.linspace(0.6, 2.6, cell.tiers) + x[:, :4] @ taste - trace[:, None]
    if cell.binary:
        quality = (rng.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(np.float64)
    else:
        quality = 1 / (1 + np.exp(-logit - rng.standard_normal(logit.shape)))
    cost = np.geomspace(0.04, 1.0, cell.tiers) * rng.lognormal(0.0, 0.5, (n, 1))
    return x, quality, cost


def gap(
    kind: str, level: float, served: NDArray[np.float64], reference: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the truth of each point, written out here and not taken from the certifier."""
    mean = served.mean(axis=1)
    if kind == "retain":
        return mean - level * reference.mean()
    if kind == "absolute":
        return mean - level
    return (1 - level) - np.clip(reference - served, 0, None).mean(axis=1)


def _floor(kind: str, served: NDArray[np.float64], reference: NDArray[np.float64]) -> Floor:
    """Return the floor nearest to the usual one that some point of the path breaks by a hair."""
    mean, best = served.mean(axis=1), reference.mean()
    if kind == "retain":
        levels, wanted = mean / best, NOMINAL[kind]
    elif kind == "absolute":
        levels, wanted = mean, best - NOMINAL[kind]
    else:
        levels = 1 - np.clip(reference - served, 0, None).mean(axis=1)
        wanted = NOMINAL[kind]
    nearest = levels[1:][np.abs(levels[1:] - wanted).argmin()]
    return Floor(kind, float(nearest) + HAIR)


def population(cell: Cell, rng: np.random.Generator) -> Population:
    """Build a cell's population: outcomes, an overfitted model, its path, the floor, the truth."""
    taste = 0.6 + 0.5 * rng.standard_normal((4, cell.tiers))
    x, quality, cost = _steps(cell, math.ceil(LEARN_STEPS / cell.steps), taste, rng)
    weights = np.linalg.lstsq(np.c_[np.ones(len(x)), x], quality, rcond=None)[0]
    reference = int(quality.mean(axis=0).argmax())
    unit_cost = cost[:, reference].mean()

    def estimates(
        x: NDArray[np.float64], cost: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        scores = np.clip(np.c_[np.ones(len(x)), x] @ weights, 0, 1)
        return scores.astype(np.float32), (cost / unit_cost).astype(np.float32)

    path = fit_path(*estimates(x, cost), reference, N_POINTS)
    x, quality, cost = _steps(cell, POPULATION_STEPS // cell.steps, taste, rng)
    tier = choose(*estimates(x, cost), reference, path)
    rows = np.arange(len(x))
    served = quality[rows, tier]
    floor = _floor(cell.kind, served, quality[:, reference])
    return Population(
        served=served,
        reference=quality[:, reference],
        same=tier == reference,
        floor=floor,
        gap=gap(cell.kind, floor.level, served, quality[:, reference]),
        saving=1 - cost[rows, tier].mean(axis=1) / cost[:, reference].mean(),
    )


def certify_draw(
    whole: Population, steps: int, n_units: int, rng: np.random.Generator, *, stepwise: bool = False
) -> int:
    """Draw certification traces and return the certified point.

    Parameters
    ----------
    whole : Population
        Where traces are drawn from, with replacement.
    steps : int
        Steps a trace.
    n_units : int
        Traces to draw.
    stepwise : bool
        Pretend that every step is a unit of its own: what must not be done.
    """
    drawn = rng.integers(0, len(whole.reference) // steps, n_units)
    rows = (drawn[:, None] * steps + np.arange(steps)).ravel()
    ids = np.arange(len(rows)) if stepwise else np.repeat(np.arange(n_units), steps)
    return certified_point(
        whole.served[:, rows],
        whole.reference[rows],
        whole.same[:, rows],
        ids.astype(np.str_),
        whole.floor,
        DELTA,
    )


def run_cell(cell: Cell, worlds: int, seed: int, *, stepwise: bool = False) -> Outcome:
    """Run the worlds of one cell."""
    rng = np.random.default_rng(seed)
    whole = population(cell, rng)
    points = np.array(
        [
            certify_draw(whole, cell.steps, UNITS[cell.steps], rng, stepwise=stepwise)
            for _ in range(worlds)
        ]
    )
    saved = np.where(points >= 0, whole.saving[points], 0.0)
    honest = np.minimum(saved, whole.knowing)  # what a broken floor saves on top does not count
    return Outcome(
        cell=cell,
        worlds=worlds,
        broken=float(((points >= 0) & (whole.gap[points] < 0)).mean()),
        allowed=DELTA + 3 * math.sqrt(DELTA * (1 - DELTA) / worlds),
        nothing=float((saved <= 0).mean()),
        kept=float(honest.mean() / whole.knowing) if whole.knowing > 0 else math.nan,
        knowing=whole.knowing,
    )
