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
