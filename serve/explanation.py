"""What an explanation consists of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tierwise.serve.decision import Decision


@dataclass(frozen=True)
class TierView:
    """What is expected of a tier; NaN is unknown.

    `ahead` is its score by the rule less the best score among the other tiers that may serve:
    above 0 for the one the rule picks. `usable` says whether it may serve this step at all.
    """

    tier: str
    usable: bool
    quality: float
    cost_usd: float
    total_cost_usd: float
    latency_s: float
    score: float
    ahead: float


@dataclass(frozen=True)
class Move:
    """What one word or context column did to the lead of the served tier over the runner-up.

    Positive numbers speak for the served tier. `total` is the sum of three parts: by expected
    quality, by cost, and by the floor (how far it lets the policy go). `tier_without` would serve
    if it were not there.
    """

    kind: str
    name: str
    value: str
    total: float
    by_quality: float
    by_cost: float
    by_floor: float
    tier_without: str


@dataclass(frozen=True)
class Explanation:
    """Why a step got its tier.

    Attributes
    ----------
    decision : Decision
        As `Router.decide` gives it.
    because : str
        What decided, in a sentence.
    details : tuple of str
        The floor, the point of the path and the limits behind it.
    runner_up : str or None
        The tier that would serve if the served one could not; None where no other may.
    tiers : tuple of TierView
        Cheap to dear; empty where the graph did not decide.
    moves : tuple of Move
        The five words and columns at most that moved the lead most, the strongest first.
    words, tried : int
        Different words in the text that was looked at, and how many of them were left out in turn.
    cut : bool
        Whether the text was longer than what is looked at.
    notes : tuple of str
        What could not be said, and why.
    """

    decision: Decision
    because: str
    details: tuple[str, ...] = ()
    runner_up: str | None = None
    tiers: tuple[TierView, ...] = ()
    moves: tuple[Move, ...] = ()
    words: int = 0
    tried: int = 0
    cut: bool = False
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values, NaN where unknown, without the decision."""
        return {name: value for name, value in asdict(self).items() if name != "decision"}
