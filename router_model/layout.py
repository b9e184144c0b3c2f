"""The decision as numbers: what stands where in the graph's output, what a reason code means."""

from __future__ import annotations

TIER = 0
REASON = 1
POINT = 2
LEAD = 3
OOD = 4
NEXT_TIER = 5
CHECK = 6
RESERVED = 7
HEAD = 8
"""Columns before the blocks of one number a tier."""

HEAD_NAMES = ("tier", "reason", "point", "lead", "ood", "next_tier", "check", "reserved")
BLOCKS = ("quality", "cost_usd", "total_cost_usd", "latency_s")

REASONS = (
    "floor",
    "pinned",
    "fixed_role",
    "not_certified",
    "constrained",
    "guard",
    "budget",
    "explored",
    "fallback",
    "none_allowed",
)
"""Reason codes are indices into this; later versions append."""

DECIDES = {
    "floor": "the certified rule: of the tiers that may serve, the one of best expected quality "
    "less the price of its cost, as far towards cheap as the floor allows",
    "pinned": "a pin: a rule that people set fixes or forbids tiers for this step",
    "fixed_role": "the role: the role table names its tier, whatever the step says",
    "not_certified": "the floor: nothing is certified for one this strict, so the reference serves",
    "constrained": "the limits of this call: without the tiers that are not allowed or too slow "
    "another one serves than would have",
    "guard": "a guard: the step is too unlike those the policy was learned from",
    "budget": "the budget: what is left of it pays for no dearer tier",
    "explored": "chance: the tier was drawn, so that its outcome becomes known",
    "fallback": "the fallback: the step could not be decided",
    "none_allowed": "nobody: no tier may serve, so the fallback is named and the caller decides",
}
"""What decides, in words, for each of `REASONS`."""


def width(n_tiers: int) -> int:
    """Return how many numbers a decision among `n_tiers` tiers has."""
    return HEAD + len(BLOCKS) * n_tiers


def block(name: str, n_tiers: int) -> slice:
    """Return where the numbers of each tier stand, for a name of `BLOCKS`."""
    start = HEAD + BLOCKS.index(name) * n_tiers
    return slice(start, start + n_tiers)


def columns(n_tiers: int) -> dict[str, int]:
    """Return the offset of every head column and of the first number of every block."""
    heads = {name: offset for offset, name in enumerate(HEAD_NAMES)}
    return heads | {name: block(name, n_tiers).start for name in BLOCKS}


def reason(code: str) -> int:
    """Return the number of a reason."""
    return REASONS.index(code)
