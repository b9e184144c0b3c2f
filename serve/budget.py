"""Spend budgets: what a tenant may cost beyond the role table's tiers, as a token bucket in USD.

Amounts are whole nano-USD and time is whole nanoseconds, so that sums are exact however many there
are. A bucket's level is kept in nano-USD times nanoseconds a day: then a refill needs no division
and nothing is rounded away.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from tierwise.data.errors import BadInput

NANO = 1_000_000_000
DAY_NS = 86_400 * NANO


class BudgetStore(Protocol):
    """What a router asks before a dearer first choice and tells after a retry.

    `TokenBuckets` counts within one process, `budget_shared.SharedBuckets` for all processes of a
    machine. Whatever takes their place must neither raise nor wait, since decisions do neither.
    """

    def take(self, tenant: str | None, usd: float) -> bool:
        """Take all of `usd` and return True, or nothing and return False."""

    def charge(self, tenant: str | None, usd: float) -> None:
        """Take `usd` that is spent already, even if the budget goes below zero."""


@dataclass(frozen=True)
class Allowance:
    """A bucket's size and refill.

    Attributes
    ----------
    capacity_usd : float
        What it holds when full, as at the start.
    refill_usd_per_day : float
        What comes back in a day, evenly.
    """

    capacity_usd: float
    refill_usd_per_day: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < math.inf:
                raise BadInput(f"{name} = {value} in a budget", "0 or more USD", "mend `budgets`")


class TokenBuckets:
    """One bucket a tenant; safe to call from many threads, no I/O.

    A tenant gets, over any span of time, at most its capacity and what that span refills. Buckets
    that are full again are forgotten, since a new one would be the same. Where `max_tenants` are
    kept and none is full, further tenants without an allowance of their own share one bucket until
    there is room: many invented names then spend no more than one.

    Parameters
    ----------
    capacity_usd, refill_usd_per_day : float
        The common allowance, see `Allowance`.
    per_tenant : mapping of str to Allowance, optional
        Allowances of single tenants.
    clock : callable, optional
        Nanoseconds of a clock that never goes back.
    max_tenants : int, optional
        Buckets kept at most.

    Attributes
    ----------
    refused : int
        Calls of `take` that got nothing.
    """

    def __init__(
        self,
        capacity_usd: float,
        refill_usd_per_day: float,
        per_tenant: Mapping[str, Allowance] | None = None,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        max_tenants: int = 10_000,
    ) -> None:
        self._common = Size.of(Allowance(capacity_usd, refill_usd_per_day))
        self._own = {name: Size.of(its) for name, its in (per_tenant or {}).items()}
        self._clock = clock
        self._max_tenants = max_tenants
        self._lock = Lock()
        self._buckets: dict[str | None, Bucket] = {}
        self._shared = Bucket(self._common, self._common.capacity, clock())
        self._swept = clock() - NANO
        self.refused = 0

    def __len__(self) -> int:
        """Return how many tenants have a bucket of their own."""
        return len(self._buckets)

    def take(self, tenant: str | None, usd: float) -> bool:
        """Take all of an amount or nothing.

        Parameters
        ----------
        tenant : str or None
            Steps without a tenant have one bucket together.
        usd : float
            Expected extra cost, to the nearest nano-USD. Nothing is taken for 0 or less, which is
            always granted; an amount that is unknown (NaN) or infinite never is.
        """
        if usd <= 0:
            return True
        with self._lock:
            if countable(usd):
                now = self._clock()
                if self._bucket(tenant, now).take(nano(usd), now):
                    return True
            self.refused += 1
            return False

    def charge(self, tenant: str | None, usd: float) -> None:
        """Take what is spent already; below zero nothing is granted until refills make up for it.

        An amount that is unknown, infinite or not above 0 changes nothing.
        """
        if usd > 0 and countable(usd):
            with self._lock:
                now = self._clock()
                self._bucket(tenant, now).charge(nano(usd), now)

    def _bucket(self, tenant: str | None, now: int) -> Bucket:
        bucket = self._buckets.get(tenant)
        if bucket is not None:
            return bucket
        own = None if tenant is None else self._own.get(tenant)
        if own is None and len(self._buckets) >= self._max_tenants:
            self._forget_full(now)
            if len(self._buckets) >= self._max_tenants:
                return self._shared
        size = own or self._common
        bucket = self._buckets[tenant] = Bucket(size, size.capacity, now)
        return bucket

    def _forget_full(self, now: int) -> None:
        if now - self._swept < NANO:  # it looks at every bucket: once a second is enough
            return
        self._swept = now
        for bucket in self._buckets.values():
            bucket.refill(now)
        self._buckets = {
            tenant: bucket
            for tenant, bucket in self._buckets.items()
            if bucket.level < bucket.size.capacity
        }


@dataclass(frozen=True, slots=True)
class Size:
    """An allowance in whole numbers.

    Attributes
    ----------
    capacity : int
        Nano-USD times nanoseconds a day.
    refill : int
        Nano-USD a day.
    """

    capacity: int
    refill: int

    @classmethod
    def of(cls, allowance: Allowance) -> Size:
        """Round an allowance to the nearest nano-USD."""
        capacity = nano(allowance.capacity_usd) * DAY_NS
        return cls(capacity, nano(allowance.refill_usd_per_day))


class Bucket:
    """One bucket: its `level` in nano-USD times nanoseconds a day, `at` a time in nanoseconds."""

    __slots__ = ("at", "level", "size")

    def __init__(self, size: Size, level: int, at: int) -> None:
        self.size, self.level, self.at = size, level, at

    def refill(self, now: int) -> None:
        """Add what came back since; a clock that goes back changes nothing."""
        if now > self.at:
            refilled = self.level + self.size.refill * (now - self.at)
            self.level = min(self.size.capacity, refilled)
            self.at = now

    def take(self, nano_usd: int, now: int) -> bool:
        """Take all or nothing."""
        self.refill(now)
        enough = self.level >= nano_usd * DAY_NS
        if enough:
            self.level -= nano_usd * DAY_NS
        return enough

    def charge(self, nano_usd: int, now: int) -> None:
        """Take it in any case."""
        self.refill(now)
        self.level -= nano_usd * DAY_NS


def nano(usd: float) -> int:
    """Return an amount in nano-USD, to the nearest."""
    return round(usd * NANO)


def countable(usd: float) -> bool:
    """Say whether an amount is known and finite."""
    return math.isfinite(usd * NANO)
