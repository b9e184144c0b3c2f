"""What was chosen -> what a gateway is told, in a fault too."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tierwise.router_model.layout import CHECK, HEAD, LEAD, NEXT_TIER, OOD, TIER
from tierwise.router_model.manifest import Manifest
from tierwise.serve.choose import NONE_ALLOWED, Asked, Choice
from tierwise.serve.decision import Decision, without_estimates
from tierwise.serve.rules import Limits

FALLBACK = "fallback"


class Answers:
    """Makes decisions of a policy."""

    def __init__(self, manifest: Manifest) -> None:
        self._tiers = manifest.tier_names
        self._version = manifest.policy_version
        self._fallback = self._tiers.index(manifest.fallback)
        self._sets: dict[int, tuple[str, ...]] = {}  # names of the sets of tiers that occurred

    def made(self, at: Asked, numbers: Sequence[float] | None, choice: Choice) -> Decision:
        """Return a decision.

        Parameters
        ----------
        at : Asked
        numbers : sequence of float or None
            The graph's output; None where it was not asked.
        choice : Choice
            Tier -1 where none may serve: then one is named, never one that a pin leaves out.
        """
        tier = choice.tier
        if tier < 0:
            return self._without(at, self._named(at.limits), NONE_ALLOWED, choice.rule)
        if numbers is None:
            return self._without(at, tier, choice.reason, choice.rule)
        n, place, asked = len(self._tiers), HEAD + tier, int(numbers[TIER]) == tier
        return Decision(
            self._tiers[tier],
            tier,
            numbers[place],
            numbers[place + n],
            numbers[place + 2 * n],
            choice.reason,
            numbers[LEAD] if asked else math.nan,  # it is about the graph's tier
            numbers[OOD],
            self._next(tier, at.may, int(numbers[NEXT_TIER]) if asked else -1),
            asked and numbers[CHECK] > 0,
            self._version,
            choice.propensities[tier] if choice.propensities else 1.0,
            tuple(numbers),
            at.ignored,
            choice.rule,
            choice.propensities,
            choice.explored,
            self._tiers,
            self._names(at.may),
        )

    def fallback(self, at: Asked) -> Decision:
        """Return what serves after a fault: the fallback tier, or the dearest that may serve."""
        tier = self._named(at.limits)
        if at.may and not at.may >> tier & 1:
            tier = at.may.bit_length() - 1
        return self._without(at, tier, FALLBACK, at.limits.rule if at.limits.pinned else "")

    def _without(self, at: Asked, tier: int, reason: str, rule: str) -> Decision:
        following = None if reason in (FALLBACK, NONE_ALLOWED) else self._next(tier, at.may, -1)
        return without_estimates(
            self._tiers[tier], tier, reason, self._version, at.ignored, rule, following,
            self._tiers, self._names(at.may),
        )  # fmt: skip

    def _named(self, limits: Limits) -> int:
        """Return the tier to name where none is chosen."""
        if limits.may >> self._fallback & 1:
            return self._fallback
        return limits.tier if limits.tier >= 0 else limits.may.bit_length() - 1

    def _next(self, tier: int, may: int, following: int) -> str | None:
        """Return where to go after a failed check: the ladder's rung, or the next that may serve.

        None where there is none.
        """
        if following < 0 or not may >> following & 1:
            dearer = may >> (tier + 1)
            following = tier + (dearer & -dearer).bit_length() if dearer else -1
        return self._tiers[following] if following >= 0 else None

    def _names(self, tiers: int) -> tuple[str, ...]:
        names = self._sets.get(tiers)
        if names is None:
            names = tuple(name for at, name in enumerate(self._tiers) if tiers >> at & 1)
            self._sets[tiers] = names
        return names
