"""Token rows as bytes: quality, a word's vector and a mark of having been seen, side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tierwise.features.tokens import IDS_A_WORD
from tierwise.router_model.model import TokenRows
from tierwise.training.hashed import Vocabulary

Floats32 = NDArray[np.float32]

TAIL = 0.9999  # entries beyond this quantile are cut: one rare token must not coarsen all others


def pack_rows(
    ridge: NDArray[np.float64], vectors: Floats32, vocabulary: Vocabulary, bits: int, pair_bits: int
) -> TokenRows:
    """Quantize token rows to one byte an entry, one scale a column.

    Parameters
    ----------
    ridge : ndarray of shape (n_kept, n_tiers)
        Quality that a token adds, before its weight.
    vectors : ndarray of shape (n_words, n_dims)
        Of the kept words.
    vocabulary : Vocabulary
        Which tokens the rows stand for, and their weights.
    bits, pair_bits : int

    Returns
    -------
    TokenRows
        Words are a third of a text's tokens and pairs two thirds, and each kind is averaged on its
        own: scales are these shares of what they would be.
    """
    n, size = vocabulary.n_words, (1 << bits) + 1
    dense = ridge * vocabulary.weight[:, None]
    of_words = np.concatenate([dense[:n], vectors * vocabulary.weight[:n, None]], axis=1)
    words, scale = _pack(of_words, vocabulary.kept[:n], size, 1 / IDS_A_WORD)
    rest = 1 - 1 / IDS_A_WORD
    pairs, pair_scale = _pack(dense[n:], vocabulary.kept[n:] - size, 1 << pair_bits, rest)
    return TokenRows(words, scale, pairs, pair_scale)


def _pack(
    dense: NDArray[np.float64], kept: NDArray[np.int64], count: int, share: float
) -> tuple[NDArray[np.int8], Floats32]:
    """Return `count` rows, those kept filled, and that share of the scales of their columns."""
    largest = np.quantile(np.abs(dense), TAIL, axis=0) if len(dense) else np.zeros(dense.shape[1])
    scale = np.where(largest > 0, largest / 127.0, 1.0)
    rows = np.zeros((count, dense.shape[1] + 1), np.int8)
    rows[kept, :-1] = np.clip(np.rint(dense / scale), -127, 127).astype(np.int8)
    rows[kept, -1] = 1
    return rows, (share * np.concatenate([scale, [1.0]])).astype(np.float32)
