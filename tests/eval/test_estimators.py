"""Off-policy estimators: identities that hold exactly, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from estimators.bandits import cressieread
from estimators.bandits import ips as oracle_ips
from estimators.bandits import snips as oracle_snips
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.eval.estimators import (
    Logged,
    direct,
    doubly_robust,
    effective_size,
    ips,
    paired_difference,
    plain_mean,
    snips,
)
from tierwise.eval.outcome_model import cross_fitted

Floats = NDArray[np.float64]


def make_logs(n: int = 1_200, per_unit: int = 1, seed: int = 0) -> tuple[Logged, Floats, Floats]:
    """Logs of three tiers, outcomes, and a policy that serves one tier a step."""
    rng = np.random.default_rng(seed)
    propensities = rng.dirichlet([2.0, 2.0, 2.0], n) * 0.7 + 0.1
    served = (rng.random((n, 1)) > propensities.cumsum(axis=1)).sum(axis=1)
    effect = np.repeat(rng.normal(0, 0.2, -(-n // per_unit)), per_unit)[:n]
    outcome = (rng.random(n) < np.clip(0.4 + 0.2 * served + effect, 0, 1)).astype(np.float64)
    step = np.array([f"s{i:05}" for i in rng.permutation(n)])
    unit = np.array([f"u{i // per_unit}" for i in range(n)])
    target = np.eye(3)[rng.integers(0, 3, n)]
    return Logged(served, propensities, unit, step), outcome, target


def test_the_logging_policy_gets_the_plain_mean_of_its_logs_exactly() -> None:
    logged, outcome, _ = make_logs()
    assert snips(logged.propensities, logged, outcome).value == outcome.mean()
    assert effective_size(logged.propensities, logged) == len(logged)


def test_its_interval_is_that_of_the_plain_mean_too() -> None:
    logged, outcome, _ = make_logs(per_unit=4)
    plain, weighed = plain_mean(outcome, logged.unit), snips(logged.propensities, logged, outcome)
    assert (weighed.low, weighed.high) == pytest.approx((plain.low, plain.high), rel=1e-12)


def test_an_outcome_of_one_everywhere_gives_exactly_one() -> None:
    logged, outcome, target = make_logs()
    found = snips(target, logged, np.ones_like(outcome))
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_the_order_of_the_rows_changes_no_bit() -> None:
    logged, _, target = make_logs(per_unit=3)
    outcome = np.random.default_rng(4).lognormal(size=len(logged))  # sums of it depend on order
    role = np.array(["worker", "critic"])[np.arange(len(logged)) % 2]
    moved = np.random.default_rng(1).permutation(len(logged))

    def every(rows: NDArray[np.int64]) -> list[object]:
        part, y, to = logged.rows(rows), outcome[rows], target[rows]
        guess = cross_fitted(part, y, role[rows])
        other = np.tile([0.2, 0.3, 0.5], (len(rows), 1))
        return [
            *(estimate(to, part, y) for estimate in (ips, snips)),
            doubly_robust(to, part, y, guess),
            paired_difference(to, other, part, y, guess),
        ]

    assert every(moved) == every(np.arange(len(logged)))


def test_values_are_those_of_an_independent_implementation() -> None:
    logged, outcome, target = make_logs()
    peers = (oracle_ips.Estimator(), oracle_snips.Estimator())
    rows = np.arange(len(logged))
    chance, wanted = logged.propensities[rows, logged.served], target[rows, logged.served]
    for p, r, w in zip(chance, outcome, wanted, strict=True):
        for peer in peers:
            peer.add_example(float(p), float(r), float(w))
    assert ips(target, logged, outcome).value == pytest.approx(peers[0].get(), rel=1e-12)
    assert snips(target, logged, outcome).value == pytest.approx(peers[1].get(), rel=1e-12)


def test_intervals_agree_with_those_of_empirical_likelihood() -> None:
    """Another road to the same interval: both are within a fifth of each other's width."""
    logged, outcome, target = make_logs(4_000)
    peer = cressieread.Interval(empirical_r_bounds=False)
    rows = np.arange(len(logged))
    chance, wanted = logged.propensities[rows, logged.served], target[rows, logged.served]
    for p, r, w in zip(chance, outcome, wanted, strict=True):
        peer.add_example(float(p), float(r), float(w))
    low, high = peer.get()
    ours = snips(target, logged, outcome)
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.2 * (high - low))


def test_a_model_that_is_always_right_leaves_no_noise_but_that_of_the_steps() -> None:
    logged, _, target = make_logs()
    truth = np.random.default_rng(2).random((len(logged), 3))
    outcome = truth[np.arange(len(logged)), logged.served]
    found = doubly_robust(target, logged, outcome, truth)
    wanted = (target * truth).sum(axis=1)
    assert found.value == pytest.approx(wanted.mean(), rel=1e-12)
    assert found.error == pytest.approx(wanted.std(ddof=1) / np.sqrt(len(logged)), rel=1e-9)


def test_a_model_that_is_always_wrong_moves_the_direct_value_and_not_the_doubly_robust_one() -> (
    None
):
    logged, outcome, target = make_logs(6_000)
    wrong = np.full((len(logged), 3), 5.0)
    found = doubly_robust(target, logged, outcome, wrong)
    assert direct(target, wrong, logged.unit).value == 5.0
    assert found.low < snips(target, logged, outcome).value < found.high


def test_an_unknown_prediction_of_a_tier_that_is_never_served_spoils_nothing() -> None:
    logged, outcome, _ = make_logs()
    target = np.tile([1.0, 0.0, 0.0], (len(logged), 1))
    known = np.full(target.shape, 0.3)
    holed = np.where(target > 0, known, np.nan)
    assert direct(target, holed, logged.unit) == direct(target, known, logged.unit)
    kept = np.where(logged.served[:, None] == np.arange(3), 0.3, holed)
    assert doubly_robust(target, logged, outcome, kept) == doubly_robust(
        target, logged, outcome, known
    )
    both = paired_difference(target, target, logged, outcome, kept)
    assert (both.value, both.error) == (0.0, 0.0)


def test_steps_of_one_unit_do_not_count_as_independent() -> None:
    logged, outcome, target = make_logs(3_000)
    together = replace(logged, unit=np.array([f"u{i // 10}" for i in range(len(logged))]))
    same = np.repeat(outcome[::10], 10)
    apart = snips(target, logged, same).error
    assert snips(target, together, same).error > 1.5 * apart


def test_a_policy_differs_from_itself_by_nothing_at_all() -> None:
    logged, outcome, target = make_logs()
    guess = cross_fitted(logged, outcome, np.full(len(logged), ""))
    found = paired_difference(target, target, logged, outcome, guess)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_pairing_is_narrower_where_policies_mostly_agree() -> None:
    logged, outcome, target = make_logs(6_000)
    other = target.copy()
    other[:300] = np.eye(3)[(target[:300].argmax(axis=1) + 1) % 3]
    guess = cross_fitted(logged, outcome, np.full(len(logged), ""))
    paired = paired_difference(target, other, logged, outcome, guess)
    one = doubly_robust(target, logged, outcome, guess)
    assert paired.error < 0.5 * one.error


def test_the_difference_is_that_of_the_two_values() -> None:
    logged, outcome, target = make_logs()
    other = np.tile([0.0, 0.5, 0.5], (len(logged), 1))
    guess = cross_fitted(logged, outcome, np.full(len(logged), ""))
    a, b = (doubly_robust(one, logged, outcome, guess).value for one in (target, other))
    found = paired_difference(target, other, logged, outcome, guess)
    assert found.value == pytest.approx(a - b, abs=1e-12)
    part = paired_difference(target, other, logged, outcome, guess, share=0.9)
    assert part.value == pytest.approx(a - 0.9 * b, abs=1e-12)


def test_no_step_is_predicted_from_its_own_unit() -> None:
    logged, outcome, _ = make_logs(per_unit=4)
    role = np.full(len(logged), "worker")
    before = cross_fitted(logged, outcome, role)
    mine = logged.unit == "u7"
    after = cross_fitted(logged, np.where(mine, 1 - outcome, outcome), role)
    np.testing.assert_array_equal(before[mine], after[mine])
    assert (before != after).any()


def test_predictions_are_means_of_the_role_where_it_has_many_steps() -> None:
    logged = make_logs(6_000)[0]
    role = np.where(np.arange(len(logged)) % 2, "easy", "hard")
    known = np.where(role == "easy", 0.9, 0.1)
    found = cross_fitted(logged, known, role)
    assert found[role == "easy"] == pytest.approx(0.9, abs=0.02)
    assert found[role == "hard"] == pytest.approx(0.1, abs=0.02)


def test_too_little_weight_is_refused_with_what_was_found_and_what_is_needed() -> None:
    logged, outcome, target = make_logs(300)
    for estimate in (ips, snips):
        with pytest.raises(BadInput, match=r"effective sample size of \d+ of 300 .* 200 at least"):
            estimate(target, logged, outcome)
    with pytest.raises(BadInput, match="effective sample size"):
        doubly_robust(target, logged, outcome, np.zeros((300, 3)))


def test_effective_size_is_the_steps_served_alike_where_the_logs_drew_evenly() -> None:
    rng = np.random.default_rng(3)
    served = rng.integers(0, 3, 900)
    names = np.array([f"s{i}" for i in range(900)])
    logged = Logged(served, np.full((900, 3), 1 / 3), names, names)
    always = np.tile([0.0, 0.0, 1.0], (900, 1))
    assert effective_size(always, logged) == pytest.approx((served == 2).sum(), rel=1e-12)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ([0.0, 0.5, 0.5], "propensity 0 or less"),
        ([1.2, 0.1, 0.1], r"outside \[0, 1\]"),
        ([np.nan, 0.5, 0.5], "has no propensity"),
        ([0.3, 0.3, 0.3], "do not sum to 1"),
        ([0.5, 0.6, np.nan], "do not sum to 1"),
    ],
)
def test_propensities_that_cannot_be_are_refused_with_the_step_named(
    row: list[float], why: str
) -> None:
    logged, outcome, target = make_logs()
    propensities, served = logged.propensities.copy(), logged.served.copy()
    propensities[17], served[17] = row, 0
    broken = replace(logged, propensities=propensities, served=served)
    for estimate in (ips, snips):
        with pytest.raises(BadInput, match=f"step {logged.step[17]} .*{why}"):
            estimate(target, broken, outcome)


def test_the_other_tiers_propensities_may_be_unknown() -> None:
    logged, outcome, target = make_logs()
    alone = np.full_like(logged.propensities, np.nan)
    rows = np.arange(len(logged))
    alone[rows, logged.served] = logged.propensities[rows, logged.served]
    assert snips(target, replace(logged, propensities=alone), outcome) == snips(
        target, logged, outcome
    )


def test_a_tier_that_the_logs_could_not_serve_is_refused_with_the_step_named() -> None:
    logged, outcome, target = make_logs()
    propensities, target = logged.propensities.copy(), target.copy()
    propensities[5], target[5] = np.eye(3)[logged.served[5]], np.eye(3)[(logged.served[5] + 1) % 3]
    with pytest.raises(BadInput, match=f"step {logged.step[5]} may get a tier"):
        snips(target, replace(logged, propensities=propensities), outcome)


def test_a_step_that_occurs_twice_is_refused() -> None:
    logged, outcome, target = make_logs()
    step = logged.step.copy()
    step[3] = step[4]
    with pytest.raises(BadInput, match=f"step {step[3]} .*occurs twice"):
        snips(target, replace(logged, step=step), outcome)


def test_an_unknown_outcome_is_refused_with_the_step_named() -> None:
    logged, outcome, target = make_logs()
    outcome[9] = np.nan
    with pytest.raises(BadInput, match=f"step {logged.step[9]} has no outcome"):
        doubly_robust(target, logged, outcome, np.zeros((len(logged), 3)))


def test_one_unit_alone_has_no_interval() -> None:
    logged, outcome, target = make_logs()
    with pytest.raises(BadInput, match="1 unit of independent steps"):
        snips(target, replace(logged, unit=np.full(len(logged), "u")), outcome)
