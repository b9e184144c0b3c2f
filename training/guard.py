"""From which share of unseen tokens on a step is too unlike the learn part to be estimated.

The graph's out-of-distribution score is the share of a text's tokens that fewer than `LEAST_STEPS`
learn steps had. Tokens are hashed, so that even a text in a language of which the learn part has
no word shares some ids with it: what a long such text is expected to score is the yardstick here.
A text of n new words scores at most n / (n + 1) of that: its end, and the pair of the end with
nothing, are always known.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tierwise.features.tokens import IDS_A_WORD
from tierwise.training.hashed import LEAST_STEPS

Floats = NDArray[np.float64]

NEVER = 1.0
"""No score exceeds it: a share is at most 1."""
LEAST = 0.5
"""No threshold lies below this share of what an entirely new text scores: half known is known."""
DIGITS = 1000  # the threshold is rounded up to a thousandth, so that people can read it


def fit_guard(
    shares: sp.csr_matrix, n_words: int, unit: NDArray[np.str_], quantile: float
) -> float:
    """Return the score beyond which the reference serves, in (0, 1]; `NEVER` for no guard.

    It is the quantile of the scores that learn steps would have had as steps of a new unit, so
    that a new step like them exceeds it with a probability of about 1 - quantile. Where so many
    learn steps score like an entirely new text, none can be told from them, and there is no guard.

    Parameters
    ----------
    shares : sparse matrix of shape (n_steps, n_ids)
        As from `hashed.shares`, of the learn part.
    n_words : int
        So many places are words', the end of a text the last of them; one in `IDS_A_WORD` of a
        text's tokens is among these.
    unit : ndarray of str, shape (n_steps,)
        Split units.
    quantile : float
        Share of learn steps within the guard, in (0, 1]; 1 is no guard.
    """
    if quantile >= 1 or not shares.shape[0]:
        return NEVER
    steps_with = np.bincount(shares.indices, minlength=shares.shape[1])
    unseen = steps_with < LEAST_STEPS
    # How many of a text's tokens are words hangs on no table's size; its end is never new.
    of_words, of_pairs = float(unseen[: n_words - 1].mean()), float(unseen[n_words:].mean())
    new = of_pairs + (of_words - of_pairs) / IDS_A_WORD
    usual = float(np.quantile(unseen_share(shares, unit), quantile, method="higher"))
    threshold = math.ceil(max(usual, LEAST * new) * DIGITS) / DIGITS
    return threshold if threshold < new else NEVER


def unseen_share(shares: sp.csr_matrix, unit: NDArray[np.str_]) -> Floats:
    """Return the score each learn step would have if its unit were new, shape (n_steps,).

    Its tokens count as seen where `LEAST_STEPS` steps of other units have them. With the unit's
    own steps among these, learn texts would look more familiar than new ones ever are.

    Parameters
    ----------
    shares, unit
        As in `fit_guard`.
    """
    n_steps, n_ids = shares.shape
    step = np.repeat(np.arange(n_steps), np.diff(shares.indptr))
    _, code = np.unique(unit, return_inverse=True)
    token = shares.indices.astype(np.int64)
    _, place, count = np.unique(code[step] * n_ids + token, return_inverse=True, return_counts=True)
    elsewhere = np.bincount(token, minlength=n_ids)[token] - count[place]
    unseen = shares.data.astype(np.float64) * (elsewhere < LEAST_STEPS)
    return np.bincount(step, unseen, minlength=n_steps).astype(np.float64)
