"""How often a test part shows again what a certify part of its size has certified.

The certifier goes as far towards cheap as it can, so that what it certifies lies little above the
floor: the gate's question is asked at the edge. A no is then right by the rule and yet often falls
on a policy that keeps its floor. There is nothing to promise here; the share is said.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from worlds import DELTA, UNITS, Cell, certify_draw, population

from tierwise.eval.gate_evidence import Choices, known_evidence
from tierwise.eval.gate_rules import GateParams, statistical

KINDS = ("retain", "miss", "absolute")
STEPS = 20  # a trace
WORLDS = 200


@dataclass(frozen=True)
class Again:
    """Of `certified` worlds, the share whose test part showed the floor again; and whose points
    truly keep it."""

    kind: str
    certified: int
    shown: float
    true: float


def run_again(kind: str, worlds: int, seed: int) -> Again:
    """Certify on one draw of traces and ask the gate's rule of quality on another."""
    rng = np.random.default_rng(seed)
    whole = population(Cell(kind, STEPS, 1.0, True, 3), rng)
    shown, true = [], []
    for _ in range(worlds):
        point = certify_draw(whole, STEPS, UNITS[STEPS], rng)
        drawn = rng.integers(0, len(whole.reference) // STEPS, UNITS[STEPS])
        rows = (drawn[:, None] * STEPS + np.arange(STEPS)).ravel()
        if point <= 0:
            continue
        quality = np.stack([whole.served[point, rows], whole.reference[rows]], axis=1)
        always = np.zeros(len(rows), np.int64)
        evidence = known_evidence(
            quality,
            np.zeros(quality.shape),
            Choices(always, always + 1, 1),
            whole.floor,
            np.repeat(np.arange(len(drawn)), STEPS),
            np.full(len(rows), ""),
        )
        told = statistical(evidence, whole.floor, "the reference tier", GateParams())
        shown.append(next(rule.verdict for rule in told if rule.name == "quality") == "pass")
        true.append(bool(whole.gap[point] >= 0))
    if not shown:
        return Again(kind, 0, 0.0, 0.0)
    return Again(kind, len(shown), float(np.mean(shown)), float(np.mean(true)))


def as_lines(found: list[Again]) -> list[str]:
    """Return one line a form of floor."""
    size = f"{UNITS[STEPS]} traces of {STEPS} steps, delta {DELTA:g}"
    return [
        f"certified at its floor, {one.kind} ({size}): {one.certified} worlds, truly kept in "
        f"{one.true:.2f}, shown again by a test part of that size in {one.shown:.2f}"
        for one in found
    ]
