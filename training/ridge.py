"""Ridge regression on hashed text, exact to a tolerance, for many strengths at once."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]

MOST_STEPS = 60
TOLERANCE = 1e-3  # of each right-hand side's norm; smaller changes no third digit of any estimate


def fit_ridge(
    text: sp.csr_matrix, target: NDArray[np.float64], alphas: tuple[float, ...]
) -> Floats32:
    """Solve ridge regression by conjugate gradients in the dual.

    Minimizes sum (y - X w)^2 + alpha |w|^2; with w = X' a, a solves (X X' + alpha I) a = y
    (Saunders et al. 1998, section 2). All columns and all strengths run together, so that the
    sparse matrix is read once an iteration.

    Parameters
    ----------
    text : sparse matrix of shape (n_steps, n_tokens)
        Of unit length on average.
    target : ndarray of shape (n_steps, n_columns)
        NaN is unknown: that step is left out of that column.
    alphas : tuple of float
        Strengths of the penalty.

    Returns
    -------
    ndarray of shape (n_alphas, n_tokens, n_columns)
    """
    n_columns = target.shape[1]
    known = np.tile(~np.isnan(target), (1, len(alphas))).astype(np.float32)
    residual = np.tile(np.nan_to_num(target), (1, len(alphas))).astype(np.float32)
    penalty = np.repeat(np.array(alphas, np.float32), n_columns)[None, :]
    transposed = text.T.tocsr()
    solution = np.zeros_like(residual)
    direction = residual.copy()
    square = (residual * residual).sum(axis=0)
    goal = TOLERANCE**2 * square
    for _ in range(MOST_STEPS):
        image = known * (text @ (transposed @ direction)) + penalty * direction
        step = square / np.maximum((direction * image).sum(axis=0), 1e-30)
        solution += step * direction
        residual -= step * image
        new_square = (residual * residual).sum(axis=0)
        if (new_square <= goal).all():
            break
        direction = residual + (new_square / np.maximum(square, 1e-30)) * direction
        square = new_square
    weights: Floats32 = transposed @ solution
    return weights.reshape(text.shape[1], len(alphas), n_columns).transpose(1, 0, 2)
