"""A full-feedback trace table as what policies are judged on: after ingest, one row a step."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.files import read_json
from tierwise.data.ingest import IngestParams, ingest
from tierwise.data.messages import utf8
from tierwise.data.split import folds, units

Floats = NDArray[np.float64]

LEAST_STEPS = 300  # fewer say nothing about a router that is fitted on four fifths of them
MOST_STEPS = 200_000  # of a larger table so many are drawn, in whole split units


@dataclass(frozen=True)
class Outcomes:
    """Steps with the outcome of every tier; tiers in order of mean cost.

    Attributes
    ----------
    text : tuple of bytes
        UTF-8, whole.
    task : ndarray of str, shape (n_steps,)
        Role and task type, joined; one value where both are unknown.
    unit : ndarray of str, shape (n_steps,)
        Split unit.
    quality : ndarray of shape (n_steps, n_tiers)
        0..1, all known.
    cost : ndarray of shape (n_steps, n_tiers)
        USD, all known: see `filled`.
    """

    text: tuple[bytes, ...]
    task: NDArray[np.str_]
    unit: NDArray[np.str_]
    quality: Floats
    cost: Floats

    def __len__(self) -> int:
        return len(self.text)

    def rows(self, index: NDArray[Any]) -> Outcomes:
        """Return the steps at `index` (positions or a mask), in that order."""
        index = np.flatnonzero(index) if index.dtype == bool else np.asarray(index)
        text = tuple(self.text[i] for i in index)
        return Outcomes(
            text, self.task[index], self.unit[index], self.quality[index], self.cost[index]
        )


@dataclass(frozen=True)
class Table:
    """A full-feedback table after ingest.

    Attributes
    ----------
    traces : DataFrame
        One row a step and tier, as ingest wrote it.
    split : DataFrame
        step, trace_id, group and unit; one row a step, sorted by step.
    tiers : tuple of str
        Cheap to dear.
    outcomes : Outcomes
        In the order of `split`.
    left_out : int
        Steps of the table that are not here: an outcome is unknown, or the table is too large.
    """

    traces: pd.DataFrame
    split: pd.DataFrame
    tiers: tuple[str, ...]
    outcomes: Outcomes
    left_out: int

    def content(self) -> str:
        """Return the SHA-256 of all that a method may look at."""
        known = self.traces.dropna(axis=1, how="all").astype(str)
        rows = pd.util.hash_pandas_object(known, index=False).to_numpy()
        hashed = hashlib.sha256(repr((self.tiers, sorted(known.columns))).encode())
        hashed.update(np.ascontiguousarray(rows).tobytes())
        return hashed.hexdigest()


def read_table(path: Path, most_steps: int = MOST_STEPS) -> Table:
    """Ingest a trace table and keep the steps whose quality is known for every tier.

    Raises
    ------
    BadInput
        Where ingest refuses it, or hardly any step has the outcome of every tier.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        ingest(str(path), run, None, {}, IngestParams(), dry_run=False)
        traces = pd.read_parquet(run / "traces.parquet")
        tiers = tuple(tier["name"] for tier in read_json(run / "tiers.json")["tiers"])
    traces = traces[traces["attempt"] == 0]
    traces = traces.assign(step=traces["trace_id"] + "/" + traces["step_id"])
    n_steps = traces["step"].nunique()
    known = traces.dropna(subset=["quality"]).groupby("step")["tier"].nunique()
    traces = traces[traces["step"].isin(known.index[known == len(tiers)])]
    found = traces["step"].nunique()
    if found < LEAST_STEPS:
        raise BadInput(
            f"{found} of {n_steps} steps of {path} have the outcome of all {len(tiers)} tiers",
            f"full feedback on {LEAST_STEPS} steps or more",
            "use another table",
        )
    split = traces.drop_duplicates("step").sort_values("step")[["step", "trace_id", "group"]]
    ids, groups = (np.array(split[c].to_list(), np.str_) for c in ("trace_id", "group"))
    split = split.assign(unit=units(ids, groups))
    if len(split) > most_steps:
        split = split[_whole_units(split["unit"].to_numpy(dtype=object), most_steps)]
        traces = traces[traces["step"].isin(split["step"])]
    return Table(traces, split, tiers, _outcomes(traces, split, tiers), n_steps - len(split))


def deal(table: Table, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each step; a split unit is never cut."""
    return folds(table.outcomes.unit, n_folds, np.random.default_rng(seed))


def filled(cost: Floats, task: NDArray[np.str_]) -> Floats:
    """Return costs with the unknown ones replaced.

    By the tier's mean in the task, else the tier's mean, else (a tier of which nothing is known)
    the mean of the dearest tier that is known; 0 where no cost is known at all.

    Parameters
    ----------
    cost : ndarray of shape (n_steps, n_tiers)
        USD; NaN is unknown.
    task : ndarray of str, shape (n_steps,)
    """
    if not np.isnan(cost).any():
        return cost
    frame = pd.DataFrame(cost)
    mean = frame.mean()
    dearest = mean.max() if mean.notna().any() else 0.0
    frame = frame.fillna(frame.groupby(task).transform("mean"))
    return np.asarray(frame.fillna(mean.fillna(dearest)), np.float64)


def _outcomes(traces: pd.DataFrame, split: pd.DataFrame, tiers: tuple[str, ...]) -> Outcomes:
    steps = split["step"]
    quality, cost = (
        traces.pivot(index="step", columns="tier", values=name)
        .reindex(index=steps, columns=list(tiers))
        .to_numpy(dtype=np.float64)
        for name in ("quality", "cost_usd")
    )
    one = traces.drop_duplicates("step").set_index("step").loc[steps]
    role, kind = (one[name].fillna("").astype(str) for name in ("role", "task_type"))
    task = np.array((role + "\x1f" + kind).to_list(), np.str_)
    return Outcomes(
        text=tuple(utf8(text) for text in one["text"]),
        task=task,
        unit=np.array(split["unit"].to_list(), np.str_),
        quality=quality,
        cost=filled(cost, task),
    )


def _whole_units(unit: NDArray[Any], most: int) -> NDArray[np.bool_]:
    """Return which steps to keep: of whole units, drawn at random, `most` steps at most."""
    code, names = pd.factorize(unit, sort=True)
    order = np.random.default_rng(0).permutation(len(names))
    kept = np.cumsum(np.bincount(code)[order]) <= most
    chosen = np.zeros(len(names), np.bool_)
    chosen[order[kept]] = True
    return np.asarray(chosen[code], np.bool_)
