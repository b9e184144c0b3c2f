"""Stage features: traces and split -> the step table and its context columns."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tierwise.data.errors import BadInput, run_stage
from tierwise.data.files import read_json, write_json
from tierwise.data.messages import cap, utf8
from tierwise.data.params import section
from tierwise.features.context import OPTIONAL, ContextParams, encode, fit_columns
from tierwise.features.steps import CERTIFY, LEARN, TEST, FloatArray, StepTable, save_steps

PARTS = {"learn": LEARN, "certify": CERTIFY, "test": TEST}
BESIDE = ("shadow", "replay", "benchmark")  # feedback sources of tiers that nobody chose to serve
OUTCOMES = ("quality", "cost_usd", "latency_s", "valid")
BEFORE = ("text", "role", "task_type", "context_tokens", *OPTIONAL)


def step_table(
    traces: pd.DataFrame,
    split: pd.DataFrame,
    tiers: tuple[str, ...],
    feedback: Any,
    params: ContextParams,
) -> tuple[StepTable, tuple[Any, ...]]:
    """Build the step table from first attempts.

    Rows of attempt >= 1 exist because an attempt failed; they are no second sample of a step's
    outcome and are left out here.

    Parameters
    ----------
    traces : DataFrame
        The trace table, one row an attempt.
    split : DataFrame
        Columns step, unit, part; one row a step.
    tiers : tuple of str
        Cheap to dear.
    feedback : str
        Kind of feedback, as told by ingest.
    params : ContextParams
        Which columns become context.

    Returns
    -------
    StepTable, tuple of ContextColumn
    """
    first = traces[traces["attempt"].fillna(0).astype(int) == 0] if "attempt" in traces else traces
    key = first["trace_id"].astype(str) + "/" + first["step_id"].astype(str)
    split = split.sort_values("step", kind="stable").reset_index(drop=True)
    row = pd.Index(split["step"]).get_indexer(pd.Index(key))
    if (row < 0).any():
        raise BadInput(
            f"{int((row < 0).sum())} attempts of steps that the split lacks",
            "a split of these traces",
            "run split again",
        )
    tier = pd.Index(tiers).get_indexer(pd.Index(first["tier"].astype(str)))
    if (tier < 0).any():
        raise BadInput(
            f"{int((tier < 0).sum())} attempts of tiers that tiers.json lacks",
            "the tiers of these traces",
            "run ingest again",
        )
    outcomes = {
        name: _by_tier(first, name, row, tier, (len(split), len(tiers))) for name in OUTCOMES
    }
    logged = feedback in ("logged", "mixed")
    serve = _served_rows(first, row) if logged else np.zeros(len(first), np.bool_)
    one = first.assign(_row=row, _tier=np.where(serve, tier, -1), _serve=serve)
    one = one.sort_values(["_row", "_serve"], ascending=[True, False], kind="stable")
    one = one.drop_duplicates("_row")
    present = np.flatnonzero(np.isin(np.arange(len(split)), one["_row"].to_numpy()))
    full = [utf8(text) for text in one["text"]]
    text_bytes = np.array([len(text) for text in full], np.int64)
    before = one[[c for c in BEFORE if c in one]].reset_index(drop=True)
    part = np.asarray(split["part"].map(PARTS), np.int8)[present]
    columns = fit_columns(before[part == LEARN], params)
    served = one["_tier"].to_numpy(np.int64)
    propensity = np.where(served >= 0, _numbers(one, "propensity"), np.nan)
    table = StepTable(
        tiers=tiers,
        step=_strings(split["step"])[present],
        unit=_strings(split["unit"])[present],
        part=part,
        text=tuple(cap(text) for text in full),
        text_bytes=text_bytes,
        context=encode(before, text_bytes, columns),
        quality=outcomes["quality"][present],
        cost=outcomes["cost_usd"][present],
        latency=outcomes["latency_s"][present],
        valid=outcomes["valid"][present],
        served=served,
        propensity=propensity,
        propensities=_distribution(one, served, propensity, tiers),
        ladder_cost=_ladder_cost(traces, split["step"], one["_row"].to_numpy(), served),
        feedback=feedback,
    )
    return table, columns


def _served_rows(first: pd.DataFrame, row: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which first attempts a serving policy chose: the only such row of its step.

    Tiers that were run beside or afterwards (shadow, replay, benchmark) were not chosen. Where a
    step has several rows that may have been, nothing tells which one was.
    """
    source = first["feedback_source"] if "feedback_source" in first else pd.Series(dtype=object)
    beside = source.isin(BESIDE).to_numpy() if len(source) else np.zeros(len(first), np.bool_)
    counts = np.bincount(row[~beside], minlength=int(row.max(initial=-1)) + 1)
    return np.asarray(~beside & (counts[row] == 1), np.bool_)


def _distribution(
    one: pd.DataFrame, served: NDArray[np.int64], propensity: FloatArray, tiers: tuple[str, ...]
) -> FloatArray:
    """Return the logged probability of every tier, shape (n_steps, n_tiers)."""
    out = np.full((len(one), len(tiers)), np.nan)
    rows = np.flatnonzero(served >= 0)
    out[rows, served[rows]] = propensity[rows]
    if "propensities" not in one:
        return out
    place = {name: at for at, name in enumerate(tiers)}
    known = one["propensities"].notna().to_numpy()
    texts = one["propensities"].tolist()
    for at in rows[known[rows]]:
        drawn = json.loads(texts[at])
        if place.keys() >= drawn.keys():  # else some probability is of a tier that is not known
            out[at] = 0.0
            chances = np.array(list(drawn.values()), np.float64)
            out[at, [place[name] for name in drawn]] = chances / chances.sum()  # logs round them
    return out


def _ladder_cost(
    traces: pd.DataFrame, step: pd.Series[str], rows: NDArray[Any], served: NDArray[np.int64]
) -> FloatArray:
    """Return USD of all attempts that serving a step took; unknown where one of them is."""
    if "feedback_source" in traces:
        traces = traces[~traces["feedback_source"].isin(BESIDE)]
    key = traces["trace_id"].astype(str) + "/" + traces["step_id"].astype(str)
    at = pd.Index(step).get_indexer(pd.Index(key))
    cost = np.bincount(at, weights=_numbers(traces, "cost_usd"), minlength=len(step))
    return np.asarray(np.where(served >= 0, cost[rows], np.nan), np.float64)


def _strings(column: pd.Series[str]) -> NDArray[np.str_]:
    return np.array(column.to_list(), dtype=np.str_)


def _numbers(frame: pd.DataFrame, name: str) -> FloatArray:
    if name not in frame:
        return np.full(len(frame), np.nan)
    numbers = frame[name].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(numbers, np.float64)


def _by_tier(
    frame: pd.DataFrame,
    name: str,
    row: NDArray[Any],
    tier: NDArray[Any],
    shape: tuple[int, int],
) -> FloatArray:
    out = np.full(shape, np.nan)
    out[row, tier] = _numbers(frame, name)
    return out


def main() -> None:
    """Read the run's traces and split, write steps.npz and context.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    params = section(args.params, "features", ContextParams)
    wanted = {*BEFORE, *OUTCOMES, "trace_id", "step_id", "tier", "attempt"}
    wanted |= {"propensity", "propensities", "feedback_source"}
    traces = _read(args.run / "traces.parquet", wanted)
    split = _read(args.run / "split.parquet", {"step", "unit", "part"})
    tiers = tuple(t["name"] for t in read_json(args.run / "tiers.json")["tiers"])
    feedback = read_json(args.run / "ingest.json")["feedback"]["kind"]
    table, columns = step_table(traces, split, tiers, feedback, params)
    save_steps(args.run / "steps.npz", table)
    write_json(
        args.run / "context.json",
        [{"name": c.name, "kind": c.kind, "vocabulary": list(c.vocabulary)} for c in columns],
    )


def _read(path: Path, wanted: set[str]) -> pd.DataFrame:
    import pyarrow.parquet as pq

    if not path.exists():
        raise BadInput(f"no file {path}", "the output of an earlier stage", "run dvc repro")
    names = [n for n in pq.read_schema(path).names if n in wanted]
    return pd.read_parquet(path, columns=names)


if __name__ == "__main__":
    run_stage(main)
