"""Exploration: now and then another tier serves, so that its outcome becomes known.

Epsilon-greedy: with probability `rate` a tier drawn uniformly from those that may be drawn, else
the one the policy chose. The draw looks at no text, so that the steps drawn for each tier are
alike; its probabilities are known exactly, which is what off-policy estimates rest on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from tierwise.data.errors import BadInput

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Draw:
    """What a draw gave.

    Attributes
    ----------
    tier : int
        The tier to serve, 0..n_tiers - 1.
    propensities : tuple of n_tiers float
        Probability of every tier at this step, before the draw; they sum to 1.
    explored : bool
        Whether chance decided. Among such steps every tier that could be drawn is as likely as
        any other, the policy's own among them: a simple random sample of the traffic.
    """

    tier: int
    propensities: tuple[float, ...]
    explored: bool


class Explorer:
    """Draws tiers within a budget of extra cost a day; safe to call from many threads, no I/O.

    The budget is checked before the draw, against the dearest tier that could be drawn. A check of
    the drawn tier alone would make dear tiers rarer than their propensities say.

    Parameters
    ----------
    rate : float
        Probability of a draw, 0..1.
    by_role : mapping of str to float, optional
        The same for single roles.
    usd_per_day : float, optional
        Expected extra cost over the policy's own tiers that a day (UTC) may bring.
    rng : numpy.random.Generator
        Where chance comes from.
    clock : callable, optional
        Seconds since 1970. Where it goes back, the day stays the latest seen: no second budget.

    Attributes
    ----------
    out_of_budget : int
        Steps that were not explored since the day's budget would not pay for the dearest tier.

    Raises
    ------
    BadInput
        For a rate outside 0..1 or a budget below 0.
    """

    def __init__(
        self,
        rate: float,
        by_role: Mapping[str, float] | None = None,
        usd_per_day: float = math.inf,
        *,
        rng: np.random.Generator,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rate = _rate("rate", rate)
        self._by_role = {role: _rate(role, its) for role, its in (by_role or {}).items()}
        if not usd_per_day >= 0:
            raise BadInput(
                f"exploration budget of {usd_per_day} USD a day", "0 or more", "mend `explore`"
            )
        self._usd_per_day = usd_per_day
        self._rng = rng
        self._clock = clock
        self._lock = Lock()  # numpy generators are not safe to share without one
        self._day = -1
        self._spent = 0.0
        self.out_of_budget = 0

    @property
    def spent_usd(self) -> float:
        """Extra cost charged to the current day, USD."""
        with self._lock:
            self._turn_page()
            return self._spent

    def draw(
        self, chosen: int, allowed: Sequence[bool], extra_cost: Sequence[float], role: str | None
    ) -> Draw:
        """Draw the tier that serves a step.

        Parameters
        ----------
        chosen : int
            The policy's tier; served where nothing may be drawn, even if it is not allowed.
        allowed : sequence of n_tiers bool
            Tiers that may serve this step.
        extra_cost : sequence of n_tiers float
            Expected cost over that of `chosen`, USD; below 0 counts as 0. A tier whose cost is
            unknown (NaN) or infinite is never drawn: no budget can answer for it.
        role : str or None
            The step's role.

        Returns
        -------
        Draw
            With probability 1 for `chosen` where no draw was made.
        """
        rate = self._rate if role is None else self._by_role.get(role, self._rate)
        drawable = [
            tier
            for tier, (may, extra) in enumerate(zip(allowed, extra_cost, strict=True))
            if may and (tier == chosen or math.isfinite(extra))
        ]
        if rate == 0 or chosen not in drawable or len(drawable) == 1:
            return _certain(chosen, len(allowed))
        extra = {tier: max(0.0, extra_cost[tier]) for tier in drawable if tier != chosen}
        with self._lock:
            self._turn_page()
            if self._spent + max(extra.values()) > self._usd_per_day:
                self.out_of_budget += 1
                return _certain(chosen, len(allowed))
            explored = bool(self._rng.random() < rate)
            tier = drawable[int(self._rng.integers(len(drawable)))] if explored else chosen
            self._spent += extra.get(tier, 0.0)
        share = rate / len(drawable)
        propensities = [share if tier in drawable else 0.0 for tier in range(len(allowed))]
        propensities[chosen] += 1 - rate
        return Draw(tier, tuple(propensities), explored)

    def _turn_page(self) -> None:
        day = int(self._clock() // SECONDS_PER_DAY)
        if day > self._day:
            self._day, self._spent = day, 0.0


def _certain(chosen: int, n_tiers: int) -> Draw:
    return Draw(chosen, tuple(float(tier == chosen) for tier in range(n_tiers)), False)


def _rate(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise BadInput(f"exploration {name} = {value}", "a probability, 0..1", "mend `explore`")
    return float(value)
