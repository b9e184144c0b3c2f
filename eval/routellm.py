"""RouteLLM's own metric for two tiers: APGR and CPT over quantile thresholds.

Ong et al. 2024, "RouteLLM: Learning to Route LLMs with Preference Data", arXiv 2406.18665,
section 2 (performance gap recovered, average of it, call-performance threshold); thresholds at
the deciles of the router's score, as its published evaluation sets them. Counts calls, not cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

THRESHOLDS = 11
SHARES = (0.5, 0.8)


@dataclass(frozen=True)
class RouteLlm:
    """How well a score sends steps to the strong tier.

    Attributes
    ----------
    apgr : float
        Share of the quality gap between the tiers that is recovered, averaged over shares of
        strong calls from 0 to 1; about .5 for a random score; above 1 is possible.
    cpt : dict of str to float
        Share of strong calls (0..1) at which 50 and 80 % of the gap are recovered; NaN where
        they never are.
    """

    apgr: float
    cpt: dict[str, float]


def routellm(score: Floats, quality: Floats, rng: np.random.Generator) -> RouteLlm:
    """Judge a score of two tiers.

    A step goes to the strong tier where its score reaches the threshold. Equal scores are put in
    a random order, so that a score that says nothing is a random one.

    Parameters
    ----------
    score : ndarray of shape (n_steps,)
        Expected quality of the strong tier less that of the weak one, or any difficulty.
    quality : ndarray of shape (n_steps, 2)
        True quality of the weak and the strong tier.
    rng : Generator
        Breaks ties.

    Returns
    -------
    RouteLlm
        All NaN where the strong tier is not better.
    """
    weak, strong = quality.mean(axis=0)
    if strong <= weak:
        return RouteLlm(float("nan"), {_percent(p): float("nan") for p in SHARES})
    order = np.lexsort((rng.random(len(score)), score))[::-1]
    won = np.concatenate([[0.0], np.cumsum((quality[:, 1] - quality[:, 0])[order])])
    calls = np.round(np.linspace(0, 1, THRESHOLDS) * len(score)).astype(np.int64)
    share = calls / len(score)
    recovered = won[calls] / len(score) / (strong - weak)
    rising = np.maximum.accumulate(recovered)
    cpt = {
        _percent(p): float(np.interp(p, rising, share)) if rising[-1] >= p else float("nan")
        for p in SHARES
    }
    return RouteLlm(float(np.trapezoid(recovered, share)), cpt)


def beside(quality: Floats, rng: np.random.Generator) -> dict[str, RouteLlm]:
    """Return the metric of a random score (the mean of 20) and of the true difference."""
    drawn = [routellm(rng.random(len(quality)), quality, rng) for _ in range(20)]
    means = {p: float(np.mean([one.cpt[p] for one in drawn])) for p in drawn[0].cpt}
    return {
        "random": RouteLlm(float(np.mean([one.apgr for one in drawn])), means),
        "oracle": routellm(quality[:, 1] - quality[:, 0], quality, rng),
    }


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"
