"""Which traces are drawn: with the probability that is recorded, and never beyond the budget."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tierwise.data.errors import BadInput
from tierwise.data.label_draw import draw, inclusion, least_probability, recorded, strata


def population(n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    """Three strata of very different size and price; prices have a heavy tail."""
    rng = np.random.default_rng(7)
    stratum = np.repeat([0, 1, 2], [n // 9, n // 3, n - n // 9 - n // 3])
    return stratum, np.exp(rng.normal(0, 1.0, n)) * (1 + stratum)


def test_each_trace_is_drawn_with_the_probability_that_is_recorded() -> None:
    stratum, price = population()
    least = np.array([0.6, 0.0, 0.0])
    budget = 0.35 * price.sum()
    probability = inclusion(stratum, price, least, budget)
    rng = np.random.default_rng(1)
    repeats = 3000
    hits = np.zeros(len(price))
    for _ in range(repeats):
        hits[draw(stratum, price, probability, budget, rng)] += 1
    expected = recorded(stratum, price, probability, budget)
    error = np.sqrt(expected * (1 - expected) / repeats)
    assert (np.abs(hits / repeats - expected) < 3 * error + 0.03 * expected).all()
    for place in range(3):
        mean = hits[stratum == place].mean() / repeats
        assert mean == pytest.approx(probability[place], rel=0.03)


def test_a_trace_that_takes_much_of_the_budget_is_recorded_as_less_likely() -> None:
    stratum, price = population()
    price[40] = 0.15 * price.sum()
    budget = 0.3 * price.sum()
    probability = inclusion(stratum, price, np.zeros(3), budget)
    rng = np.random.default_rng(1)
    hits = sum(40 in draw(stratum, price, probability, budget, rng) for _ in range(3000)) / 3000
    assert hits < 0.85 * probability[0]
    assert recorded(stratum, price, probability, budget)[40] == pytest.approx(hits, rel=0.15)


@pytest.mark.parametrize("share", [0.08, 0.3, 0.9])
def test_no_draw_is_beyond_the_budget(share: float) -> None:
    stratum, price = population()
    budget = share * price.sum()
    probability = inclusion(stratum, price, np.zeros(3), budget)
    for seed in range(200):
        drawn = draw(stratum, price, probability, budget, np.random.default_rng(seed))
        assert price[drawn].sum() <= budget
        assert len(set(drawn.tolist())) == len(drawn)


def test_without_wishes_all_strata_have_one_probability() -> None:
    stratum, price = population()
    probability = inclusion(stratum, price, np.zeros(3), 0.3 * price.sum())
    assert len(set(probability.tolist())) == 1
    assert 0.15 < probability[0] < 0.3


def test_a_budget_for_everything_takes_everything_for_certain() -> None:
    stratum, price = population()
    probability = inclusion(stratum, price, np.zeros(3), float(price.sum()))
    assert (probability == 1).all()
    drawn = draw(stratum, price, probability, float(price.sum()), np.random.default_rng(0))
    assert sorted(drawn) == list(range(len(price)))


def test_the_drawn_stand_in_random_order() -> None:
    stratum, price = population()
    drawn = draw(stratum, price, np.ones(3), float(price.sum()), np.random.default_rng(0))
    assert np.corrcoef(drawn, np.arange(len(drawn)))[0, 1] < 0.3


def test_a_budget_below_a_trace_is_refused() -> None:
    stratum, price = population()
    with pytest.raises(BadInput, match="less than one trace"):
        inclusion(stratum, price, np.zeros(3), 0.1)


def test_wishes_beyond_the_budget_are_refused_with_their_price() -> None:
    stratum, price = population()
    with pytest.raises(BadInput, match="per-role") as caught:
        inclusion(stratum, price, np.array([1.0, 1.0, 0.0]), 3.0)
    assert "USD for these" in caught.value.expected


def test_a_trace_belongs_to_its_rarest_role() -> None:
    role = pd.Series(["common", "rare", "common", "common", "middling", "middling"])
    roles, stratum = strata(role, np.array([0, 0, 1, 2, 2, 3]))
    assert [roles[code] for code in stratum] == ["rare", "common", "middling", "middling"]


def test_steps_wanted_of_a_role_raise_every_stratum_that_holds_it() -> None:
    role = pd.Series(["common", "rare", "common", "other", "common", "common"])
    trace = np.array([0, 0, 1, 2, 3, 4])
    roles, stratum = strata(role, trace)
    least = least_probability(role, trace, stratum, roles, {"common": 2})
    assert dict(zip(roles, least, strict=True)) == {"rare": 0.5, "common": 0.5, "other": 0.0}


def test_a_role_that_does_not_occur_is_refused() -> None:
    role = pd.Series(["worker"])
    with pytest.raises(BadInput, match="no such role") as caught:
        least_probability(role, np.array([0]), np.array([0]), ["worker"], {"workr": 5})
    assert "worker" in caught.value.expected
