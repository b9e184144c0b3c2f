"""Token rows of one byte an entry stand for the dense ones."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.training.hashed import Vocabulary
from tierwise.training.pack import TAIL, pack_rows

BITS, PAIR_BITS, N_TIERS, N_DIMS = 6, 7, 3, 4
SIZE, PAIRS = 2**BITS + 1, 2**PAIR_BITS
N_WORDS = 40
Parts = tuple[np.ndarray, np.ndarray, Vocabulary]


@pytest.fixture
def parts() -> Parts:
    rng = np.random.default_rng(0)
    kept = np.concatenate(
        [
            np.sort(rng.choice(SIZE, N_WORDS, replace=False)),
            SIZE + np.sort(rng.choice(PAIRS, 60, replace=False)),
        ]
    )
    weight = rng.uniform(0.5, 2.0, 100).astype(np.float32)
    ridge = rng.normal(size=(100, N_TIERS)) * [1.0, 0.001, 100.0]
    vectors = rng.normal(size=(N_WORDS, N_DIMS)).astype(np.float32)
    return ridge, vectors, Vocabulary(kept, weight, N_WORDS)


def kinds(parts: Parts) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]]:
    """Rows, scale, places, weighted entries and share of the words and of the pairs."""
    ridge, vectors, vocabulary = parts
    found = pack_rows(ridge, vectors, vocabulary, BITS, PAIR_BITS)
    dense = ridge * vocabulary.weight[:, None]
    of_words = vectors * vocabulary.weight[:N_WORDS, None]
    words = np.concatenate([dense[:N_WORDS], of_words], axis=1)
    places = vocabulary.kept[:N_WORDS], vocabulary.kept[N_WORDS:] - SIZE
    return [
        (found.rows, found.scale, places[0], words, 1 / 3),
        (found.pair_rows, found.pair_scale, places[1], dense[N_WORDS:], 2 / 3),
    ]


def test_rows_times_scale_are_a_share_of_the_weighted_entries_within_half_a_step(
    parts: Parts,
) -> None:
    for rows, scale, places, dense, share in kinds(parts):
        again = rows[places, :-1] * scale[:-1]
        inside = np.abs(dense) <= 127 * scale[:-1] / share
        assert inside.mean() > 0.97
        wide = np.broadcast_to(scale[:-1] * 0.501, dense.shape)
        assert (np.abs(again - dense * share)[inside] <= wide[inside]).all()


def test_entries_beyond_the_tail_are_cut_and_not_wrapped(parts: Parts) -> None:
    parts[0][[5, N_WORDS + 5], 0] = -1e6
    for rows, scale, places, dense, share in kinds(parts):
        assert rows[places[5], 0] == -127
        cut = np.quantile(np.abs(dense[:, 0]), TAIL)
        assert 127 * scale[0] / share == pytest.approx(cut, rel=1e-5)


def test_only_seen_tokens_have_rows_and_the_last_column_tells_so(parts: Parts) -> None:
    shapes = [(SIZE, N_TIERS + N_DIMS + 1), (PAIRS, N_TIERS + 1)]
    for (rows, scale, places, _, share), shape in zip(kinds(parts), shapes, strict=True):
        assert rows.shape == shape
        seen = np.zeros(len(rows), np.int8)
        seen[places] = 1
        np.testing.assert_array_equal(rows[:, -1], seen)
        assert not rows[seen == 0].any()
        assert scale[-1] == np.float32(share)


def test_a_column_of_zeros_and_a_vocabulary_of_nothing_pack_to_zeros(parts: Parts) -> None:
    ridge, vectors, vocabulary = parts
    for rows, scale, *_ in kinds((0 * ridge, vectors, vocabulary)):
        assert not rows[:, :N_TIERS].any()
        assert np.isfinite(scale).all()
    none = Vocabulary(np.zeros(0, np.int64), np.zeros(0, np.float32), 0)
    empty = pack_rows(ridge[:0], vectors[:0], none, BITS, PAIR_BITS)
    assert empty.rows.shape == (SIZE, N_TIERS + N_DIMS + 1)
    assert empty.pair_rows.shape == (PAIRS, N_TIERS + 1)
    assert not empty.rows.any()
    assert not empty.pair_rows.any()
