"""What a log holds of each step: who has answered it, and how long its texts are."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tierwise.data.errors import BadInput
from tierwise.data.files import read_json
from tierwise.data.intake import Intake
from tierwise.data.matching import ranked
from tierwise.data.messages import text_of, utf8
from tierwise.data.readers import read_batches
from tierwise.data.schema import FEEDBACK_SOURCES
from tierwise.data.tiers import Catalogue, read_catalogue

_OK_AT = 0.5
"""Intake asks for it to find retries that pass for full feedback; as ingest's default."""


@dataclass(frozen=True)
class Source:
    """A readable log and the tiers that are known before it is read."""

    path: str
    catalogue: Catalogue | None


@dataclass(frozen=True)
class Survey:
    """A log without its texts.

    Attributes
    ----------
    answers : DataFrame, (n_rows, 11)
        One row a first attempt: trace_id, step_id, role ("" unknown), tier (rank), model, effort,
        text_bytes, answer_bytes (NaN: the answer is not in the log), input_tokens, output_tokens,
        quality.
    rows : DataFrame
        `ledger.Ledger.table`, tiers ranked from cheap to dear: what `feedback.detect` reads.
    catalogue : Catalogue
        Tiers from cheap to dear with their mean costs.
    refused : int
        Rows that ingest would refuse; they are left out.
    """

    answers: pd.DataFrame
    rows: pd.DataFrame
    catalogue: Catalogue
    refused: int


def locate(traces: Path, tiers: Path | None) -> Source:
    """Find the trace table and the catalogue.

    Parameters
    ----------
    traces : Path
        The folder of a run, or a trace table: a file or a folder of files.
    tiers : Path or None
        A catalogue in YAML, which goes before the run's own tiers.json.

    Raises
    ------
    BadInput
        Where tiers.json is missing or is none.
    """
    given = read_catalogue(tiers) if tiers else None
    table = traces / "traces.parquet"
    if not ((traces / "tiers.json").is_file() and table.is_file()):
        return Source(str(traces), given)
    if given is not None:
        return Source(str(table), given)
    path = traces / "tiers.json"
    try:
        return Source(str(table), Catalogue.from_dict(read_json(path)))
    except (KeyError, TypeError) as error:
        raise BadInput(
            f"{path} is no tier catalogue ({error})", "what ingest wrote", "run ingest again"
        ) from None


def survey(source: Source) -> Survey:
    """Read the whole log once and keep some 200 bytes a row.

    Raises
    ------
    BadInput
        Where the log cannot be read or has no good row.
    """
    intake = Intake(source.catalogue, {}, _OK_AT)
    parts = [_sizes(good) for good, _ in _taken(intake, source.path)]
    rows = intake.ledger.table()
    if rows.empty:
        raise BadInput(f"no good row in {source.path}", "a log with steps", "try tierwise ingest")
    tiers = intake.matcher.tiers()
    catalogue = ranked(tiers, rows, inferred=intake.matcher.catalogue is None)
    rank = np.array([catalogue.names.index(tier.name) for tier in tiers], dtype=np.int16)
    rows["tier"] = rank[rows["tier"]]
    answers = pd.concat(parts, ignore_index=True)
    answers["tier"] = [catalogue.names.index(name) for name in answers["tier"]]
    return Survey(answers, rows, catalogue, intake.rejects.total())


def read_rows(source: Source) -> Iterator[tuple[pd.DataFrame, pd.Series]]:
    """Read the log again with its texts.

    Yields
    ------
    good : DataFrame
        A batch of good rows of the trace table; step ids as `survey` gave them.
    cells : Series
        All cells of the batch's column text as they stand in the file, in its order.
    """
    yield from _taken(Intake(source.catalogue, {}, _OK_AT), source.path)


def first_attempts(rows: pd.DataFrame) -> pd.DataFrame:
    """Give the rows that are no retry."""
    return rows[(rows["attempt"] == 0) & ~rows["feedback_source"].eq(FEEDBACK_SOURCES[1])]


def chats(cells: pd.Series, texts: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Find the conversations behind texts.

    The trace table keeps what a policy looks at, which is less than what a model was asked. Where
    the log holds the messages themselves, a replay can send them as they were.

    Parameters
    ----------
    cells : Series
        Cells of the column text.
    texts : collection of str
        The texts wanted, as `messages.text_of` makes them.

    Returns
    -------
    dict of str to list of dict
        Text -> messages with `role` and `content`, for cells that hold messages.
    """
    found = {}
    for cell in cells:
        messages = _messages(cell)
        if messages and (text := utf8(text_of(messages)).decode()) in texts:
            found[text] = messages
    return found


def _taken(intake: Intake, path: str) -> Iterator[tuple[pd.DataFrame, pd.Series]]:
    for batch in read_batches(path):
        good, _ = intake.take(batch)
        if len(good):
            yield good, batch.frame["text"]


def _sizes(rows: pd.DataFrame) -> pd.DataFrame:
    first = first_attempts(rows)
    columns = ["trace_id", "step_id", "tier", "model", "effort", "quality"]
    sizes = first[columns].assign(
        role=first["role"].fillna(""),
        text_bytes=_bytes(first["text"]),
        answer_bytes=_bytes(first["output_text"]),
    )
    asked = first["input_tokens"].fillna(first["context_tokens"])
    sizes["input_tokens"] = asked.to_numpy(dtype=np.float64, na_value=np.nan)
    answered = first["output_tokens"]
    sizes["output_tokens"] = answered.to_numpy(dtype=np.float64, na_value=np.nan)
    return sizes


def _bytes(cells: pd.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([len(utf8(c)) if isinstance(c, str) else np.nan for c in cells], np.float64)


def _messages(cell: Any) -> list[dict[str, Any]] | None:
    """Read a cell that holds messages (a list, JSON of one, or an object with one) or nothing."""
    if isinstance(cell, str):
        if not (cell.startswith("[") and '"role"' in cell):
            return None
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            return None  # a text that merely looks like messages
    if isinstance(cell, dict):
        cell = cell.get("messages")
    if isinstance(cell, np.ndarray):
        cell = cell.tolist()
    if not isinstance(cell, list) or not cell:
        return None
    if not all(isinstance(message, dict) and "role" in message for message in cell):
        return None
    plain: list[dict[str, Any]] = json.loads(json.dumps(cell, default=_plain))
    return [{k: v for k, v in one.items() if v is not None or k == "content"} for one in plain]


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
