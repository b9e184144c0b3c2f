"""Spend budgets: to the nano-USD, no tenant is given more than its capacity and refill."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from fractions import Fraction
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.data.errors import BadInput
from tierwise.serve.budget import DAY_NS, NANO, Allowance, TokenBuckets


class Clock:
    """Nanoseconds, as a test sets them."""

    def __init__(self, now: int = 0) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def holds(buckets: TokenBuckets, nano_usd: int) -> bool:
    """Whether tenant a is granted so many nano-USD and not one more; takes them."""
    more = buckets.take("a", (nano_usd + 1) / NANO)
    return not more and buckets.take("a", nano_usd / NANO)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "charge"]),
        st.integers(0, 5 * NANO),  # nano-USD
        st.integers(-DAY_NS // 10, DAY_NS),  # time that passes; a bad clock goes back
    ),
    max_size=40,
)


@given(capacity=st.integers(0, 9 * NANO), refill=st.integers(0, 9 * NANO), steps=STEPS)
def test_never_more_is_given_out_than_capacity_and_refill(
    capacity: int, refill: int, steps: list[tuple[str, int, int]]
) -> None:
    clock = Clock()
    buckets = TokenBuckets(capacity / NANO, refill / NANO, clock=clock)
    granted, latest = 0, 0
    for call, nano_usd, passed in steps:
        clock.now = max(0, clock.now + passed)
        latest = max(latest, clock.now)
        if call == "charge":
            buckets.charge("a", nano_usd / NANO)
        elif buckets.take("a", nano_usd / NANO):
            granted += nano_usd
        assert granted <= capacity + Fraction(refill * latest, DAY_NS)


@given(amounts=st.lists(st.integers(1, 5 * NANO), max_size=40))
def test_what_is_left_is_the_capacity_less_what_was_taken(amounts: list[int]) -> None:
    buckets = TokenBuckets(50.0, 0.0, clock=Clock())
    left = 50 * NANO
    for nano_usd in amounts:
        assert buckets.take("a", nano_usd / NANO) == (nano_usd <= left)
        left -= nano_usd if nano_usd <= left else 0
    assert holds(buckets, left)


def test_an_amount_is_taken_whole_or_not_at_all() -> None:
    buckets = TokenBuckets(1.0, 0.0, clock=Clock())
    assert not buckets.take("a", 1.000000001)
    assert buckets.refused == 1
    assert buckets.take("a", 1.0)
    assert not buckets.take("a", 0.000000001)


def test_a_million_small_refills_add_up_exactly() -> None:
    """One nanosecond of a refill is far below a nano-USD: rounding each would lose all of it."""
    clock = Clock()
    buckets = TokenBuckets(1.0, 1.0, clock=clock)
    assert buckets.take("a", 1.0)
    for clock.now in range(0, 100_000, 7):
        assert not buckets.take("a", 1.0)
    clock.now = DAY_NS - 1
    assert not buckets.take("a", 1.0)
    clock.now = DAY_NS
    assert buckets.take("a", 1.0)


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    clock = Clock(10 * DAY_NS)
    buckets = TokenBuckets(1.0, 1.0, clock=clock)
    assert buckets.take("a", 0.25)
    clock.now = 5 * DAY_NS
    assert holds(buckets, NANO * 3 // 4)


def test_a_bucket_never_holds_more_than_its_capacity() -> None:
    clock = Clock()
    buckets = TokenBuckets(1.0, 10.0, clock=clock)
    assert buckets.take("a", 0.5)
    clock.now = 30 * DAY_NS
    assert holds(buckets, NANO)


def test_retries_overdraw_and_nothing_is_granted_until_the_refill_made_up_for_it() -> None:
    clock = Clock()
    buckets = TokenBuckets(1.0, 1.0, clock=clock)
    buckets.charge("a", 3.0)
    clock.now = 2 * DAY_NS
    assert holds(buckets, 0)
    clock.now = 3 * DAY_NS
    assert holds(buckets, NANO)


def test_tenants_do_not_spend_each_others_budget() -> None:
    buckets = TokenBuckets(1.0, 0.0, {"big": Allowance(5.0, 0.0)}, clock=Clock())
    assert buckets.take("a", 1.0)
    assert buckets.take(None, 1.0)
    assert buckets.take("big", 5.0)
    assert not any(buckets.take(tenant, 0.1) for tenant in ("a", None, "big"))


@pytest.mark.parametrize("usd", [0.0, -1.0])
def test_what_costs_nothing_is_granted_even_on_an_empty_budget(usd: float) -> None:
    buckets = TokenBuckets(0.0, 0.0, clock=Clock())
    assert buckets.take("a", usd)
    buckets.charge("a", usd)
    assert holds(buckets, 0)


@pytest.mark.parametrize("usd", [math.nan, math.inf, 1e305])
def test_an_amount_nobody_can_count_is_neither_granted_nor_charged(usd: float) -> None:
    buckets = TokenBuckets(1.0, 0.0, clock=Clock())
    assert not buckets.take("a", usd)
    buckets.charge("a", usd)
    assert holds(buckets, NANO)


def test_full_buckets_are_forgotten_when_there_are_too_many_tenants() -> None:
    clock = Clock()
    buckets = TokenBuckets(1.0, 1.0, clock=clock, max_tenants=3)
    for tenant in "abc":
        assert buckets.take(tenant, 0.5)
    clock.now = DAY_NS
    assert buckets.take("d", 0.5)
    assert len(buckets) == 1
    assert holds(buckets, NANO)


def test_invented_tenants_spend_one_bucket_together() -> None:
    clock = Clock()
    buckets = TokenBuckets(1.0, 0.0, {"own": Allowance(1.0, 0.0)}, clock=clock, max_tenants=2)
    assert buckets.take("a", 0.1)
    assert buckets.take("b", 0.1)
    granted = 0
    for number in range(1000):
        clock.now += NANO
        granted += buckets.take(f"invented {number}", 0.25)
    assert granted == 4
    assert len(buckets) == 2
    assert buckets.take("own", 1.0)


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads change places after every few instructions, so that a missing lock shows."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_threads_together_take_no_more_than_there_is(switching: None) -> None:
    buckets = TokenBuckets(50.0, 0.0, clock=Clock())
    granted: list[bool] = []

    def work() -> None:
        granted.extend(buckets.take("a", 0.01) for _ in range(2000))

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 5000


@pytest.mark.parametrize(("capacity", "refill"), [(-1.0, 0.0), (math.nan, 1.0), (1.0, math.inf)])
def test_an_allowance_that_is_no_amount_is_refused(capacity: float, refill: float) -> None:
    with pytest.raises(BadInput):
        TokenBuckets(capacity, refill)
