"""When a gateway looks for a new policy."""

from __future__ import annotations

from threading import Event

import numpy as np
import pytest

from tierwise.serve.polling import Poller, Schedule


class Clock:
    """A clock that stands still unless it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def schedule(clock: Clock, seed: int = 0) -> Schedule:
    return Schedule(np.random.default_rng(seed), 30.0, 600.0, clock)


def test_a_look_is_due_after_the_interval_and_not_before(clock: Clock) -> None:
    one = schedule(clock)
    assert not one.due()
    clock.now += 30 * 0.74
    assert not one.due()
    clock.now += 30 * 0.52
    assert one.due()
    one.looked(failed=False)
    assert not one.due()


def test_looks_of_many_gateways_part(clock: Clock) -> None:
    delays = [schedule(clock, seed).delay_s for seed in range(200)]
    assert 22.5 <= min(delays) < 24
    assert 36 < max(delays) <= 37.5


def test_failures_double_the_time_up_to_the_longest_and_one_success_ends_that(
    clock: Clock,
) -> None:
    one, delays = schedule(clock), []
    for _ in range(80):
        one.looked(failed=True)
        delays.append(one.delay_s)
    for number, delay in enumerate(delays, start=1):
        assert delay == pytest.approx(min(30 * 2.0**number, 600), rel=0.25)
    one.looked(failed=False)
    assert one.delay_s == pytest.approx(30, rel=0.25)


def test_a_clock_that_jumps_backwards_makes_a_look_due_not_never(clock: Clock) -> None:
    one = schedule(clock)
    clock.now -= 1e6
    assert one.due()
    one.looked(failed=False)
    assert not one.due()
    clock.now += 38
    assert one.due()


def test_a_clock_that_shows_nothing_makes_a_look_due(clock: Clock) -> None:
    one = schedule(clock)
    clock.now = float("nan")
    assert one.due()


def test_a_poller_looks_until_it_is_stopped() -> None:
    looks, enough = [], Event()

    def look() -> bool:
        looks.append(1)
        if len(looks) == 3:
            enough.set()
        return True

    with Poller(look, Schedule(np.random.default_rng(0), 0.001, 0.001)):
        assert enough.wait(10)
    seen = len(looks)
    assert not Event().wait(0.02)
    assert len(looks) == seen
