"""Token rows of one byte an entry stand for the dense ones."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.training.hashed import Vocabulary
from tierwise.training.pack import TAIL, pack_rows

BITS, N_TIERS, N_DIMS = 6, 3, 4
SIZE = 2 ** (BITS + 1) + 1
Parts = tuple[np.ndarray, np.ndarray, Vocabulary]


@pytest.fixture
def parts() -> Parts:
    rng = np.random.default_rng(0)
    kept = np.sort(rng.choice(SIZE, 60, replace=False))
    weight = rng.uniform(0.5, 2.0, 60).astype(np.float32)
    ridge = rng.normal(size=(60, N_TIERS)) * [1.0, 0.001, 100.0]
    return ridge, rng.normal(size=(60, N_DIMS)).astype(np.float32), Vocabulary(kept, weight)


def dense_of(parts: Parts) -> np.ndarray:
    ridge, vectors, vocabulary = parts
    return np.concatenate([ridge, vectors], axis=1) * vocabulary.weight[:, None]


def test_rows_times_scale_are_the_weighted_entries_within_half_a_step(parts: Parts) -> None:
    rows, scale = pack_rows(*parts, BITS)
    dense = dense_of(parts)
    again = rows[parts[2].kept, :-1] * scale[:-1]
    inside = np.abs(dense) <= 127 * scale[:-1]
    assert inside.mean() > 0.97
    wide = np.broadcast_to(scale[:-1] * 0.501, dense.shape)
    assert (np.abs(again - dense)[inside] <= wide[inside]).all()


def test_a_mean_of_rows_is_the_dense_mean_within_the_scale(parts: Parts) -> None:
    rows, scale = pack_rows(*parts, BITS)
    ids = parts[2].kept[[3, 3, 8, 20]]
    said = rows[ids, :-1].mean(axis=0) * scale[:-1]
    np.testing.assert_array_less(np.abs(said - dense_of(parts)[[3, 3, 8, 20]].mean(0)), scale[:-1])


def test_entries_beyond_the_tail_are_cut_and_not_wrapped(parts: Parts) -> None:
    ridge, vectors, vocabulary = parts
    ridge[5, 0] = -1e6
    rows, scale = pack_rows(ridge, vectors, vocabulary, BITS)
    assert rows[vocabulary.kept[5], 0] == -127
    cut = np.quantile(np.abs(dense_of(parts)[:, 0]), TAIL)
    assert 127 * scale[0] == pytest.approx(cut, rel=1e-5)


def test_only_seen_tokens_have_rows_and_the_last_column_tells_so(parts: Parts) -> None:
    rows, scale = pack_rows(*parts, BITS)
    assert rows.shape == (SIZE, N_TIERS + N_DIMS + 1)
    seen = np.zeros(SIZE, np.int8)
    seen[parts[2].kept] = 1
    np.testing.assert_array_equal(rows[:, -1], seen)
    assert not rows[seen == 0].any()
    assert scale[-1] == 1.0


def test_a_column_of_zeros_and_a_vocabulary_of_nothing_pack_to_zeros(parts: Parts) -> None:
    ridge, vectors, vocabulary = parts
    rows, scale = pack_rows(0 * ridge, vectors, vocabulary, BITS)
    assert not rows[:, :N_TIERS].any()
    assert np.isfinite(scale).all()
    none = Vocabulary(np.zeros(0, np.int64), np.zeros(0, np.float32))
    empty, _ = pack_rows(ridge[:0], vectors[:0], none, BITS)
    assert empty.shape == rows.shape
    assert not empty.any()
