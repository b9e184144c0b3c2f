"""Other people's column names: which of them stand for which column of the trace table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from tierwise.data.errors import BadInput
from tierwise.data.schema import COLUMNS, REQUIRED

LIKELY: dict[str, tuple[str, ...]] = {
    "trace_id": (
        "trace", "traceid", "session", "session_id", "run_id", "conversation_id", "thread_id",
        "episode", "episode_id", "task_id", "request_id", "question_id", "sample_id", "id", "uid",
    ),
    "text": (
        "prompt", "input", "question", "messages", "query", "instruction", "input_text", "content",
        "user_message", "request", "inputs",
    ),
    "tier": (
        "model", "model_name", "model_id", "deployment", "engine", "llm", "routed_model",
        "model_used",
    ),
    "quality": (
        "score", "reward", "label", "rating", "correct", "success", "is_correct", "accuracy",
        "passed",
    ),
    "cost_usd": ("cost", "total_cost", "price", "usd"),
    "latency_s": ("latency", "duration", "duration_s", "latency_seconds", "elapsed"),
    "step_id": ("span_id", "call_id", "turn_id", "message_id"),
    "step_index": ("step", "turn", "turn_index"),
    "ts": ("timestamp", "time", "created_at", "start_time", "date"),
    "input_tokens": ("prompt_tokens", "tokens_in", "n_input_tokens"),
    "output_tokens": ("completion_tokens", "tokens_out", "n_output_tokens"),
    "output_text": ("output", "response", "completion", "answer"),
}  # fmt: skip
"""Names often met, the likeliest first. They are proposed, never taken without being asked."""


def parse_mapping(text: str) -> dict[str, str]:
    """Read `text=prompt,tier=model`: column of the trace table = column of the source.

    Nothing behind the sign, as in `workload=`, leaves the source's column of that name out.

    Raises
    ------
    BadInput
        For a pair without a sign or a column that the table does not have.
    """
    mapping: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        column, sign, source = (part.strip() for part in pair.partition("="))
        if not sign:
            raise BadInput(f"{pair!r} in --map", "column=source", "write --map text=prompt")
        mapping[column] = source
    check_mapping(mapping)
    return mapping


def check_mapping(mapping: Mapping[str, str]) -> None:
    """Refuse a mapping to a column that the trace table does not have."""
    for column in mapping:
        if column not in COLUMNS:
            raise BadInput(
                f"--map {column}=... names no column of the trace table",
                f"one of {', '.join(COLUMNS)}",
                "write the table's column first: --map text=prompt",
            )


def check_source(columns: Sequence[str] | pd.Index, mapping: Mapping[str, str], file: str) -> None:
    """Refuse a file whose columns cannot be a trace table.

    Raises
    ------
    BadInput
        Where a mapped or a required column is not there (likely ones are proposed), or where two
        columns have one name.
    """
    names = [str(name) for name in columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"two columns {twice!r} in {file}", "one of a name", "rename one of them")
    missing = [source for source in mapping.values() if source and source not in names]
    if missing:
        raise BadInput(
            f"no column {missing[0]!r} in {file}",
            f"one of its columns: {listing(names)}",
            "mend --map",
        )
    absent = [name for name in REQUIRED if not mapping.get(name, name if name in names else "")]
    if absent:
        raise _absent(absent, names, file, mapping)


def rename(frame: pd.DataFrame, mapping: Mapping[str, str]) -> pd.DataFrame:
    """Give the source's columns the names of the trace table.

    Returns
    -------
    DataFrame
        Columns of the trace table only; one source column may stand for several of them, and what
        this batch lacks is absent.
    """
    source_of = {name: name for name in COLUMNS} | dict(mapping)
    chosen = {name: frame[source] for name, source in source_of.items() if source in frame}
    return pd.DataFrame(chosen, index=frame.index)


def left_out(columns: Sequence[str] | pd.Index, mapping: Mapping[str, str]) -> set[str]:
    """Name the source's columns that go nowhere."""
    used = set(mapping.values()) | {name for name in COLUMNS if name not in mapping}
    return {str(column) for column in columns} - used


def propose(column: str, columns: Sequence[str]) -> str | None:
    """Name the column of the source that most likely stands for `column`; None if none does."""
    lower = {name.lower(): name for name in columns}
    return next((lower[name] for name in LIKELY.get(column, ()) if name in lower), None)


def listing(names: Sequence[str]) -> str:
    """Name columns, thirty at most."""
    return ", ".join(names[:30]) + (f" and {len(names) - 30} more" if len(names) > 30 else "")


def _absent(
    absent: list[str], columns: list[str], place: str, given: Mapping[str, str]
) -> BadInput:
    found = f"no column {' or '.join(absent)} in {place} (it has {listing(columns)})"
    wanted = [name for name in (*absent, "quality") if name not in columns and name not in given]
    pairs = [f"{name}={source}" for name, source in given.items()]
    pairs += [f"{name}={source}" for name in wanted if (source := propose(name, columns))]
    known = all(propose(name, columns) for name in absent)
    sample = ",".join(pairs) if known else ",".join([*pairs, *_blanks(absent, columns)])
    todo = f"name the columns: --map {sample}"
    return BadInput(found, f"the columns {', '.join(REQUIRED)}", todo)


def _blanks(absent: list[str], columns: list[str]) -> list[str]:
    return [f"{name}=<its column>" for name in absent if not propose(name, columns)]
