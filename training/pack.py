"""Token rows as bytes: quality, vector and a mark of having been seen, side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tierwise.training.hashed import Vocabulary

Floats32 = NDArray[np.float32]

TAIL = 0.9999  # entries beyond this quantile are cut: one rare token must not coarsen all others


def pack_rows(
    ridge: NDArray[np.float64], vectors: Floats32, vocabulary: Vocabulary, bits: int
) -> tuple[NDArray[np.int8], Floats32]:
    """Quantize token rows to one byte an entry, one scale a column.

    Parameters
    ----------
    ridge : ndarray of shape (n_kept, n_tiers)
        Quality that a token adds, before its weight.
    vectors : ndarray of shape (n_kept, n_dims)
    vocabulary : Vocabulary
        Which ids the rows stand for, and their weights.
    bits : int

    Returns
    -------
    rows : ndarray of int8, shape (2 ** (bits + 1) + 1, n_tiers + n_dims + 1)
    scale : ndarray of float32, shape (n_tiers + n_dims + 1,)
    """
    dense = np.concatenate([ridge, vectors], axis=1) * vocabulary.weight[:, None]
    largest = np.quantile(np.abs(dense), TAIL, axis=0) if len(dense) else np.zeros(dense.shape[1])
    scale = np.where(largest > 0, largest / 127.0, 1.0)
    rows = np.zeros((2 ** (bits + 1) + 1, dense.shape[1] + 1), np.int8)
    rows[vocabulary.kept, :-1] = np.clip(np.rint(dense / scale), -127, 127).astype(np.int8)
    rows[vocabulary.kept, -1] = 1
    return rows, np.concatenate([scale, [1.0]]).astype(np.float32)
