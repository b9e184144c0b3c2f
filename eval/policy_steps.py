"""A trace table as the steps that a shipped policy is asked about, with what is known of each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.messages import cap, utf8
from tierwise.data.split import units
from tierwise.data.trace_columns import read_columns
from tierwise.eval.run_files import read_test_steps
from tierwise.features.context import OPTIONAL, encode
from tierwise.router_model.manifest import Manifest

Floats = NDArray[np.float64]

NEEDED = ("trace_id", "step_id", "text", "tier")
BEFORE = ("role", "task_type", "context_tokens", *OPTIONAL)
FACTS = (
    "input_complexity", "requires_judgment", "latency_tolerance_s", "irreversible", "user_visible",
)  # fmt: skip
"""What the four dimensions of a routing decision are read from, beside cost and `valid`."""
MOST = 20_000  # steps asked about: a table for reading needs no more


@dataclass(frozen=True)
class PolicySteps:
    """Steps of a trace table, one entry a step.

    Attributes
    ----------
    text : tuple of bytes
        Capped.
    context : ndarray of float32, shape (n_steps, n_columns)
        As the policy's graph takes it.
    role, task : ndarray of str, shape (n_steps,)
        As in the table, empty where unknown.
    unit : ndarray of str, shape (n_steps,)
        Split units.
    quality : ndarray of shape (n_steps, n_tiers)
        Of first attempts, 0..1; NaN is unknown, and everywhere where it may not be judged on.
    facts : dict of str to ndarray of shape (n_steps,)
        The columns of `FACTS` and `valid`, the share of a step's first attempts whose check was
        passed; NaN is unknown.
    about : str
        Which steps these are, in words.
    """

    text: tuple[bytes, ...]
    context: NDArray[np.float32]
    role: NDArray[Any]
    task: NDArray[Any]
    unit: NDArray[Any]
    quality: Floats
    facts: dict[str, Floats]
    about: str

    def __len__(self) -> int:
        return len(self.text)


def read_steps(traces: Path, policy: Path, manifest: Manifest, most: int = MOST) -> PolicySteps:
    """Read the steps of a trace table that a policy may be shown on.

    Where the policy was learned from this table, these are the steps of the test part; without
    its split beside it all steps, and their outcomes are left out: a policy is not judged on what
    it was learned from.

    Parameters
    ----------
    traces : Path
        A trace table as ingest writes it, or the folder of a run.
    policy : Path
        The bundle's folder.
    manifest : Manifest
    most : int
        Of more steps so many are taken, evenly spaced.

    Raises
    ------
    BadInput
        Where there is no such table, a needed column is missing, or no step is left.
    """
    traces = traces / "traces.parquet" if traces.is_dir() else traces
    rows = _first_attempts(traces)
    key = rows["trace_id"].astype(str) + "/" + rows["step_id"].astype(str)
    split = traces.parent / "split.parquet"
    learned = hashlib.sha256(traces.read_bytes()).hexdigest() == manifest.table_sha256
    own_run = traces.resolve().parent == policy.resolve().parent
    judged, about = True, f"all steps of {traces}"
    if (learned or own_run) and split.exists():
        rows = rows[key.isin(read_test_steps(split))]
        about = f"steps of the test part of {traces}, which it was not learned from"
    elif learned:
        judged, about = False, f"the steps of {traces} that it was learned from, outcomes left out"
    if not len(rows):
        raise BadInput(f"no step in {traces}", "steps to decide", "give another table")
    step = pd.factorize(rows["trace_id"].astype(str) + "/" + rows["step_id"].astype(str))[0]
    total = int(step.max()) + 1
    if total > most:
        kept = np.unique(np.linspace(0, total - 1, most).astype(np.int64))
        rows = rows[np.isin(step, kept)]
        step = np.searchsorted(kept, step[np.isin(step, kept)])
        about += f", {len(kept):,} of {total:,}, evenly spaced"
    return _steps(rows.reset_index(drop=True), step, manifest, judged, about)


def _first_attempts(traces: Path) -> pd.DataFrame:
    wanted = (*NEEDED, *BEFORE, "attempt", "group", "quality", "valid")
    rows = read_columns(traces, wanted, NEEDED)
    if "attempt" in rows:
        rows = rows[_numbers(rows, "attempt", 0.0) == 0]
    return rows


def _steps(
    rows: pd.DataFrame, step: NDArray[np.int64], manifest: Manifest, judged: bool, about: str
) -> PolicySteps:
    one = rows[~pd.Series(step).duplicated().to_numpy()].reset_index(drop=True)
    full = [utf8(str(text)) for text in one["text"]]
    lengths = np.array([len(text) for text in full], np.int64)
    trace, group = _words(one, "trace_id"), _words(one, "group")
    group = np.where(group == "", trace, group)
    quality = np.full((len(one), len(manifest.tiers)), np.nan)
    if judged:
        tier = pd.Index(manifest.tier_names).get_indexer(pd.Index(rows["tier"].astype(str)))
        known = tier >= 0  # rows of other tiers are kept as steps; their outcome is nobody's here
        quality[step[known], tier[known]] = _numbers(rows, "quality")[known]
    facts = {name: _numbers(one, name) for name in FACTS}
    facts["valid"] = _share(_numbers(rows, "valid"), step, len(one))
    return PolicySteps(
        text=tuple(cap(text) for text in full),
        context=encode(one, lengths, manifest.context),
        role=_words(one, "role"),
        task=_words(one, "task_type"),
        unit=units(trace.astype(np.str_), group.astype(np.str_)),
        quality=quality,
        facts=facts,
        about=about,
    )


def _share(values: Floats, step: NDArray[np.int64], n_steps: int) -> Floats:
    """Return the mean of a step's known values, NaN where it has none."""
    known = np.isfinite(values)
    total = np.bincount(step[known], values[known], n_steps)
    count = np.bincount(step[known], minlength=n_steps)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _words(rows: pd.DataFrame, name: str) -> NDArray[Any]:
    if name not in rows:
        return np.full(len(rows), "", dtype=object)
    column = rows[name].astype(object)
    return np.asarray(column.where(column.notna(), "").astype(str), dtype=object)


def _numbers(rows: pd.DataFrame, name: str, unknown: float = np.nan) -> Floats:
    if name not in rows:
        return np.full(len(rows), unknown)
    numbers = pd.to_numeric(rows[name], errors="coerce").astype("Float64")
    return np.asarray(numbers.to_numpy(dtype=np.float64, na_value=unknown), np.float64)
