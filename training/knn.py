"""Nearest neighbors among the vectors of learn texts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

CHUNK = 512  # queries at a time, so that the similarity matrix stays small


def unit(vectors: Floats32) -> Floats32:
    """Scale vectors to length 1; a zero vector stays zero."""
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    out: Floats32 = vectors / np.maximum(norm, np.float32(1e-9))
    return out


def predict_knn(
    vectors: Floats32, values: Floats, query: Floats32, n_neighbors: int
) -> NDArray[np.float64]:
    """Return the mean value of the `n_neighbors` stored steps most similar by cosine.

    Parameters
    ----------
    vectors : ndarray of shape (n_stored, n_dims)
        Of unit length.
    values : ndarray of shape (n_stored, n_columns)
        NaN is unknown and counts as 0: no news over the table.
    query : ndarray of shape (n_steps, n_dims)
    n_neighbors : int
    """
    n_neighbors = min(n_neighbors, len(vectors))
    filled = np.nan_to_num(values)
    out = np.zeros((len(query), values.shape[1]))
    for start in range(0, len(query), CHUNK):
        similarity = query[start : start + CHUNK] @ vectors.T
        nearest = np.argpartition(-similarity, n_neighbors - 1, axis=1)[:, :n_neighbors]
        out[start : start + CHUNK] = filled[nearest].mean(axis=1)
    return out


def sample(n_steps: int, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return which steps are stored, in ascending order."""
    if n_steps <= most:
        return np.arange(n_steps)
    return np.sort(rng.choice(n_steps, most, replace=False)).astype(np.int64)
