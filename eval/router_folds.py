"""Judge the router as it ships, out of fold, beside the task mean on the same folds.

python -m tierwise.eval.router_folds TABLE.parquet [TABLE.parquet ...] [--seeds 1] [--json OUT]

Each fold: fit on all other folds, export the graph, run it in ONNX Runtime on the held-out steps.
The rule's path is then swept over the pooled estimates.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tierwise.data.errors import BadInput, run_stage
from tierwise.data.files import read_json, write_json
from tierwise.data.ingest import IngestParams, ingest
from tierwise.data.params import section
from tierwise.data.split import folds, units
from tierwise.eval.controls import task_mean
from tierwise.eval.metrics import Floats, curve, routing_gain, saved_at, sweep
from tierwise.features.context import ContextParams
from tierwise.features.steps import LEARN, TEST, StepTable
from tierwise.features.table import step_table
from tierwise.router_model.graph import build_graph, serialize
from tierwise.router_model.rule import choose, fit_path
from tierwise.router_model.runtime import PolicyGraph
from tierwise.training.fit import FitParams, fit, reference_tier

POINTS = 400  # of the swept path: finer than what ships, as the controls are swept finely too


@dataclass(frozen=True)
class Judged:
    """Out-of-fold result of one draw of the folds.

    Attributes
    ----------
    router, task_mean : float
        Routing gain.
    saved : dict of str to float
        Share of the best tier's cost that the router saves at 100, 98 and 95 % of its quality.
    """

    router: float
    task_mean: float
    saved: dict[str, float]


@dataclass(frozen=True)
class Table:
    """A full-feedback table after ingest."""

    traces: pd.DataFrame
    split: pd.DataFrame
    tiers: tuple[str, ...]


def read_table(path: Path) -> Table:
    """Ingest a trace table and keep the steps whose quality is known for every tier.

    Raises
    ------
    BadInput
        Where ingest refuses it, or no step has an outcome of every tier.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        ingest(str(path), run, None, {}, IngestParams(), dry_run=False)
        traces = pd.read_parquet(run / "traces.parquet")
        tiers = tuple(tier["name"] for tier in read_json(run / "tiers.json")["tiers"])
    traces = traces[traces["attempt"] == 0]
    traces = traces.assign(step=traces["trace_id"] + "/" + traces["step_id"])
    known = traces.dropna(subset=["quality", "cost_usd"]).groupby("step")["tier"].nunique()
    traces = traces[traces["step"].isin(known.index[known == len(tiers)])]
    if traces.empty:
        raise BadInput(f"no step of {path} has every tier's outcome", "full feedback", "use another")
    split = traces.drop_duplicates("step").sort_values("step")[["step", "trace_id", "group"]]
    ids, groups = (np.array(split[c].to_list(), np.str_) for c in ("trace_id", "group"))
    return Table(traces, split.assign(unit=units(ids, groups)), tiers)


def held_out(table: Table, fold: NDArray[np.int64], k: int) -> tuple[StepTable, Floats, Floats]:
    """Fit on the other folds; return fold k with the graph's quality and total cost."""
    split = table.split.assign(part=np.where(fold == k, "test", "learn"))
    steps, columns = step_table(
        table.traces, split[["step", "unit", "part"]], table.tiers, "full", ContextParams()
    )
    params = section(Path("params.yaml"), "fit", FitParams)
    rng = np.random.default_rng(params.seed)
    unknown = np.full(len(table.tiers), np.nan)
    fitted = fit(steps.of_part(LEARN), columns, params, unknown, rng)
    test = steps.of_part(TEST)
    graph = PolicyGraph(serialize(build_graph(fitted.model, fitted.spec)))
    said = graph.estimates(test.text, test.context)
    return test, said.quality.astype(np.float64), said.total_cost.astype(np.float64)


def judge(table: Table, n_folds: int, seed: int) -> Judged:
    """Judge router and task mean on one draw of the folds.

    Parameters
    ----------
    table : Table
    n_folds : int
    seed : int
        Of the folds, which never cut a split unit.
    """
    rng = np.random.default_rng(seed)
    fold = folds(np.array(table.split["unit"].to_list(), np.str_), n_folds, rng)
    parts = [held_out(table, fold, k) for k in range(n_folds)]
    quality = np.concatenate([test.quality for test, _, _ in parts])
    cost = np.concatenate([test.cost for test, _, _ in parts])
    said = np.concatenate([q for _, q, _ in parts]).astype(np.float32)
    relative = np.concatenate([c for _, _, c in parts])
    reference = reference_tier(quality)
    relative = (relative / cost[:, reference].mean()).astype(np.float32)
    path = fit_path(said, relative, reference, POINTS)
    points = curve(choose(said, relative, reference, path), quality, cost)
    return Judged(
        router=routing_gain(*points, quality, cost),
        task_mean=_task_mean_gain(table, fold, n_folds, quality, cost, parts),
        saved={f"{100 * r:.0f}": saved_at(points, quality, cost, r) for r in (1.0, 0.98, 0.95)},
    )


def _task_mean_gain(
    table: Table,
    fold: NDArray[np.int64],
    n_folds: int,
    quality: Floats,
    cost: Floats,
    parts: list[tuple[StepTable, Floats, Floats]],
) -> float:
    """Return the control's gain on the same folds: quality and cost by the mean of the task."""
    one = table.traces.drop_duplicates("step").set_index("step")["task_type"].fillna("")
    task = [np.array(one.loc[test.step].to_list(), np.str_) for test, _, _ in parts]
    quality_hat, cost_hat = [], []
    for k in range(n_folds):
        seen = np.concatenate([task[j] for j in range(n_folds) if j != k])
        for hats, of in ((quality_hat, "quality"), (cost_hat, "cost")):
            known = [getattr(parts[j][0], of) for j in range(n_folds) if j != k]
            hats.append(task_mean(seen, np.concatenate(known), task[k]))
    swept = sweep(np.concatenate(quality_hat), np.concatenate(cost_hat))
    return float(routing_gain(*curve(swept, quality, cost), quality, cost))


def main() -> None:
    """Print, and write where asked, the routing gain of router and task mean on each table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("tables", nargs="+", type=Path, metavar="TABLE.parquet")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1, help="how many draws of the folds")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    found = {}
    print(f"{'table':<20}{'router':>8}{'task mean':>11}{'difference':>12}   saved@100/@98/@95")
    with threadpool_limits(1):
        for path in wanted.tables:
            table = read_table(path)
            draws = [judge(table, wanted.folds, seed) for seed in range(wanted.seeds)]
            router, control = ([getattr(d, n) for d in draws] for n in ("router", "task_mean"))
            saved = {r: float(np.mean([d.saved[r] for d in draws])) for r in draws[0].saved}
            found[path.stem] = {"router": router, "task_mean": control, "saved": saved}
            print(
                f"{path.stem:<20}{np.mean(router):>8.4f}{np.mean(control):>11.4f}"
                f"{np.mean(router) - np.mean(control):>+12.4f}   "
                + "/".join(f"{s:.2f}" for s in saved.values()),
                flush=True,
            )
    if wanted.json:
        write_json(wanted.json, found)


if __name__ == "__main__":
    run_stage(main)
