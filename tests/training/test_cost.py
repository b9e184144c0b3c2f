"""What calls cost and take: linear in length, never negative, with the retries after failures."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.training.cost import LEAST_SHARE, fit_cost, retry_table, role_latency

N = 400
LADDER = (1, 2, -1)
Floats = np.ndarray


@pytest.fixture
def lengths() -> Floats:
    rng = np.random.default_rng(0)
    return np.stack([rng.uniform(10, 500, N), rng.uniform(100, 4000, N)], axis=1)


@pytest.fixture
def task() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 2, N)


def zeros(n: int = N) -> np.ndarray:
    return np.zeros(n, np.int64)


def test_a_linear_price_is_recovered(lengths: Floats, task: np.ndarray) -> None:
    slope = np.array([[1e-6, 5e-6], [2e-6, 3e-5]])
    cost = 0.001 + 0.002 * task[:, None] + lengths @ slope
    model = fit_cost(cost, task, zeros(), (2, 1), lengths)
    np.testing.assert_allclose(model.slope, slope, rtol=0.02)
    np.testing.assert_allclose(model.predict(task, zeros(), lengths), cost, rtol=0.05)


def test_slopes_are_never_negative(lengths: Floats) -> None:
    cost = (0.02 - 1e-6 * lengths[:, 1])[:, None]
    model = fit_cost(cost, zeros(), zeros(), (1, 1), lengths)
    assert (model.slope >= 0).all()
    assert model.slope[1, 0] == 0.0


def test_no_call_is_estimated_below_a_share_of_its_tiers_mean(lengths: Floats) -> None:
    cost = 1e-5 * lengths[:, [1]] - 0.0005
    model = fit_cost(cost, zeros(), zeros(), (1, 1), lengths)
    least = model.predict(zeros(1), zeros(1), np.zeros((1, 2)))
    assert least[0, 0] == pytest.approx(LEAST_SHARE * cost.mean())


def test_a_cost_that_varies_with_the_task_alone_has_no_slope(
    lengths: Floats, task: np.ndarray
) -> None:
    lengths[:, 1] += 10_000 * task  # long inputs are the dear task's, and do not make it dear
    model = fit_cost(0.001 + 0.02 * task[:, None], task, zeros(), (2, 1), lengths)
    assert model.slope[1, 0] < 0.1 * (0.02 / 10_000)  # what the tasks' means alone would say


def test_unknown_costs_spoil_no_other_tier_and_are_not_free(lengths: Floats) -> None:
    cost = (0.001 + 1e-6 * lengths[:, [1]]) * [1.0, 3.0, 2.0, 1.0]
    cost[::2, 1], cost[:, 3] = np.nan, np.nan
    model = fit_cost(cost, zeros(), zeros(), (1, 1), lengths)
    np.testing.assert_allclose(model.slope[1, :3], [1e-6, 3e-6, 2e-6], rtol=0.02)
    said = model.predict(zeros(), zeros(), lengths)
    np.testing.assert_array_equal(said[:, 3], said[:, 1])  # as dear as the dearest that is known


def test_where_no_cost_is_known_every_tier_costs_nothing(lengths: Floats) -> None:
    model = fit_cost(np.full((N, 2), np.nan), zeros(), zeros(), (1, 1), lengths)
    assert not model.predict(zeros(), zeros(), lengths).any()


def test_lengths_that_never_vary_give_no_slope() -> None:
    cost = np.random.default_rng(0).uniform(0.001, 0.002, (N, 2))
    model = fit_cost(cost, zeros(), zeros(), (1, 1), np.zeros((N, 2)))
    assert not model.slope.any()
    np.testing.assert_allclose(model.predict(zeros(1), zeros(1), np.zeros((1, 2)))[0], cost.mean(0))


def failures(shares: tuple[float, ...]) -> Floats:
    """Verdicts with exactly these shares of failures, in 1,000 steps."""
    valid = np.ones((1000, len(shares)))
    for k, share in enumerate(shares):
        valid[: round(1000 * share), k] = 0
    return valid


def unknown_role(valid: Floats, called: np.ndarray | None = None) -> Floats:
    called = np.ones(valid.shape, np.bool_) if called is None else called
    return retry_table(valid, called, zeros(len(valid)), 0, LADDER)[0]


def test_one_failure_in_ten_at_each_rung_makes_one_call_a_tenth_and_a_hundredth() -> None:
    np.testing.assert_allclose(
        unknown_role(failures((0.1, 0.1, 0.1))),
        [[1, 0, 0], [0.1, 1, 0], [0.01, 0.1, 1]],
        atol=1e-12,
    )


def test_each_rung_fails_by_its_own_share() -> None:
    table = unknown_role(failures((0.5, 0.2, 0.9)))
    np.testing.assert_allclose(table[:, 0], [1, 0.5, 0.5 * 0.2], atol=1e-12)


def test_a_call_without_a_check_leads_to_no_other() -> None:
    np.testing.assert_array_equal(unknown_role(np.full((50, 3), np.nan)), np.eye(3))
    half = failures((0.1, 0.1, 0.1))
    half[500:] = np.nan  # the 500 checked ones hold all 100 failures
    np.testing.assert_allclose(unknown_role(half)[:, 0], [1, 0.1, 0.01], atol=1e-12)


def test_a_tier_that_was_not_called_says_nothing_of_its_failures() -> None:
    valid = np.repeat(failures((0.1, 0.1, 0.1)), 3, axis=0)
    called = np.arange(3) == (np.arange(len(valid)) % 3)[:, None]
    logged = np.where(called, valid, np.nan)
    np.testing.assert_allclose(unknown_role(logged, called)[:, 0], [1, 0.1, 0.01], atol=1e-12)


def test_a_role_that_fails_often_has_more_calls_than_the_unknown_one() -> None:
    valid, role = np.ones((1000, 3)), np.repeat([0, 1], 500)
    valid[:250] = 0  # half of role 0's calls, none of role 1's
    table = retry_table(valid, np.ones((1000, 3), np.bool_), role, 2, LADDER)
    calls = table[:, 1, 0]
    assert calls[0] == pytest.approx(0.5, abs=0.02)
    assert calls[1] == pytest.approx(0.0, abs=0.02)
    assert calls[2] == pytest.approx(0.25, abs=1e-6)


def test_latency_is_the_roles_median_or_the_tiers_or_the_catalogues_or_unknown() -> None:
    latency = np.array([[1, np.nan, np.nan], [3, np.nan, np.nan], [50, np.nan, np.nan]])
    role = np.array([0, 0, 1])
    table = role_latency(latency, role, 3, np.array([9.0, 7.0, np.nan]))
    assert table[:, 0].tolist() == [2.0, 50.0, 3.0, 3.0]
    assert table[:, 1].tolist() == [7.0] * 4
    assert np.isnan(table[:, 2]).all()


def test_a_tier_of_which_no_cost_is_known_is_as_dear_as_the_dearest_known() -> None:
    rng = np.random.default_rng(0)
    cost = np.stack([np.full(80, 0.01), np.full(80, np.nan), np.full(80, 0.3)], axis=1)
    lengths = rng.uniform(10, 100, (80, 2))
    nowhere = np.zeros(80, np.int64)
    model = fit_cost(cost, nowhere, nowhere, (1, 1), lengths)
    predicted = model.predict(nowhere, nowhere, lengths)
    np.testing.assert_allclose(predicted[:, 1], predicted[:, 2])
    assert (predicted[:, 1] > predicted[:, 0]).all()
