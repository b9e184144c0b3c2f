"""What text says of quality to a control: TF-IDF words and pairs, neighbors, ridge, trees.

Kept apart from the learner on purpose: a control that shared its code would share its faults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

Floats = NDArray[np.float64]

WORDS = 1 << 16  # most frequent words and pairs of words
TOPICS = 32  # dimensions of the text for the trees
NEIGHBORS = (40, 80, 160, 320)  # averaged; only the first where a sixth of the steps is less
ALPHAS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
ROUNDS = (5, 10, 20, 40, 80)
BATCH = 512
MOST_ITERATIONS, TOLERANCE = 100, 1e-3


@dataclass(frozen=True)
class Words:
    """Learned and asked texts in one space; rows of unit length, or empty.

    Attributes
    ----------
    learned, asked : sparse matrix of shape (n, n_words), float32
    learned_topics, asked_topics : ndarray of shape (n, n_topics + 1)
        Latent semantic analysis of the rows, and the logarithm of the length in bytes.
    """

    learned: sp.csr_matrix
    asked: sp.csr_matrix
    learned_topics: Floats
    asked_topics: Floats


def read_words(learn: tuple[bytes, ...], asked: tuple[bytes, ...], seed: int) -> Words:
    """Fit the words, their weights and the topics on the learned texts."""
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2),
        max_features=WORDS,
        min_df=2 if len(learn) > 50 else 1,
        sublinear_tf=True,
        dtype=np.float32,
        decode_error="replace",
    )
    try:
        rows, others = vectorizer.fit_transform(learn), vectorizer.transform(asked)
    except ValueError:  # sklearn's answer to texts that hold no word at all
        rows, others = (sp.csr_matrix(np.zeros((len(x), 1), np.float32)) for x in (learn, asked))
    count = min(TOPICS, min(rows.shape) - 1)
    if count >= 1 and rows.nnz:
        svd = TruncatedSVD(count, random_state=seed)
        topics, other_topics = svd.fit_transform(rows), svd.transform(others)
    else:
        topics, other_topics = np.zeros((len(learn), 0)), np.zeros((len(asked), 0))
    return Words(
        rows.tocsr(), others.tocsr(), _with_length(topics, learn), _with_length(other_topics, asked)
    )


def _with_length(topics: NDArray[Any], texts: tuple[bytes, ...]) -> Floats:
    length = np.log1p([float(len(text)) for text in texts])
    return np.concatenate([topics, length[:, None]], axis=1).astype(np.float64)


def neighbor_means(
    rows: sp.csr_matrix,
    learned: sp.csr_matrix,
    values: Floats,
    apart: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> Floats:
    """Return the mean of the k learned steps of greatest cosine similarity, averaged over k.

    An average over several k is more than the one k that inner folds pick, which differs from
    fold to fold.

    Parameters
    ----------
    rows : sparse matrix of shape (n_steps, n_words)
    learned : sparse matrix of shape (n_learn, n_words)
    values : ndarray of shape (n_learn, n_tiers)
    apart : pair of ndarray of int, optional
        Fold of each step and of each learned step: neighbors of one's own fold do not count.

    Returns
    -------
    ndarray of shape (n_steps, n_tiers)
        The mean of all learned steps for a text without a known word.
    """
    sizes = [k for k in NEIGHBORS if 6 * k <= len(values)] or [min(NEIGHBORS[0], len(values))]
    most = max(sizes)
    out = np.tile(values.mean(axis=0), (rows.shape[0], 1))
    transposed = learned.T.tocsr()
    for start in range(0, rows.shape[0], BATCH):
        batch = slice(start, start + BATCH)
        alike = (rows[batch] @ transposed).toarray()
        if apart is not None:
            alike[apart[0][batch][:, None] == apart[1][None, :]] = -1.0
        near = np.argpartition(-alike, most - 1, axis=1)[:, :most]
        closeness = np.take_along_axis(alike, near, axis=1)
        order = np.argsort(-closeness, axis=1, kind="stable")
        near = np.take_along_axis(near, order, axis=1)
        allowed = np.take_along_axis(closeness, order, axis=1) >= 0.0
        sums = np.cumsum(values[near] * allowed[:, :, None], axis=1)
        counts = np.maximum(np.cumsum(allowed, axis=1), 1)
        known = np.asarray(rows[batch].getnnz(axis=1)) > 0
        last = np.array(sizes) - 1
        means = (sums[:, last] / counts[:, last, None]).mean(axis=1)
        out[batch][known] = means[known]
    return out


def ridges(text: sp.csr_matrix, target: Floats, asked: sp.csr_matrix) -> Floats:
    """Return ridge predictions for every strength in `ALPHAS`.

    Conjugate gradients on (X X' + alpha I) a = y, all columns and strengths together; then
    w = X' a minimizes |y - X w|^2 + alpha |w|^2.

    Parameters
    ----------
    text : sparse matrix of shape (n_learn, n_words)
    target : ndarray of shape (n_learn, n_columns)
        Centered by the caller: there is no intercept.
    asked : sparse matrix of shape (n_steps, n_words)

    Returns
    -------
    ndarray of shape (len(ALPHAS), n_steps, n_columns)
    """
    columns = target.shape[1]
    alpha = np.repeat(np.array(ALPHAS, np.float32), columns)
    left = np.tile(target.astype(np.float32), (1, len(ALPHAS)))
    transposed = text.T.tocsr()
    found, along = np.zeros_like(left), left.copy()
    size = np.einsum("ij,ij->j", left, left)
    enough = TOLERANCE**2 * size
    for _ in range(MOST_ITERATIONS):
        moved = text @ (transposed @ along) + along * alpha
        stride = size / np.maximum(np.einsum("ij,ij->j", along, moved), 1e-30)
        found += along * stride
        left -= moved * stride
        shrunk = np.einsum("ij,ij->j", left, left)
        if bool((shrunk <= enough).all()):
            break
        along = left + along * (shrunk / np.maximum(size, 1e-30))
        size = shrunk
    said = asked @ (transposed @ found)
    return np.asarray(said, np.float64).reshape(-1, len(ALPHAS), columns).transpose(1, 0, 2)


def boosted(topics: Floats, target: Floats, asked: Floats, seed: int) -> Floats:
    """Return LightGBM's predictions after every number of trees in `ROUNDS`.

    Parameters
    ----------
    topics, asked : ndarray of shape (n, n_inputs)
    target : ndarray of shape (n_learn, n_columns)
        One model a column.
    seed : int

    Returns
    -------
    ndarray of shape (len(ROUNDS), n_steps, n_columns)
    """
    settings = {
        "objective": "l2",
        "learning_rate": 0.05,
        "num_leaves": 15,
        "min_data_in_leaf": 20,
        "feature_fraction": 0.8,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "seed": seed,
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }
    out = np.zeros((len(ROUNDS), len(asked), target.shape[1]))
    for column, values in enumerate(target.T):
        if np.ptp(values) == 0.0:
            out[:, :, column] = values[0]
            continue
        model = lgb.train(settings, lgb.Dataset(topics, values), max(ROUNDS))
        for i, rounds in enumerate(ROUNDS):
            said = model.predict(asked, num_iteration=rounds, num_threads=1)
            out[i, :, column] = np.asarray(said, np.float64)
    return out
