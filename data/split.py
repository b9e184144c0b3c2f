"""Stage: three disjoint parts (learn, certify, test) that never cut what belongs together."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tierwise.data.errors import BadInput, run_stage
from tierwise.data.files import replacing
from tierwise.data.params import section

PARTS = ("learn", "certify", "test")


@dataclass(frozen=True)
class SplitParams:
    """Section `split` of params.yaml: the seed of the draw and the parts' shares of the steps."""

    seed: int = 0
    learn: float = 0.6
    certify: float = 0.2
    test: float = 0.2


def units(trace_id: NDArray[np.str_], group: NDArray[np.str_]) -> NDArray[np.str_]:
    """Name the split unit of each step.

    Parameters
    ----------
    trace_id, group : ndarray of str, shape (n_steps,)
        Two steps belong together where they share a trace or a group, directly or over others.

    Returns
    -------
    ndarray of str, shape (n_steps,)
        The smallest trace_id of the step's connected component.
    """
    trace, names = pd.factorize(np.asarray(trace_id, dtype=object), sort=True)
    bundle, groups = pd.factorize(np.asarray(group, dtype=object))
    n_nodes = len(names) + len(groups)
    edges = (np.ones(len(trace), dtype=np.int8), (trace, bundle + len(names)))
    graph = coo_array(edges, shape=(n_nodes, n_nodes))
    _, component = connected_components(graph, directed=False)
    _, smallest = np.unique(component[: len(names)], return_index=True)
    _, place = np.unique(component[trace], return_inverse=True)
    return np.asarray(names, dtype=object)[smallest][place]


def assign(
    trace_id: NDArray[np.str_],
    group: NDArray[np.str_],
    ts: NDArray[np.datetime64] | None,
    shares: tuple[float, float, float],
    rng: np.random.Generator,
) -> tuple[NDArray[np.str_], NDArray[np.int8]]:
    """Put whole units into the parts, as near to the shares as the units allow.

    Units stand in a random order, or in the order of their first step where times are known, and
    are cut twice. Units are not sorted by size to come nearer: a part of the larger units would
    not be exchangeable with a part of the smaller ones.

    Parameters
    ----------
    trace_id, group : ndarray of str, shape (n_steps,)
        One entry a step.
    ts : ndarray of datetime64, shape (n_steps,), or None
        Time of each step; used where none of them is NaT.
    shares : tuple of float
        Of the steps, for learn, certify and test; they sum to 1.
    rng : Generator
        Draws the order.

    Returns
    -------
    unit : ndarray of str, shape (n_steps,)
        See `units`.
    part : ndarray of int8, shape (n_steps,)
        Index into `PARTS`.

    Raises
    ------
    BadInput
        For fewer units than parts.
    """
    unit = units(trace_id, group)
    code, names = pd.factorize(unit, sort=True)
    if len(names) < len(PARTS):
        raise BadInput(
            f"{len(names)} split units (traces joined by group)",
            "three or more, so that no trace or group is cut",
            "check the columns trace_id and group: do they hold one value everywhere?",
        )
    order = rng.permutation(len(names))
    if ts is not None and not np.isnat(ts).any():
        first = pd.Series(ts).groupby(code).min().to_numpy()
        order = np.lexsort((np.arange(len(names)), first))
    ends = _ends(np.cumsum(np.bincount(code)[order]), shares)
    part = np.empty(len(names), dtype=np.int8)
    part[order] = np.searchsorted(ends, np.arange(len(names)), side="right")
    return unit, part[code]


def _ends(steps_until: NDArray[np.int64], shares: tuple[float, float, float]) -> NDArray[np.int64]:
    """Give the number of units before each of the two cuts; every part gets one at least."""
    n_units, n_steps = len(steps_until), steps_until[-1]
    ends: list[int] = []
    for number, share in enumerate(np.cumsum(shares)[:-1], start=1):
        low = (ends[-1] if ends else 0) + 1
        high = n_units - (len(PARTS) - number)
        gaps = np.abs(steps_until[low - 1 : high] - share * n_steps)
        ends.append(low + int(np.argmin(gaps)))
    return np.array(ends, dtype=np.int64)


def folds(unit: NDArray[np.str_], n_folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Deal whole units to folds of nearly equal size.

    Parameters
    ----------
    unit : ndarray of str, shape (n_steps,)
        Split unit of each step.
    n_folds : int
        Two or more.
    rng : Generator
        Draws the order among units of one size.

    Returns
    -------
    ndarray of int64, shape (n_steps,)
        Fold of each step, 0..n_folds-1; none is empty.

    Raises
    ------
    BadInput
        For fewer units than folds.
    """
    code, names = pd.factorize(np.asarray(unit, dtype=object), sort=True)
    if len(names) < n_folds:
        raise BadInput(
            f"{len(names)} split units for {n_folds} folds", "a unit a fold at least",
            "log more traces, or lower the number of folds in params.yaml",
        )  # fmt: skip
    sizes = np.bincount(code)
    order = rng.permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]  # largest first, each to the emptiest
    fold = np.empty(len(names), dtype=np.int64)
    filled = np.zeros(n_folds, dtype=np.int64)
    for one in order:
        fold[one] = np.argmin(filled)
        filled[fold[one]] += sizes[one]
    return fold[code]


def split(run: Path, params: SplitParams) -> None:
    """Read traces.parquet of a run and write split.parquet: step, unit and part, sorted by step."""
    shares = (params.learn, params.certify, params.test)
    if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise BadInput(f"split shares {shares}", "three shares above 0 with sum 1", "mend params")
    steps = _steps(run / "traces.parquet")
    unit, part = assign(
        steps["trace_id"].to_numpy(dtype=object),
        steps["group"].to_numpy(dtype=object),
        steps["ts"].dt.tz_localize(None).to_numpy(),
        shares,
        np.random.default_rng(params.seed),
    )
    text = pyarrow.large_string()
    table = pyarrow.table(
        {
            "step": pyarrow.array(steps["step"], type=text),
            "unit": pyarrow.array(unit, type=text),
            "part": pyarrow.array(np.array(PARTS, dtype=object)[part], type=text),
        }
    )
    with replacing(run / "split.parquet") as path:
        pyarrow.parquet.write_table(table, path)


def _steps(path: Path) -> pd.DataFrame:
    """Read one row a step, sorted by its name, with the time of its first row."""
    columns = ["trace_id", "step_id", "group", "ts"]
    try:
        rows = pyarrow.parquet.read_table(path, columns=columns).to_pandas()
    except FileNotFoundError:
        raise BadInput(f"no file {path}", "a trace table", "run the stage ingest") from None
    # the tiers' rows of one step may name different groups: all of them tie
    rows["group"] = units(rows["trace_id"].to_numpy(), rows["group"].to_numpy())
    rows = rows.sort_values("ts", kind="stable")
    steps = rows.drop_duplicates(["trace_id", "step_id"]).copy()
    steps["step"] = steps["trace_id"] + "/" + steps["step_id"]
    twice = steps["step"][steps["step"].duplicated()]
    if len(twice):
        raise BadInput(
            f"two steps are called {twice.iloc[0]!r} (trace_id/step_id)",
            "names that differ", "leave the sign / out of step_id or trace_id",
        )  # fmt: skip
    ordered: pd.DataFrame = steps.sort_values("step", ignore_index=True)
    return ordered


def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    arguments = parser.parse_args()
    split(arguments.run, section(arguments.params, "split", SplitParams))


if __name__ == "__main__":
    run_stage(main)
