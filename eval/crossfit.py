"""Judge the controls on full-feedback tables, by folds that never cut a group.

python -m tierwise.eval.crossfit TABLE.parquet [TABLE.parquet ...]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tierwise.data.errors import run_stage
from tierwise.eval.controls import nearest_texts, task_mean
from tierwise.eval.metrics import Floats, curve, routing_gain, saved_at, sweep
from tierwise.eval.tables import Outcomes, read_outcomes

Estimate = Callable[[Outcomes, NDArray[np.bool_]], Floats]


def folds(group: NDArray[np.str_], n_folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the fold of each step, shape (n_steps,); a group is never cut."""
    names, inverse = np.unique(group, return_inverse=True)
    return (rng.permutation(len(names)) % n_folds)[inverse]


def by_task(outcomes: Outcomes, learn: NDArray[np.bool_]) -> Floats:
    """Estimate quality by the task's mean."""
    return task_mean(outcomes.task[learn], outcomes.quality[learn], outcomes.task[~learn])


def by_words(outcomes: Outcomes, learn: NDArray[np.bool_]) -> Floats:
    """Estimate quality by the nearest texts."""
    texts = outcomes.text
    return nearest_texts(list(texts[learn]), outcomes.quality[learn], list(texts[~learn]))


def cross_fitted(
    outcomes: Outcomes, fold: NDArray[np.int64], estimate: Estimate
) -> tuple[Floats, Floats]:
    """Return the pooled out-of-fold curve: mean cost and mean quality of each point.

    Quality by `estimate`; cost of a tier by the mean of its task in the learning folds.
    """
    quality_hat = np.empty_like(outcomes.quality)
    cost_hat = np.empty_like(outcomes.cost)
    for held in np.unique(fold):
        learn = fold != held
        quality_hat[~learn] = estimate(outcomes, learn)
        cost_hat[~learn] = task_mean(
            outcomes.task[learn], outcomes.cost[learn], outcomes.task[~learn]
        )
    return curve(sweep(quality_hat, cost_hat), outcomes.quality, outcomes.cost)


def main() -> None:
    """Print routing gain and cost saved of the task mean and of nearest texts."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("tables", nargs="+", type=Path, metavar="TABLE.parquet")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3, help="how many draws of the folds")
    wanted = parser.parse_args()
    threadpool_limits(1)
    print(f"{'table':<20}{'control':<12}{'gain, each draw of the folds':<34}saved@100/@98/@95")
    for path in wanted.tables:
        outcomes = read_outcomes(path)
        for name, estimate in (("task mean", by_task), ("kNN", by_words)):
            gains, points = [], (np.zeros(1), np.zeros(1))
            for seed in range(wanted.seeds):
                fold = folds(outcomes.group, wanted.folds, np.random.default_rng(seed))
                points = cross_fitted(outcomes, fold, estimate)
                gains.append(routing_gain(*points, outcomes.quality, outcomes.cost))
            saved = [saved_at(points, outcomes.quality, outcomes.cost, r) for r in (1, 0.98, 0.95)]
            shown = " ".join(f"{gain:+.3f}" for gain in gains)
            print(f"{path.stem:<20}{name:<12}{shown:<34}{'/'.join(f'{s:.2f}' for s in saved)}")


if __name__ == "__main__":
    run_stage(main)
