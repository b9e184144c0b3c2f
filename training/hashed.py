"""Hashed text: idf-weighted means of token rows, and a short vector of each text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from tierwise.features.token_session import TokenIds

Floats32 = NDArray[np.float32]
LEAST_STEPS = 2  # a token of one step cannot be told from that step


@dataclass(frozen=True)
class Vocabulary:
    """Which tokens carry weight, and how much.

    Attributes
    ----------
    kept : ndarray of int64, shape (n_kept,)
        Places, rising, of tokens seen on at least two learn steps.
    weight : ndarray of float32, shape (n_kept,)
        Inverse document frequency, scaled so that a learn step has length 1 on average.
    n_words : int
        So many of the kept are words, the end of a text among them; pairs of words follow.
    """

    kept: NDArray[np.int64]
    weight: Floats32
    n_words: int


def shares(texts: tuple[bytes, ...], tokens: TokenIds) -> sp.csr_matrix:
    """Return the share of each token in each text, sparse (n_steps, n_ids)."""
    ids, start = tokens.many(texts)
    share = np.repeat(1.0 / np.maximum(np.diff(start), 1), np.diff(start)).astype(np.float32)
    matrix = sp.csr_matrix((share, ids, start), shape=(len(texts), tokens.n_ids))
    matrix.sum_duplicates()
    return matrix


def fit_vocabulary(learn: sp.csr_matrix, n_words: int) -> Vocabulary:
    """Weigh tokens by inverse document frequency on the learn part (Spärck Jones 1972).

    Parameters
    ----------
    learn : sparse matrix of shape (n_steps, n_ids)
        As from `shares`.
    n_words : int
        The first places, which are words; pairs follow.
    """
    n_steps = learn.shape[0]
    document_frequency = np.bincount(learn.indices, minlength=learn.shape[1])
    kept = np.flatnonzero(document_frequency >= LEAST_STEPS)
    idf = (np.log((1 + n_steps) / (1 + document_frequency[kept])) + 1).astype(np.float32)
    weighted = learn[:, kept] @ sp.diags(idf)
    norm = float(np.sqrt(weighted.multiply(weighted).sum() / max(n_steps, 1)))
    words = int(np.searchsorted(kept, n_words))
    return Vocabulary(kept, idf / np.float32(max(norm, 1e-12)), words)


def weigh(share: sp.csr_matrix, vocabulary: Vocabulary) -> sp.csr_matrix:
    """Return the weighted texts, sparse (n_steps, n_kept), float32."""
    out = (share[:, vocabulary.kept] @ sp.diags(vocabulary.weight)).tocsr()
    return out.astype(np.float32)


def fit_vectors(weighted: sp.csr_matrix, n_dims: int, rng: np.random.Generator) -> Floats32:
    """Return token vectors of shape (n_tokens, n_dims) by latent semantic analysis.

    Deerwester et al. 1990; the singular values are divided out, so that each dimension has about
    the same spread over learn steps. Missing dimensions (few tokens, few steps) are zero.
    """
    out = np.zeros((weighted.shape[1], n_dims), np.float32)
    rank = min(n_dims, min(weighted.shape) - 1)
    if rank < 1:
        return out
    seed = int(rng.integers(2**31))
    _, values, right = randomized_svd(weighted, rank, n_iter=3, random_state=seed)
    spread = np.maximum(values / np.sqrt(weighted.shape[0]), 1e-6)
    out[:, :rank] = (right / spread[:, None]).T
    return out
