"""From the graph's numbers, or from rules alone, to the tier that serves and the reason for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tierwise.router_model.layout import LEAD, REASON, TIER, block
from tierwise.router_model.manifest import Manifest
from tierwise.serve.rules import FIXED_ROLE, PINNED, Limits, RuleBook

CONSTRAINED, NONE_ALLOWED = "constrained", "none_allowed"
CALL, OUTAGE = "call", "outage"


@dataclass(slots=True)
class Asked:
    """What is known of a step while it is being decided.

    Attributes
    ----------
    limits : Limits
        What the rules say.
    called, out, may : int
        Sets of tiers: that the call allows; whose vendors are out; that may serve by all three.
    pin : bool
        Whether the call names the tier.
    kind : str
        What is being looked at, to be counted if it fails.
    text, row : bytes, ndarray of shape (1, n_columns)
        The graph's inputs, the text before it is cut.
    ignored : tuple of str
        Context columns left out.
    floor, limit_s : float or None
        What holds, and in `floor_rule` and `limit_rule` the rule that set it; "" is the call.
    role, tenant : str
        "" is unknown.
    irreversible : bool
        Whether the call says so, or says what cannot be read.
    """

    limits: Limits
    called: int
    out: int
    may: int
    pin: bool = False
    kind: str = "rules"
    text: bytes = b""
    row: Any = None
    ignored: tuple[str, ...] = ()
    floor: float | None = None
    floor_rule: str = ""
    limit_s: float | None = None
    limit_rule: str = ""
    role: str = ""
    tenant: str = ""
    irreversible: bool = False


@dataclass(slots=True)
class Choice:
    """Who serves a step, and why, as it stands.

    Attributes
    ----------
    tier : int
        -1 where none may.
    reason, rule : str
    propensities : tuple of n_tiers float
        Empty where nothing could be drawn.
    explored : bool
    """

    tier: int
    reason: str
    rule: str = ""
    propensities: tuple[float, ...] = ()
    explored: bool = False


class Chooser:
    """Applies a policy's rules around its graph; a set of tiers is an integer, one bit a tier."""

    def __init__(self, manifest: Manifest, book: RuleBook) -> None:
        self._book = book
        self._n_tiers = len(manifest.tiers)
        self._reasons = manifest.reasons
        self._latency = block("latency_s", self._n_tiers)
        first, last = block("quality", self._n_tiers), block("total_cost_usd", self._n_tiers)
        self._scored = slice(first.start, last.stop if manifest.rule else first.start)

    def none_allowed(self, at: Asked) -> Choice:
        """Return that no tier may serve."""
        return Choice(-1, NONE_ALLOWED, self._narrowed_by(at))

    def without_graph(self, at: Asked) -> Choice:
        """Return the tier that rules or the call settle; `at.may` holds at least one."""
        tier, rule = at.limits.tier, at.limits.rule
        if tier < 0:  # the call names it
            return Choice(at.may.bit_length() - 1, PINNED, rule if at.limits.pinned else CALL)
        if not at.may >> tier & 1:
            tier = self._stand_in(tier, at, at.may)
        if at.limits.pinned:
            return Choice(tier, PINNED, rule)
        if tier == at.limits.tier:
            return Choice(tier, FIXED_ROLE, rule)
        if at.pin:
            return Choice(tier, PINNED, CALL)
        return Choice(tier, CONSTRAINED, self._narrowed_by(at))

    def by_graph(self, at: Asked, numbers: Sequence[float]) -> Choice:
        """Return the graph's tier, another one in its place if its vendor is out.

        Raises
        ------
        ValueError
            Where the numbers are no decision.
        """
        tier, code = int(numbers[TIER]), int(numbers[REASON])  # NaN raises
        if code < 0:
            raise ValueError(f"reason {code}")
        # The order of scores of which one is NaN is not defined: ONNX Runtime may serve any tier.
        # (A role table has no scores, and its qualities are NaN: unknown.)
        if not math.isfinite(numbers[LEAD] + sum(numbers[self._scored])):
            raise ValueError("an estimate is no number")
        reason = self._reasons[code]
        if tier == -1 and reason == NONE_ALLOWED:
            return Choice(-1, reason, self._narrowed_by(at, numbers))
        if not 0 <= tier < self._n_tiers:
            raise ValueError(f"tier {tier}")
        if at.out >> tier & 1:  # it was asked as if no vendor were out, see `asks_ahead`
            usable = self.usable(at, numbers)
            if not usable:
                return Choice(-1, NONE_ALLOWED, OUTAGE)
            tier, reason = self._stand_in(tier, at, usable), CONSTRAINED
        elif not at.may >> tier & 1:
            raise ValueError(f"tier {tier} is not allowed")
        if reason == CONSTRAINED:
            reason = PINNED if at.limits.pinned else reason
            return Choice(tier, reason, self._narrowed_by(at, numbers))
        return Choice(tier, reason, at.floor_rule)

    def asks_ahead(self, at: Asked) -> bool:
        """Say whether to ask the graph as if no vendor were out.

        So it is where failover is laid down: it has to know whose steps are taken over.
        """
        return bool(at.out) and self._book.has_stand_in(at.out & at.limits.may & at.called)

    def usable(self, at: Asked, numbers: Sequence[float]) -> int:
        """Return which tiers may serve and are not known to be too slow."""
        return at.may & ~self.slow(at.limit_s, numbers)

    def slow(self, limit_s: float | None, numbers: Sequence[float]) -> int:
        """Return which tiers are expected to take longer than a limit."""
        if limit_s is None or limit_s == math.inf:
            return 0
        taken = numbers[self._latency]
        return sum(1 << tier for tier, seconds in enumerate(taken) if seconds > limit_s)

    def drawable(self, at: Asked, numbers: Sequence[float]) -> bool:
        """Say whether another tier may be drawn: nothing narrows this step beyond what stands."""
        if at.limits.pinned or at.limits.tier >= 0 or at.irreversible:
            return False
        standing = self._book.standing
        if at.limit_rule:
            standing &= ~self.slow(at.limit_s, numbers)
        return self.usable(at, numbers) == standing

    def _stand_in(self, tier: int, at: Asked, tiers: int) -> int:
        return self._book.stand_in(tier, tiers, out=bool(at.out >> tier & 1))

    def _narrowed_by(self, at: Asked, numbers: Sequence[float] = ()) -> str:
        """Return the first rule, in the order of what holds over what, that takes a tier away."""
        may = at.limits.may
        if at.limits.rule and (at.limits.pinned or at.limits.tier < 0):
            return at.limits.rule
        if may & at.out:
            return OUTAGE
        if may & ~at.called:
            return CALL
        if numbers and may & self.slow(at.limit_s, numbers):
            return at.limit_rule or CALL
        return "forbidden_vendors" if may != self._book.every else ""
