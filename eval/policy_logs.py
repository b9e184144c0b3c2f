"""Logs as the steps on which shipped policies are judged, and what each policy serves there."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.ingest import IngestParams, ingest
from tierwise.data.split import units
from tierwise.eval.audit import spend
from tierwise.eval.run_files import read_feedback_kind, read_test_steps, readable
from tierwise.features.context import ContextParams, encode
from tierwise.features.steps import StepTable
from tierwise.features.table import step_table
from tierwise.router_model import layout
from tierwise.router_model.bundle import VerifiedBundle
from tierwise.router_model.manifest import Manifest

TABLE = "traces.parquet"


@dataclass(frozen=True)
class PolicyLogs:
    """A trace table after ingest, one row a step.

    Attributes
    ----------
    table : StepTable
        Tiers are those of the policies, then what else the logs served, by name.
    before : DataFrame
        What may be looked at before the call, in the order of `table`.
    role : ndarray of str, shape (n_steps,)
        Empty where unknown.
    about : str
        Which steps these are, in words.
    spent : dict
        What `audit.spend` says of every attempt at them.
    """

    table: StepTable
    before: pd.DataFrame
    role: NDArray[np.str_]
    about: str
    spent: dict[str, Any]


def read_logs(traces: Path, policies: list[tuple[Path, Manifest]]) -> PolicyLogs:
    """Read logs, leaving out what one of the policies was learned from.

    Parameters
    ----------
    traces : Path
        The folder of a run, or a trace table; one that did not come through ingest goes through it.
    policies : list of (Path, Manifest)
        Folder and manifest of each bundle.

    Raises
    ------
    BadInput
        Where ingest refuses the table, or no step is left to judge on.
    """
    given = traces / TABLE if traces.is_dir() else traces
    if not given.is_file():
        raise BadInput(f"no file {given}", "a trace table or the folder of a run", "run ingest")
    if given.name == TABLE and given.with_name("ingest.json").exists():
        return _logs(given.parent, given, policies)
    with tempfile.TemporaryDirectory() as folder:
        ingest(str(given), Path(folder), None, {}, IngestParams(min_steps=1))
        return _logs(Path(folder), given, policies)


def served(logs: PolicyLogs, bundle: VerifiedBundle) -> NDArray[np.int64]:
    """Return the tier that a policy serves at each step, as its place in the logs' tiers."""
    place = np.array([logs.table.tiers.index(name) for name in bundle.manifest.tier_names])
    context = encode(logs.before, logs.table.text_bytes, bundle.manifest.context)
    decisions = bundle.graph.decisions(logs.table.text, context)
    return np.asarray(place[decisions[:, layout.TIER].astype(np.int64)], np.int64)


def _logs(run: Path, given: Path, policies: list[tuple[Path, Manifest]]) -> PolicyLogs:
    """Return the table that ingest left in `run`, of the logs that were given."""
    traces = run / TABLE
    kind = read_feedback_kind(run)
    with readable(traces, "the trace table that ingest wrote", "run ingest again"):
        columns = [name for name in pq.read_schema(traces).names if name != "output_text"]
        frame = pd.read_parquet(traces, columns=columns)
        frame = frame.assign(step=frame["trace_id"] + "/" + frame["step_id"])
    digest = hashlib.sha256(traces.read_bytes()).hexdigest()
    frame, about = _unlearned(frame, digest, given, policies)
    known = tuple(dict.fromkeys(tier for _, one in policies for tier in one.tier_names))
    if not len(frame):
        found = f"no step of {given} that the policy was not learned from"
        raise BadInput(found, "steps to judge it on", "give other logs")
    if kind == "full":  # a tier that no policy may serve says nothing of any of them
        frame = _of_tiers(frame, known, given)
    others = sorted(set(frame["tier"]) - set(known))
    tiers = (*known, *others)
    table, _ = step_table(frame, _split(frame), tiers, kind, ContextParams())
    first = frame[frame["attempt"].fillna(0) == 0]  # a retry may know more than the policy would
    before = first.drop_duplicates("step").set_index("step").loc[table.step]
    role = before["role"].astype(object)
    words = np.array(role.where(role.notna(), "").to_list(), np.str_)
    # The place of a tier that no policy knows is told by what it cost alone.
    spent = spend(frame[["tier", "role", "cost_usd", "quality"]], None if others else tiers)
    return PolicyLogs(table, before.reset_index(drop=True), words, about, spent)


def _of_tiers(frame: pd.DataFrame, known: tuple[str, ...], given: Path) -> pd.DataFrame:
    """Return the rows of the policies' tiers."""
    kept = frame[frame["tier"].isin(known)]
    if not len(kept):
        raise BadInput(
            f"{given} has the tiers {', '.join(sorted(set(frame['tier']))[:5])}",
            f"some of the policy's: {', '.join(known)}",
            "give logs of these, or a catalogue that says which models they are (tierwise ingest)",
        )
    return kept


def _split(frame: pd.DataFrame) -> pd.DataFrame:
    """Return every step with its unit; rows of one step that name several groups tie them."""
    trace = frame["trace_id"].to_numpy(dtype=object)
    group = frame["group"].where(frame["group"].notna(), frame["trace_id"]).to_numpy(dtype=object)
    steps = frame.assign(unit=units(trace, group), part="test")[["step", "unit", "part"]]
    return steps.drop_duplicates("step")


def _unlearned(
    frame: pd.DataFrame, digest: str, given: Path, policies: list[tuple[Path, Manifest]]
) -> tuple[pd.DataFrame, str]:
    """Return the rows of steps that no policy was learned from, and which these are."""
    learned = [digest == manifest.table_sha256 for _, manifest in policies]
    own = [given.resolve().parent == folder.resolve().parent for folder, _ in policies]
    if not any(learned) and not any(own):
        return frame, f"all steps of {given}"
    split = given.with_name("split.parquet")
    if not split.exists():
        raise BadInput(
            f"{given}, from which a policy was learned, without its split.parquet",
            "steps that it was not learned from", "give the folder of the run, or later logs",
        )  # fmt: skip
    return frame[frame["step"].isin(read_test_steps(split))], f"steps of the test part of {given}"
