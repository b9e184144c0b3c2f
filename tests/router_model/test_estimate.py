"""The NumPy model says what its documentation says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.router_model.policies import (
    BITS,
    N_DIMS,
    N_ROLES,
    N_TASKS,
    PAIR_BITS,
    random_model,
    random_steps,
)
from tierwise.features.token_session import TokenIds
from tierwise.features.tokens import reference_ids
from tierwise.router_model import estimate as module
from tierwise.router_model.estimate import Batch, estimate, log_context
from tierwise.router_model.model import Model


def run(model: Model, texts: tuple[bytes, ...], context: np.ndarray) -> Batch:
    return estimate(model, *TokenIds(BITS, PAIR_BITS).many(texts), context)


def plain(model: Model) -> Model:
    return dataclasses.replace(model, trees=None, network=None)


def kinds(model: Model, text: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The mean rows of a text's words and of its pairs, scaled."""
    ids = np.array(reference_ids(text, BITS, PAIR_BITS))
    words, pairs = ids[ids >= 0], ids[ids < 0]
    assert 2 * len(words) == len(pairs)
    return (
        model.rows[words].astype(np.float64).mean(axis=0) * model.scale,
        model.pair_rows[pairs].astype(np.float64).mean(axis=0) * model.pair_scale,
    )


def test_quality_is_task_plus_role_plus_the_mean_rows_of_words_and_of_pairs() -> None:
    model = plain(random_model())
    text = b"prove the file prove"
    context = np.array([[1, 0, 20, 800, 5, 1]], np.float32)
    words, pairs = kinds(model, text)
    wanted = model.task[0, :3] + model.role[1, :3] + words[:3] + pairs[:3]
    np.testing.assert_allclose(run(model, (text,), context).quality[0], wanted, rtol=1e-5)


def test_cost_is_linear_in_length_and_at_least_the_least() -> None:
    model = plain(random_model())
    context = np.array([[0, 1, 100, 2000, 1, 0], [0, 1, 0, 0, 1, 0]], np.float32)
    base = model.task[1, 3:] + model.role[0, 3:]
    wanted = base + np.array([[100, 2000], [0, 0]]) @ model.cost_slope
    found = run(model, (b"a", b"a"), context).cost
    np.testing.assert_allclose(found, np.maximum(wanted, 0.006), rtol=1e-5)
    dear = dataclasses.replace(model, least_cost=np.full(3, 9.0, np.float32))
    assert (run(dear, (b"a", b"a"), context).cost == 9.0).all()


def test_total_cost_adds_the_calls_of_the_ladder() -> None:
    model = random_model()
    said = run(model, *random_steps())
    context = random_steps()[1]
    for i in range(10):
        role = N_ROLES if np.isnan(context[i, 0]) else int(context[i, 0])
        np.testing.assert_allclose(said.total_cost[i], said.cost[i] @ model.retry[role], rtol=1e-5)
    assert (said.total_cost >= said.cost).all()


def test_unknown_context_takes_what_stands_for_it() -> None:
    model = random_model()
    text = (b"copy",)
    unknown = np.full((1, len(model.fill)), np.nan, np.float32)
    filled = model.fill[None].copy()
    assert filled[0, :2].tolist() == [N_ROLES, N_TASKS]
    for name in ("quality", "cost", "total_cost", "latency"):
        one, other = (getattr(run(model, text, c), name) for c in (unknown, filled))
        np.testing.assert_array_equal(one, other)


def test_an_unknown_latency_stays_unknown() -> None:
    context = np.array([[1, 0, 1, 1, 1, 1]], np.float32)
    latency = run(random_model(), (b"a",), context).latency[0]
    assert np.isnan(latency).tolist() == [True, False, False]


def test_a_network_adds_what_its_units_say_of_log_context_and_vector() -> None:
    model = dataclasses.replace(random_model(), trees=None)
    network = model.network
    assert network is not None
    texts, context = random_steps()
    with_it, without = run(model, texts, context), run(plain(model), texts, context)
    for i in range(len(texts)):
        vector = kinds(model, texts[i])[0][3 : 3 + N_DIMS]
        known = np.where(np.isnan(context[i]), model.fill, context[i]).astype(np.float64)
        logs = np.log(np.maximum(1 + known, 0.5))
        units = np.tanh(logs @ network.context + vector @ network.vector + network.bias)
        wanted = np.clip(without.quality[i] + units @ network.out, 0, 1)
        inside = (without.quality[i] > 0) & (without.quality[i] < 1)
        np.testing.assert_allclose(with_it.quality[i][inside], wanted[inside], atol=1e-5)


def test_a_network_tells_an_unknown_number_from_0_and_0_from_1() -> None:
    logs = log_context(np.array([[np.float32(-1), 0, 1, 2]], np.float32))[0]
    np.testing.assert_allclose(logs, np.log([0.5, 1, 2, 3]), rtol=1e-6)


def test_quality_is_clipped_to_0_and_1() -> None:
    model = random_model()
    shift = np.array([5, -5, 0, 0, 0, 0], np.float32)
    quality = run(dataclasses.replace(model, task=model.task + shift), *random_steps()).quality
    assert (quality[:, 0] == 1).all()
    assert (quality[:, 1] == 0).all()


def test_the_share_of_unseen_tokens_is_told() -> None:
    model = random_model()
    rows, pair_rows = model.rows.copy(), model.pair_rows.copy()
    ids = reference_ids(b"seen new", BITS, PAIR_BITS)
    rows[:, -1] = pair_rows[:, -1] = 0
    rows[ids[0], -1] = pair_rows[ids[3], -1] = 1
    unknown = np.full((1, len(model.fill)), np.nan, np.float32)
    knowing = dataclasses.replace(model, rows=rows, pair_rows=pair_rows)
    said = run(knowing, (b"seen new",), unknown)
    assert said.unseen[0] == pytest.approx(1 - 2 / len(ids))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, steps = random_model(), random_steps()
    whole = run(model, *steps)
    monkeypatch.setattr(module, "CHUNK", 7)
    for name in ("quality", "total_cost", "unseen"):
        part = getattr(run(model, *steps), name)
        np.testing.assert_allclose(part, getattr(whole, name), rtol=1e-6, atol=1e-7)
