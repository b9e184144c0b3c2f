"""What learning from logs of one tier a step is worth, on tables whose every outcome is known.

A logging policy that looks at the step serves a tier of the learn part; the rest is hidden; the
router is learned from that and judged on groups it never saw, beside one learned from everything.
The policy is a hard one: its noisy guess of the step's difficulty is nothing the router sees, so
that whoever ignores propensities learns that the cheap tier is good.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tierwise.data.errors import run_stage
from tierwise.data.files import write_json
from tierwise.data.split import folds
from tierwise.eval.held_out import Floats, fit_params
from tierwise.eval.judged_table import Table, read_table
from tierwise.eval.metrics import curve, routing_gain, sweep
from tierwise.features.columns import ContextColumn
from tierwise.features.context import ContextParams
from tierwise.features.steps import LEARN, TEST, StepTable
from tierwise.features.table import step_table
from tierwise.router_model.graph import build_graph, serialize
from tierwise.router_model.runtime import PolicyGraph
from tierwise.training.fit import FitParams, fit
from tierwise.training.logged import ESTIMATORS, Estimator

EXPLORED = 0.2  # share of steps whose tier is drawn evenly
NOISE = 0.7  # standard deviation of the guess
EASY_ABOVE = 1.1  # guesses above it serve the cheapest tier
JUDGED_FOLDS = 5
POINTS = 400
FULL = "full"


@dataclass(frozen=True)
class Learned:
    """One router, learned from one draw of logs.

    Attributes
    ----------
    table, learned_from : str
        The latter `full`, or one of the estimators.
    draw : int
    gain : float
        Routing gain on held-out groups.
    heeded : float
        Share of the members' word that was heeded, 0..1.
    """

    table: str
    draw: int
    learned_from: str
    gain: float
    heeded: float


def log_one_tier(full: StepTable, rng: np.random.Generator) -> StepTable:
    """Hide all but what the logging policy served; its probabilities are logged.

    Parameters
    ----------
    full : StepTable
        Every outcome known.
    rng : Generator
        Draws the guesses, and the tiers.
    """
    quality = full.quality
    n_steps, n_tiers = quality.shape
    cheapest, best = int(full.cost.mean(axis=0).argmin()), int(quality.mean(axis=0).argmax())
    guess = quality[:, cheapest] + rng.normal(0, NOISE, n_steps)
    favored = np.where(guess > EASY_ABOVE, cheapest, best)
    chance = np.full((n_steps, n_tiers), EXPLORED / n_tiers)
    chance[np.arange(n_steps), favored] += 1 - EXPLORED
    below = np.cumsum(chance, axis=1)[:, :-1] < rng.random((n_steps, 1))
    served = below.sum(axis=1)
    seen = np.where(np.arange(n_tiers) == served[:, None], 1.0, np.nan)
    return replace(
        full,
        quality=quality * seen,
        cost=full.cost * seen,
        latency=full.latency * seen,
        valid=full.valid * seen,
        served=served,
        propensity=chance[np.arange(n_steps), served],
        propensities=chance,
        ladder_cost=full.cost[np.arange(n_steps), served],
        feedback="logged",
    )


def _deal(table: Table, draw: int) -> tuple[StepTable, StepTable, tuple[ContextColumn, ...]]:
    """Return learn and test part of a draw, disjoint in groups, and the context columns."""
    unit = np.array(table.split["unit"].tolist(), np.str_)
    held = folds(unit, JUDGED_FOLDS, np.random.default_rng([draw, 1])) == 0
    split = table.split.assign(part=np.where(held, "test", "learn"))[["step", "unit", "part"]]
    steps, columns = step_table(table.traces, split, table.tiers, "full", ContextParams())
    return steps.of_part(LEARN), steps.of_part(TEST), columns


def _gain(
    learn: StepTable, test: StepTable, columns: tuple[ContextColumn, ...], params: FitParams
) -> tuple[float, float]:
    """Return the routing gain of the router as it ships, and the share it heeded."""
    unknown: NDArray[np.float64] = np.full(len(learn.tiers), np.nan)
    fitted = fit(learn, columns, params, unknown, np.random.default_rng(params.seed))
    graph = PolicyGraph(serialize(build_graph(fitted.model, fitted.spec)))
    said = graph.estimates(test.text, test.context)
    quality: Floats = np.asarray(said.quality, np.float64)
    choice = sweep(quality, np.asarray(said.total_cost, np.float64), POINTS)
    cost, value = curve(choice, test.quality, test.cost)
    gain = routing_gain(cost, value, test.quality, test.cost)
    return float(gain), float(str(fitted.notes["heeded"]))


def learn_from(
    job: tuple[str, int], folder: Path, estimators: tuple[Estimator, ...]
) -> list[Learned]:
    """Learn from everything, and from one draw of logs by each estimator.

    Parameters
    ----------
    job : tuple of str and int
        Name of a table in `folder`, number of the draw.
    folder : Path
    estimators : tuple of str
    """
    name, draw = job
    with threadpool_limits(1):
        learn, test, columns = _deal(read_table(folder / f"{name}.parquet"), draw)
        logs = log_one_tier(learn, np.random.default_rng([draw, 2]))
        found = [Learned(name, draw, FULL, *_gain(learn, test, columns, fit_params()))]
        for estimator in estimators:
            params = replace(fit_params(), logged=estimator)
            found.append(Learned(name, draw, estimator, *_gain(logs, test, columns, params)))
    return found


def lines(found: Sequence[Learned]) -> list[str]:
    """Return a Markdown table: mean gain and its deviation over the draws."""
    columns = list(dict.fromkeys(one.learned_from for one in found))
    heads = ["table", "draws", *columns, f"{columns[1]} / {FULL}"]
    out = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name in dict.fromkeys(one.table for one in found):
        gains = [
            np.array([one.gain for one in found if (one.table, one.learned_from) == (name, column)])
            for column in columns
        ]
        cells = [f"{gain.mean():+.3f} ({gain.std():.3f})" for gain in gains]
        share = f"{gains[1].mean() / gains[0].mean():.0%}"
        out.append(f"| {' | '.join([name, str(len(gains[0])), *cells, share])} |")
    return out


def main() -> None:
    """Learn from draws of logs made out of full tables; print and write the routing gains."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tables", default="routellm_mmlu,llmrouter_mixed,mmlu_pro")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="number of the first draw")
    parser.add_argument("--estimators", nargs="+", choices=ESTIMATORS, default=ESTIMATORS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, default=Path("artifacts/from_logs.json"))
    args = parser.parse_args()
    draws = range(args.first, args.first + args.draws)
    jobs = [(name, draw) for name in args.tables.split(",") for draw in draws]
    learn = partial(learn_from, folder=args.folder, estimators=tuple(args.estimators))
    found: list[Learned] = []
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        for part in pool.map(learn, jobs):
            found += part
            gains = ", ".join(f"{one.learned_from} {one.gain:+.3f}" for one in part)
            print(f"{part[0].table}, draw {part[0].draw}: {gains}", flush=True)
    write_json(args.json, {"learned": [asdict(one) for one in found]})
    print("\n".join(lines(found)))


if __name__ == "__main__":
    run_stage(main)
