"""Simple policies beside which a learned one has to stand: fitted on learn, judged on test.

Each returns either a choice of tiers or estimates per tier, to be swept by `metrics.sweep`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from tierwise.eval.metrics import Floats, constants, reachable

SHRINK = 20.0  # steps that a task's mean must outweigh before it is believed over the tier's mean
NEIGHBORS = 40
BATCH = 512  # test steps at a time: similarities of a batch with 40,000 learn steps are 160 MB


def always(tier: int, n_steps: int) -> NDArray[np.int64]:
    """Return one tier for every step, shape (n_steps,)."""
    return np.full(n_steps, tier, dtype=np.int64)


def at_random(n_steps: int, n_tiers: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return tiers drawn evenly, shape (n_steps,)."""
    return rng.integers(0, n_tiers, n_steps)


def best_mixture(quality: Floats, cost: Floats, budget: float) -> float:
    """Return the best mean quality a coin between fixed tiers reaches within a mean cost.

    Parameters
    ----------
    quality, cost : ndarray of shape (n_steps, n_tiers)
        True outcomes; the best mix is taken on these very steps, which flatters it a little.
    budget : float
        USD a step.
    """
    return float(reachable(*constants(quality, cost), np.array([budget]))[0])


def task_mean(
    learn_task: NDArray[np.str_], learn_values: Floats, task: NDArray[np.str_], n0: float = SHRINK
) -> Floats:
    """Return the mean of each tier in the step's task, shrunk towards the tier's mean.

    (sum of the task's values + n0 x tier's mean) / (steps of the task + n0); a task that was
    never learned gets the tier's mean.

    Parameters
    ----------
    learn_task : ndarray of str, shape (n_learn,)
        Any key: a task type, or role and task joined.
    learn_values : ndarray of shape (n_learn, n_tiers)
        Quality, or cost in USD.
    task : ndarray of str, shape (n_steps,)
        The steps to estimate.
    n0 : float
        How many steps the tier's mean is worth; > 0.

    Returns
    -------
    ndarray of shape (n_steps, n_tiers)
    """
    names, inverse = np.unique(learn_task, return_inverse=True)
    overall = learn_values.mean(axis=0)
    sums = np.zeros((len(names) + 1, learn_values.shape[1]))
    np.add.at(sums, inverse, learn_values)
    counts = np.bincount(inverse, minlength=len(names) + 1)
    means = (sums + n0 * overall) / (counts + n0)[:, None]
    at = np.clip(np.searchsorted(names, task), 0, len(names) - 1)
    known = names[at] == task
    return cast(Floats, means[np.where(known, at, len(names))])


def nearest_texts(
    learn_texts: Sequence[str | bytes],
    learn_values: Floats,
    texts: Sequence[str | bytes],
    k: int = NEIGHBORS,
) -> Floats:
    """Return the mean of each tier over the k learned steps whose words are most alike.

    TF-IDF of words and pairs of words, cosine similarity, all neighbors equal. Ties go to the
    earlier step. Steps without any known word get the tier's mean.

    Parameters
    ----------
    learn_texts, texts : sequence of str or bytes
        UTF-8 where bytes; what does not decode is replaced.
    learn_values : ndarray of shape (n_learn, n_tiers)
        Quality, or cost in USD.
    k : int
        Neighbors; all learned steps where there are fewer.

    Returns
    -------
    ndarray of shape (n_steps, n_tiers)
    """
    overall = learn_values.mean(axis=0)
    estimates = np.tile(overall, (len(texts), 1))
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2),
        max_features=1 << 16,
        min_df=2 if len(learn_texts) > 50 else 1,
        sublinear_tf=True,
        dtype=np.float32,
        decode_error="replace",
    )
    try:
        learned = vectorizer.fit_transform(learn_texts)
    except ValueError:  # sklearn's answer to texts that hold no word at all
        return estimates
    k = min(k, len(learn_texts))
    transposed = learned.T.tocsr()
    for start in range(0, len(texts), BATCH):
        rows = vectorizer.transform(texts[start : start + BATCH])
        alike = (rows @ transposed).toarray()
        nearest = np.argpartition(-alike, k - 1, axis=1)[:, :k]
        known = np.asarray(rows.getnnz(axis=1)) > 0
        estimates[start : start + BATCH][known] = learn_values[nearest].mean(axis=1)[known]
    return estimates
