"""What a gateway is told: the tier, why, and what is expected of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tierwise.router_model.layout import BLOCKS, HEAD

_LOGGED = (
    *("tier", "reason", "rule", "quality", "cost_usd", "total_cost_usd", "lead", "ood"),
    *("next_tier", "check", "policy_version", "propensity", "propensities", "explored", "ignored"),
)


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
    rule : str
        Name of the rule that won: a pin's, `fixed_roles.critic`, `outage`, `call` for what the call
        itself allows, ...; "" where the policy alone decided.
    propensities : tuple of n_tiers float
        Probability of every tier at this step; empty where no draw was possible.
    explored : bool
        Whether chance decided.
    tiers : tuple of n_tiers str
        All tiers of the policy, cheap to dear.
    allowed : tuple of str
        Those that may serve this step, by rules, outages and the call; the ladder keeps to them.
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
    rule: str = ""
    propensities: tuple[float, ...] = ()
    explored: bool = False
    tiers: tuple[str, ...] = field(default=(), repr=False)
    allowed: tuple[str, ...] = field(default=(), repr=False)

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

    def log_row(self) -> dict[str, Any]:
        """Return what a log of decisions holds: no text, nothing that a caller wrote."""
        row = {name: getattr(self, name) for name in _LOGGED}
        row["ignored"] = len(self.ignored)  # their names are a caller's words
        return row | {"estimates": self.estimates()}

    def record(
        self, *, trace_id: str, text: str | Sequence[Mapping[str, Any]], **outcome: Any
    ) -> dict[str, Any]:
        """Return this decision and what came of it as a row of the trace table.

        Parameters
        ----------
        trace_id : str
        text : str or list of dict
            As it was given to `decide`.
        **outcome
            What else is known, see `tierwise.serve.record.record`.
        """
        from tierwise.serve.record import record

        return record(self, trace_id=trace_id, text=text, tiers=self.tiers, **outcome)


def without_estimates(
    tier: str,
    tier_index: int,
    reason: str,
    policy_version: str,
    ignored: tuple[str, ...] = (),
    rule: str = "",
    next_tier: str | None = None,
    tiers: tuple[str, ...] = (),
    allowed: tuple[str, ...] = (),
) -> Decision:
    """Return a decision that no graph made."""
    nan = math.nan
    return Decision(
        tier, tier_index, nan, nan, nan, reason, nan, nan, next_tier, False, policy_version,
        1.0, (), ignored, rule, (), False, tiers, allowed,
    )  # fmt: skip
