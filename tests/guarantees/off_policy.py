"""Do intervals from logged feedback hold the truth: simulated logs whose truth is known.

In each world a logging policy that looks at the step draws one tier, and a policy that always
decides alike is judged from what was drawn. Worlds differ in what makes an interval too narrow:
steps that belong together, a difficulty that the logging policy sees and the outcome model does
not, little exploration, outcomes with a long tail, traces of very different lengths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tierwise.eval.estimators import (
    LEAST_EFFECTIVE,
    Estimate,
    Logged,
    direct,
    doubly_robust,
    effective_size,
    snips,
)
from tierwise.eval.outcome_model import cross_fitted

Floats = NDArray[np.float64]

TIERS = 3
STRENGTH = np.array([0.2, 1.4, 2.4])  # logits of each tier's quality on a middling step
LOW, HIGH = 0.925, 0.975  # shares of worlds whose nominal 95 % interval holds the truth
POPULATION = 400_000  # steps that the truth is the mean of


@dataclass(frozen=True)
class OffPolicyCell:
    """One kind of world.

    Attributes
    ----------
    traces : int
    steps : int
        A trace; with `uneven`, the mean of a geometric draw.
    explore : float
        Share of steps whose tier the logging policy draws uniformly.
    effect : float
        Standard deviation of what a trace's steps have in common, logits.
    hidden : float
        Weight of a difficulty that the logging policy saw and the outcome model does not.
    near : bool
        The logging policy prefers what the judged one serves; else its preference is another.
    uneven : bool
    long_tail : bool
        Outcomes are costs: log-normal, in USD.
    """

    name: str
    traces: int
    steps: int
    explore: float
    effect: float = 0.0
    hidden: float = 0.0
    near: bool = False
    uneven: bool = False
    long_tail: bool = False


@dataclass(frozen=True)
class Coverage:
    """What became of a cell: shares of worlds whose interval holds the truth, mean half widths."""

    cell: OffPolicyCell
    worlds: int
    refused: int
    truth: float
    effective: float
    covered: dict[str, float]
    half: dict[str, float]

    @property
    def holds(self) -> bool:
        """Whether both estimators cover as often as promised, give or take three errors."""
        slack = 0.0 if self.worlds >= 1_000 else 3 * float(np.sqrt(0.05 * 0.95 / self.worlds))
        return all(
            LOW - slack <= self.covered[name] <= HIGH + slack for name in ("snips", "doubly robust")
        )


def off_policy_cells() -> list[OffPolicyCell]:
    """Return the worlds."""
    return [
        OffPolicyCell("independent steps", 2_000, 1, 0.3),
        OffPolicyCell("hidden difficulty", 2_500, 1, 0.3, hidden=1.5),
        OffPolicyCell("traces of 10 steps", 250, 10, 0.3, effect=1.5),
        OffPolicyCell("uneven traces, hidden difficulty", 400, 6, 0.3, 1.0, 1.0, uneven=True),
        OffPolicyCell("little exploration", 4_000, 1, 0.15),
        OffPolicyCell("logged near the target", 800, 3, 0.1, effect=1.0, near=True),
        OffPolicyCell("costs with a long tail", 800, 3, 0.4, effect=0.5, long_tail=True),
        OffPolicyCell("just enough steps", 1_550, 1, 0.3),
    ]


@dataclass(frozen=True)
class _Steps:
    """Steps before anything is served; `expected` is each tier's mean outcome."""

    trace: NDArray[np.int64]
    role: NDArray[np.str_]
    seen: Floats
    expected: Floats


def run_off_policy(cell: OffPolicyCell, worlds: int, seed: int) -> Coverage:
    """Draw logs again and again, and count how often the intervals hold the truth.

    Parameters
    ----------
    cell : OffPolicyCell
    worlds : int
    seed : int
        The same seed gives the same numbers.
    """
    rng = np.random.default_rng([seed, 7])
    truth = _truth(cell, rng)
    held: dict[str, list[bool]] = {"snips": [], "doubly robust": [], "direct": []}
    half: dict[str, list[float]] = {name: [] for name in held}
    sizes, refused = [], 0
    for _ in range(worlds):
        steps = _draw(cell, cell.traces, rng)
        target, logged, outcome = _log(cell, steps, rng)
        sizes.append(effective_size(target, logged))
        if sizes[-1] < LEAST_EFFECTIVE:
            refused += 1
            continue
        predicted = cross_fitted(logged, outcome, steps.role)
        found = {
            "snips": snips(target, logged, outcome),
            "doubly robust": doubly_robust(target, logged, outcome, predicted),
            "direct": direct(target, predicted, logged.unit),
        }
        for name, one in found.items():
            held[name].append(holds_truth(one, truth))
            half[name].append((one.high - one.low) / 2)
    return Coverage(
        cell,
        worlds,
        refused,
        truth,
        float(np.mean(sizes)),
        {name: float(np.mean(rows)) if rows else 0.0 for name, rows in held.items()},
        {name: float(np.mean(rows)) if rows else 0.0 for name, rows in half.items()},
    )


def holds_truth(estimate: Estimate, truth: float) -> bool:
    """Return whether the interval holds the truth."""
    return estimate.low <= truth <= estimate.high


def _draw(cell: OffPolicyCell, traces: int, rng: np.random.Generator) -> _Steps:
    lengths = np.full(traces, cell.steps)
    if cell.uneven:
        lengths = rng.geometric(1 / cell.steps, traces)
    trace = np.repeat(np.arange(traces), lengths)
    n = len(trace)
    role, visible, secret = rng.integers(0, 3, n), rng.normal(size=n), rng.normal(size=n)
    common = rng.normal(size=traces)[trace]
    seen = visible + cell.hidden * secret
    hard = 0.5 * (role - 1) + 0.6 * visible + cell.hidden * secret + cell.effect * common
    logit = STRENGTH - hard[:, None]
    expected = 1 / (1 + np.exp(-logit))
    if cell.long_tail:
        expected = 0.001 * np.array([1.0, 4.0, 20.0]) * np.exp(0.4 * hard)[:, None]
    return _Steps(trace, np.array(["planner", "worker", "critic"])[role], seen, expected)


def _target(steps: _Steps) -> NDArray[np.int64]:
    """Return what the judged policy serves: dearer tiers on steps that look harder."""
    return np.digitize(steps.seen, [-0.5, 1.0])


def _log(
    cell: OffPolicyCell, steps: _Steps, rng: np.random.Generator
) -> tuple[Floats, Logged, Floats]:
    """Draw a tier for each step, and its outcome."""
    n, rows = len(steps.trace), np.arange(len(steps.trace))
    wanted = _target(steps)
    usual = wanted if cell.near else np.digitize(steps.seen, [-1.5, -0.2])
    propensities = np.full((n, TIERS), cell.explore / TIERS)
    propensities[rows, usual] += 1 - cell.explore
    served = (rng.random(n)[:, None] > propensities.cumsum(axis=1)).sum(axis=1)
    served = np.minimum(served, TIERS - 1)
    mean = steps.expected[rows, served]
    if cell.long_tail:
        outcome = mean * rng.lognormal(-0.5 * 0.8**2, 0.8, n)
    else:
        outcome = (rng.random(n) < mean).astype(np.float64)
    logged = Logged(
        served.astype(np.int64),
        propensities,
        np.char.mod("t%06d", steps.trace),
        np.char.mod("s%07d", rows),
    )
    return np.eye(TIERS)[wanted], logged, outcome


def _truth(cell: OffPolicyCell, rng: np.random.Generator) -> float:
    steps = _draw(cell, POPULATION // cell.steps, rng)
    return float(steps.expected[np.arange(len(steps.trace)), _target(steps)].mean())


def as_table(found: list[Coverage]) -> list[str]:
    """Return a Markdown table, one cell a line."""
    lines = [
        "| logs | steps | effective | SNIPS covers (half width) | DR covers (half width) "
        "| direct covers (half width) | refused |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        cells = [
            f"{one.covered[name]:.3f} ({one.half[name]:.2g})"
            for name in ("snips", "doubly robust", "direct")
        ]
        flag = "" if one.holds else " FAILS"
        lines.append(
            f"| {one.cell.name} | {one.cell.traces * one.cell.steps:,} | {one.effective:,.0f} "
            f"| {' | '.join(cells)}{flag} | {one.refused} of {one.worlds} |"
        )
    return lines
