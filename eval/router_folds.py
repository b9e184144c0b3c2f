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
from tierwise.router_model.spec import PolicySpec
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
class Held:
    """A fold that was held out, and what the policy of the other folds says of it.

    Attributes
    ----------
    steps : StepTable
    quality, total_cost : ndarray of shape (n_steps, n_tiers)
        The exported graph's, from ONNX Runtime; 0..1 and USD.
    spec : PolicySpec
    """

    steps: StepTable
    quality: Floats
    total_cost: Floats
    spec: PolicySpec


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
        raise BadInput(
            f"no step of {path} has every tier's outcome", "full feedback", "use another"
        )
    split = traces.drop_duplicates("step").sort_values("step")[["step", "trace_id", "group"]]
    ids, groups = (np.array(split[c].to_list(), np.str_) for c in ("trace_id", "group"))
    return Table(traces, split.assign(unit=units(ids, groups)), tiers)


def held_out(table: Table, fold: NDArray[np.int64], k: int) -> Held:
    """Fit on all folds but `k`, export, and let the graph speak on fold `k`."""
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
    quality, total_cost = (np.asarray(x, np.float64) for x in (said.quality, said.total_cost))
    return Held(test, quality, total_cost, fitted.spec)


def deal(table: Table, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each step; a split unit is never cut."""
    unit = np.array(table.split["unit"].to_list(), np.str_)
    return folds(unit, n_folds, np.random.default_rng(seed))


def judge(table: Table, n_folds: int, seed: int) -> Judged:
    """Judge router and task mean on one draw of the folds.

    Parameters
    ----------
    table : Table
    n_folds : int
    seed : int
        Of the folds, which never cut a split unit.
    """
    fold = deal(table, n_folds, seed)
    parts = [held_out(table, fold, k) for k in range(n_folds)]
    quality = np.concatenate([part.steps.quality for part in parts])
    cost = np.concatenate([part.steps.cost for part in parts])
    said = np.concatenate([part.quality for part in parts]).astype(np.float32)
    relative = np.concatenate([part.total_cost for part in parts])
    reference = reference_tier(quality)
    relative = (relative / cost[:, reference].mean()).astype(np.float32)
    path = fit_path(said, relative, reference, POINTS)
    points = curve(choose(said, relative, reference, path), quality, cost)
    return Judged(
        router=routing_gain(*points, quality, cost),
        task_mean=_task_mean_gain(table, parts),
        saved={f"{100 * r:.0f}": saved_at(points, quality, cost, r) for r in (1.0, 0.98, 0.95)},
    )


def _task_mean_gain(table: Table, parts: list[Held]) -> float:
    """Return the control's gain on the same folds: quality and cost by the mean of the task."""
    one = table.traces.drop_duplicates("step").set_index("step")["task_type"].fillna("")
    task = [np.array(one.loc[part.steps.step].to_list(), np.str_) for part in parts]
    hats: dict[str, list[Floats]] = {"quality": [], "cost": []}
    for k in range(len(parts)):
        others = [j for j in range(len(parts)) if j != k]
        seen = np.concatenate([task[j] for j in others])
        for of, hat in hats.items():
            known = np.concatenate([getattr(parts[j].steps, of) for j in others])
            hat.append(task_mean(seen, known, task[k]))
    swept = sweep(np.concatenate(hats["quality"]), np.concatenate(hats["cost"]))
    quality = np.concatenate([part.steps.quality for part in parts])
    cost = np.concatenate([part.steps.cost for part in parts])
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
