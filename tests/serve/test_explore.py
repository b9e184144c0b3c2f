"""Exploration: the propensities are those of the draws, and the day's budget holds."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator
from threading import Thread

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.data.errors import BadInput
from tierwise.serve.explore import SECONDS_PER_DAY, Explorer

ALL = (True, True, True, True)
FREE = (0.0, 0.0, 0.0, 0.0)


class Clock:
    """Seconds since 1970, as a test sets them."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads change places after every few instructions, so that a missing lock shows."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def explorer(rate: float = 0.2, **given: object) -> Explorer:
    return Explorer(rate, rng=np.random.default_rng(7), **given)  # type: ignore[arg-type]


def test_tiers_are_drawn_as_often_as_their_propensities_say() -> None:
    n = 100_000
    exploring = explorer()
    draws = [exploring.draw(2, (True, False, True, True), FREE, None) for _ in range(n)]
    said = np.array(draws[0].propensities)
    assert said == pytest.approx([0.2 / 3, 0, 0.8 + 0.2 / 3, 0.2 / 3], abs=1e-15)
    counts = Counter(draw.tier for draw in draws)
    seen = np.array([counts[tier] for tier in range(4)]) / n
    assert (np.abs(seen - said) <= 4 * np.sqrt(said * (1 - said) / n)).all()


def test_explored_steps_are_a_uniform_sample_of_the_drawable_tiers() -> None:
    exploring = explorer(0.5)
    draws = [exploring.draw(3, (False, True, True, True), FREE, None) for _ in range(30_000)]
    counts = Counter(draw.tier for draw in draws if draw.explored)
    n = counts.total()
    assert n / 30_000 == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / 30_000))
    for tier in (1, 2, 3):
        assert counts[tier] / n == pytest.approx(1 / 3, abs=4 * math.sqrt(2 / 9 / n))
    assert all(draw.tier == 3 for draw in draws if not draw.explored)


@given(
    rate=st.floats(0, 1),
    chosen=st.integers(0, 3),
    allowed=st.lists(st.booleans(), min_size=4, max_size=4),
    extra=st.lists(
        st.sampled_from([-1.0, 0.0, 0.001, 3.0, math.nan, math.inf]), min_size=4, max_size=4
    ),
    usd=st.sampled_from([0.0, 0.001, math.inf]),
)
def test_propensities_sum_to_one_and_only_drawable_tiers_have_any(
    rate: float, chosen: int, allowed: list[bool], extra: list[float], usd: float
) -> None:
    draw = explorer(rate, usd_per_day=usd).draw(chosen, allowed, extra, None)
    assert sum(draw.propensities) == pytest.approx(1, abs=1e-12)
    assert draw.propensities[draw.tier] > 0
    for tier, propensity in enumerate(draw.propensities):
        if tier != chosen and (not allowed[tier] or not math.isfinite(extra[tier])):
            assert propensity == 0


def test_a_role_has_its_own_rate() -> None:
    exploring = explorer(1.0, by_role={"planner": 0.0, "critic": 0.4})
    assert exploring.draw(0, ALL, FREE, "planner").propensities == (1, 0, 0, 0)
    assert exploring.draw(0, ALL, FREE, "critic").propensities[1] == pytest.approx(0.1)
    assert exploring.draw(0, ALL, FREE, "worker").propensities[1] == pytest.approx(0.25)
    assert exploring.draw(0, ALL, FREE, None).propensities[1] == pytest.approx(0.25)


def test_a_chosen_tier_that_is_not_allowed_is_served_without_a_draw() -> None:
    draw = explorer(1.0).draw(1, (True, False, True, True), FREE, None)
    assert (draw.tier, draw.propensities, draw.explored) == (1, (0, 1, 0, 0), False)


def test_nothing_is_drawn_once_the_dearest_tier_exceeds_what_is_left_of_the_day() -> None:
    exploring = explorer(1.0, usd_per_day=0.99)
    dear_last = (0.0, 0.0, 0.0, 1.0)
    draws = [exploring.draw(0, ALL, dear_last, None) for _ in range(50)]
    assert all(draw.propensities == (1, 0, 0, 0) and not draw.explored for draw in draws)
    assert exploring.out_of_budget == 50
    assert exploring.draw(0, (True, True, True, False), dear_last, None).explored


def test_propensities_stay_true_while_a_budget_runs_out() -> None:
    """Over many days each tier is drawn as often as the sum of what was said of it."""
    clock = Clock()
    exploring = explorer(0.5, usd_per_day=2.5, clock=clock)
    said, seen = np.zeros(4), np.zeros(4)
    variance = np.zeros(4)
    for step in range(40_000):
        clock.now = SECONDS_PER_DAY * (step // 20)
        draw = exploring.draw(0, ALL, (0.0, 0.1, 0.2, 1.0), None)
        p = np.array(draw.propensities)
        said += p
        variance += p * (1 - p)
        seen[draw.tier] += 1
    assert exploring.out_of_budget > 4_000
    assert (np.abs(seen - said) <= 4 * np.sqrt(variance)).all()


@given(
    steps=st.lists(
        st.lists(st.floats(-1, 5) | st.just(math.nan), min_size=4, max_size=4),
        min_size=1,
        max_size=60,
    ),
    usd=st.floats(0, 20),
)
def test_a_day_never_costs_more_than_its_budget(steps: list[list[float]], usd: float) -> None:
    exploring = explorer(1.0, usd_per_day=usd, clock=Clock())
    spent = 0.0
    for extra in steps:
        draw = exploring.draw(0, ALL, extra, None)
        spent += max(0.0, extra[draw.tier]) if draw.tier else 0.0
        assert spent <= usd
    assert exploring.spent_usd == spent


def test_a_new_day_has_a_new_budget_and_a_clock_that_goes_back_has_none() -> None:
    clock = Clock(10.5 * SECONDS_PER_DAY)
    exploring = explorer(1.0, usd_per_day=1.0, clock=clock)
    extra = (1.0, 1.0, 1.0, 1.0)
    only_dear = (True, True, False, False)

    def spend_all() -> None:
        while exploring.draw(0, only_dear, extra, None).tier == 0 and not exploring.spent_usd:
            pass
        assert exploring.spent_usd == 1.0

    spend_all()
    for back in (0.0, 9.9 * SECONDS_PER_DAY, 10.99 * SECONDS_PER_DAY):
        clock.now = back
        assert not exploring.draw(0, only_dear, extra, None).explored
    clock.now = 11 * SECONDS_PER_DAY
    spend_all()


def test_threads_together_spend_no_more_than_the_budget(switching: None) -> None:
    exploring = explorer(1.0, usd_per_day=3000.0, clock=Clock())
    drawn: list[int] = []

    def work() -> None:
        for _ in range(2000):
            drawn.append(exploring.draw(0, (True, True), (0.0, 1.0), None).tier)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(drawn) == 3000 == exploring.spent_usd


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan])
def test_a_rate_that_is_no_probability_is_refused(rate: float) -> None:
    with pytest.raises(BadInput):
        explorer(rate)
    with pytest.raises(BadInput):
        explorer(0.1, by_role={"worker": rate})


@pytest.mark.parametrize("usd", [-1.0, math.nan])
def test_a_budget_below_zero_is_refused(usd: float) -> None:
    with pytest.raises(BadInput):
        explorer(usd_per_day=usd)


def test_one_seed_gives_one_sequence_of_draws() -> None:
    once, again = explorer(0.5), explorer(0.5)
    draws = [once.draw(0, ALL, FREE, None) for _ in range(50)]
    assert draws == [again.draw(0, ALL, FREE, None) for _ in range(50)]
