"""The controls a router has to stand beside, fitted as well as they can be on the same steps.

Every strength (of the ridges, the number of trees) and the blend's weights are chosen on inner
folds of the learn part that never cut a split unit. Strengths are chosen by the squared error of
the differences between tiers: only they move a choice, and by the error of the qualities
themselves, most of which all tiers share, the controls come out weaker.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from tierwise.data.split import folds
from tierwise.eval.controls import task_mean
from tierwise.eval.judged_table import Outcomes
from tierwise.eval.text_controls import (
    ALPHAS,
    ROUNDS,
    Words,
    boosted,
    neighbor_means,
    read_words,
    ridges,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CONTROLS = (
    "task mean",
    "kNN",
    "TF-IDF ridge",
    "task + ridge",
    "task + LightGBM",
    "stacked blend",
)
INNER_FOLDS = 4
MOST_LEARN = 40_000  # learn steps that text controls look at; the task mean takes all


@dataclass(frozen=True)
class Said:
    """What the controls say of asked steps.

    Attributes
    ----------
    quality : dict of str to ndarray of shape (n_steps, n_tiers)
        By control.
    cost : ndarray of shape (n_steps, n_tiers)
        USD, of all controls alike: the mean of the task.
    """

    quality: dict[str, Floats]
    cost: Floats


def fit_controls(learn: Outcomes, asked: Outcomes, seed: int = 0) -> Said:
    """Fit every control on `learn` and let it speak on `asked`.

    Of more than `MOST_LEARN` learn steps the text controls and the blend see an even draw.

    Parameters
    ----------
    learn, asked : Outcomes
        Of `asked` only texts and tasks are looked at.
    seed : int
        Of the inner folds, topics and trees.
    """
    rng = np.random.default_rng(seed)
    quality = {CONTROLS[0]: task_mean(learn.task, learn.quality, asked.task)}
    cost = task_mean(learn.task, learn.cost, asked.task)
    if len(learn) > MOST_LEARN:
        learn = learn.rows(np.sort(rng.choice(len(learn), MOST_LEARN, replace=False)))
    words = read_words(learn.text, asked.text, seed)
    fold = folds(learn.unit, min(INNER_FOLDS, len(np.unique(learn.unit))), rng)
    inner = _inner_folds(learn, words, fold, seed)
    table = task_mean(learn.task, learn.quality, learn.task)
    mean = learn.quality.mean(axis=0)
    n_tiers = len(mean)
    target = np.concatenate([learn.quality - mean, learn.quality - table], axis=1)
    linear = ridges(words.learned, target, words.asked)
    trees = boosted(words.learned_topics, learn.quality - table, words.asked_topics, seed)
    base = task_mean(learn.task, learn.quality, asked.task)
    final = {
        "task mean": base[None],
        "kNN": neighbor_means(words.asked, words.learned, learn.quality)[None],
        "TF-IDF ridge": mean + linear[:, :, :n_tiers],
        "task + ridge": base + linear[:, :, n_tiers:],
        "task + LightGBM": base + trees,
    }
    picked = {name: _best(inner[name], learn.quality) for name in final}
    quality |= {n: final[n][picked[n]] for n in final if n != CONTROLS[0]}
    members = [inner[name][picked[name]] for name in final]
    spoken = [final[name][picked[name]] for name in final]
    quality[CONTROLS[-1]] = _blend(members, learn.quality, spoken)
    return Said(quality, cost)


def _inner_folds(learn: Outcomes, words: Words, fold: Ints, seed: int) -> dict[str, Floats]:
    """Return each method's out-of-fold estimates, shape (n_settings, n_steps, n_tiers)."""
    near = neighbor_means(words.learned, words.learned, learn.quality, (fold, fold))
    tables = np.zeros((1, *learn.quality.shape))
    plain, rest = np.zeros((2, len(ALPHAS), *learn.quality.shape))
    trees = np.zeros((len(ROUNDS), *learn.quality.shape))
    for k in np.unique(fold):
        held, seen = fold == k, fold != k
        quality, mean = learn.quality[seen], learn.quality[seen].mean(axis=0)
        fitted = task_mean(learn.task[seen], quality, learn.task[seen])
        base = task_mean(learn.task[seen], quality, learn.task[held])
        target = np.concatenate([quality - mean, quality - fitted], axis=1)
        linear = ridges(words.learned[seen], target, words.learned[held])
        topics = words.learned_topics
        grown = boosted(topics[seen], quality - fitted, topics[held], seed)
        tables[0, held] = base
        plain[:, held] = mean + linear[:, :, : quality.shape[1]]
        rest[:, held] = base + linear[:, :, quality.shape[1] :]
        trees[:, held] = base + grown
    return {
        "task mean": tables,
        "kNN": near[None],
        "TF-IDF ridge": plain,
        "task + ridge": rest,
        "task + LightGBM": trees,
    }


def _best(estimates: Floats, quality: Floats) -> int:
    """Return the setting that errs least in the differences between tiers; the first of equals."""
    wrong = estimates - quality
    wrong -= wrong.mean(axis=2, keepdims=True)
    return int(np.argmin((wrong**2).mean(axis=(1, 2))))


def _blend(members: list[Floats], quality: Floats, spoken: list[Floats]) -> Floats:
    """Stack by nonnegative least squares (Breiman 1996), one weight a method for all tiers."""
    design = np.stack([member.ravel() for member in members], axis=1)
    weights, _ = nnls(design, quality.ravel())
    return np.asarray(np.tensordot(weights, np.stack(spoken), axes=1), np.float64)
