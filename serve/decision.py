"""What a gateway is told: the tier, why, and what is expected of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tierwise.router_model.layout import BLOCKS, HEAD


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision; NaN is unknown.

    Attributes
    ----------
    tier : str
        The tier to call.
    tier_index : int
        Its place in the catalogue, cheap to dear.
    quality : float
        Its expected quality, 0..1.
    cost_usd, total_cost_usd : float
        Expected cost of the call, and with escalation after failed checks.
    reason : str
        Why this tier: one of the manifest's reasons.
    lead : float
        The rule's score over that of the runner-up.
    ood : float
        How unlike the learned steps this one is, 0..1.
    next_tier : str or None
        Where to go if a check of the answer fails; None at the end of the ladder.
    check : bool
        Whether to check the answer before it is accepted.
    policy_version : str
        Which policy decided.
    propensity : float
        Probability with which this tier is chosen for this step; 1 unless explored.
    numbers : tuple of float
        The graph's whole output; empty where the graph did not decide.
    ignored : tuple of str
        Context columns whose values were left out: not of this policy, or not readable.
    """

    tier: str
    tier_index: int
    quality: float
    cost_usd: float
    total_cost_usd: float
    reason: str
    lead: float
    ood: float
    next_tier: str | None
    check: bool
    policy_version: str
    propensity: float = 1.0
    numbers: tuple[float, ...] = field(default=(), repr=False)
    ignored: tuple[str, ...] = ()

    def estimates(self) -> dict[str, tuple[float, ...]]:
        """Return quality, cost_usd, total_cost_usd and latency_s of every tier.

        Returns
        -------
        dict of str to tuple of n_tiers float
            Empty tuples where the graph did not decide.
        """
        n_tiers = max(0, len(self.numbers) - HEAD) // len(BLOCKS)
        starts = range(HEAD, HEAD + len(BLOCKS) * n_tiers, n_tiers) if n_tiers else (0,) * 4
        return {
            name: self.numbers[start : start + n_tiers]
            for name, start in zip(BLOCKS, starts, strict=True)
        }


def without_estimates(
    tier: str, tier_index: int, reason: str, policy_version: str, ignored: tuple[str, ...] = ()
) -> Decision:
    """Return a decision that no graph made."""
    unknown = math.nan
    return Decision(
        tier, tier_index, unknown, unknown, unknown, reason, unknown, unknown, None, False,
        policy_version, ignored=ignored,
    )  # fmt: skip
