"""An encoder's knowledge without its cost: token vectors that imitate its embedding.

The embedding of the learn texts, reduced to a few dimensions, is the target of a ridge regression
on the text's hashed words. What ships is what ships without an encoder, a row a word and a shorter
one a pair of words; only the words' vectors mean something else (Hinton et al. 2015 train one model
on another's outputs; here the imitator is linear in the words, so its fit is exact).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from tierwise.training.ridge import fit_ridge

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]


@dataclass(frozen=True)
class Distilled:
    """Token vectors that imitate an encoder.

    Attributes
    ----------
    token_vectors : ndarray of shape (n_words, n_dims)
        From all learn texts.
    vectors : ndarray of shape (n_steps, n_dims)
        Of each learn text by token vectors that had not seen its unit: what members learn from
        has to be as good, and as bad, an imitation as what they are given later.
    alpha : float
        The strength of the ridge.
    imitated : float
        Share of the reduced embedding's variance that `vectors` explain; below 0 they are worse
        than its mean.
    kept : float
        Share of the embedding's variance that the reduction keeps.
    """

    token_vectors: Floats32
    vectors: Floats32
    alpha: float
    imitated: float
    kept: float


def reduce_embedding(
    embedding: Floats32, n_dims: int, rng: np.random.Generator
) -> tuple[Floats32, Floats32, float]:
    """Return directions that keep most variance, and the embedding in them, of spread 1.

    Principal components; missing dimensions (few texts, a short embedding) are zero.

    Parameters
    ----------
    embedding : ndarray of shape (n_steps, n_dimensions)
        Less its mean.
    n_dims : int
    rng : Generator
        Draws the start of the randomized singular value decomposition (Halko et al. 2011).

    Returns
    -------
    directions : ndarray of shape (n_dimensions, n_dims)
    reduced : ndarray of shape (n_steps, n_dims)
        embedding @ directions.
    kept : float
        Share of the variance in 0..1.
    """
    n_steps, n_dimensions = embedding.shape
    directions = np.zeros((n_dimensions, n_dims), np.float32)
    whole = float(np.square(embedding, dtype=np.float64).sum())
    rank = min(n_dims, n_steps - 1, n_dimensions)
    if rank < 1 or whole <= 1e-12 * n_steps:  # one text over and over has nothing to keep
        return directions, np.zeros((n_steps, n_dims), np.float32), 0.0
    seed = int(rng.integers(2**31))
    _, values, right = randomized_svd(embedding, rank, n_iter=4, random_state=seed)
    real = values > 1e-6 * values[0]  # what is left below is rounding
    spread = np.where(real, values / np.sqrt(n_steps), 1.0)
    directions[:, :rank] = np.where(real, right.T / spread, 0.0)
    reduced = np.asarray(embedding @ directions, np.float32)
    return directions, reduced, float(np.square(values).sum() / whole)


def distill(
    text: sp.csr_matrix,
    embedding: Floats32,
    fold: NDArray[np.int64],
    n_dims: int,
    alphas: tuple[float, ...],
    rng: np.random.Generator,
) -> Distilled:
    """Fit token vectors; the strength is the one of least error on the first fold, not seen.

    One fold is enough for that, as an error is summed over all its steps and dimensions, and it
    spares most of the time.

    Parameters
    ----------
    text : sparse matrix of shape (n_steps, n_words)
        Weighted shares of the words; with those of pairs they are of unit length on average.
    embedding : ndarray of shape (n_steps, n_dimensions)
    fold : ndarray of shape (n_steps,)
        Never cuts a split unit.
    n_dims : int
    alphas : tuple of float
        Strengths of the ridge to choose from.
    rng : Generator
    """
    centered = embedding - embedding.mean(axis=0, dtype=np.float64).astype(np.float32)
    directions, target, kept = reduce_embedding(centered, n_dims, rng)
    # A direction counts by its variance in the embedding, as an error of the whole would count it.
    scale = np.linalg.norm(directions, axis=0)
    share = np.divide(1.0, scale**2, out=np.zeros(len(scale)), where=scale > 0)
    wanted = target.astype(np.float64)
    said = np.zeros(wanted.shape, np.float32)
    for k in np.unique(fold):
        held = fold == k
        tried = [text[held] @ w for w in fit_ridge(text[~held], wanted[~held], alphas)]
        errors = [float(((one - wanted[held]) ** 2).sum(axis=0) @ share) for one in tried]
        best = int(np.argmin(errors))
        said[held], alphas = tried[best], (alphas[best],)
    error = float(((said - wanted) ** 2).sum(axis=0) @ share)
    variance = float((wanted**2).sum(axis=0) @ share)
    return Distilled(
        token_vectors=fit_ridge(text, wanted, alphas)[0],
        vectors=said,
        alpha=alphas[0],
        imitated=1 - error / variance if variance > 0 else 0.0,
        kept=kept,
    )
