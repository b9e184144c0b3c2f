"""Does certification keep its promise on real outcomes, and is it worth something there?

Models are fitted on one half of a table, by split unit; the other half is the population, whose
truth is known. 500 certification samples are drawn from it for each floor.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from real import sampled_violations
from worlds import DELTA

from tierwise.eval.held_out import held_out
from tierwise.eval.judged_table import deal, read_table
from tierwise.training.certificate import Floor

TABLES = ("mmlu_pro", "routellm_mmlu", "llmrouter_mixed")
FLOORS = (Floor("retain", 0.95), Floor("retain", 0.98), Floor("miss", 0.95))
UNITS = 1_500
POWER_FLOOR, POWER_UNITS, POWER = Floor("retain", 0.95), 2_000, 0.7
SAMPLES = 500


@dataclass(frozen=True)
class OnTable:
    """What happened to one floor on one table: shares of samples and of savings."""

    table: str
    floor: Floor
    units: int
    samples: int
    broken: float
    allowed: float
    kept: float
    knowing: float
    least_kept: float

    @property
    def holds(self) -> bool:
        """Whether the floor broke as rarely as promised and saved as much as asked."""
        return self.broken <= self.allowed and self.kept >= self.least_kept


def run_table(path: Path, samples: int, seed: int = 0) -> list[OnTable]:
    """Fit on one half, certify on samples of the other."""
    table = read_table(path)
    held = held_out(table, deal(table, 2, seed), 0)
    reference = held.spec.reference
    relative = held.total_cost.astype(np.float32) * (
        np.float32(1) / np.float32(held.spec.mean_reference_cost)
    )
    allowed = DELTA + 3 * float(np.sqrt(DELTA * (1 - DELTA) / samples))
    asked = [(floor, UNITS, 0.0) for floor in FLOORS] + [(POWER_FLOOR, POWER_UNITS, POWER)]
    found = []
    for number, (floor, units, least) in enumerate(asked):
        said = sampled_violations(
            held.quality.astype(np.float32),
            relative,
            reference,
            held.spec.path,
            held.steps.quality,
            held.steps.unit,
            floor,
            DELTA,
            rng=np.random.default_rng([seed, number]),
            n_units=units,
            n_samples=samples,
            cost_true=held.steps.cost,
        )
        found.append(
            OnTable(
                path.stem, floor, units, samples, said.violated, allowed, said.kept, said.knowing,
                least,
            )
        )  # fmt: skip
    return found


def as_lines(found: list[OnTable]) -> list[str]:
    """Return a Markdown table."""
    lines = [
        "| table | floor | units | broken | allowed | saving kept | truth-knowing saving |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        flag = "" if one.holds else " FAILS"
        lines.append(
            f"| {one.table} | {one.floor.kind} {one.floor.level:g} | {one.units} "
            f"| {one.broken:.3f}{flag} | {one.allowed:.3f} | {one.kept:.2f} | {one.knowing:.2f} |"
        )
    return lines
