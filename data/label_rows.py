"""Labels as rows of the trace table, beside the rows of the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from tierwise.data.clean import clean
from tierwise.data.errors import BadInput
from tierwise.data.files import replacing
from tierwise.data.label_file import Plan
from tierwise.data.label_steps import Source, chats, first_attempts, read_rows
from tierwise.data.schema import ARROW, COLUMNS, PANDAS, empty_columns, to_arrow

Place = tuple[str, str, str]
"""trace_id, step_id and tier."""

_JUDGED = "judge"
_KEPT = (
    *("trace_id", "step_id", "step_index", "attempt", "group", "tenant"),
    *tuple(COLUMNS)[list(COLUMNS).index("text") : list(COLUMNS).index("tier")],
)
"""Who the step is and what may be looked at before the call. A replay has no propensity: the log's
policy did not choose it."""


@dataclass(frozen=True)
class Labels:
    """What came back: answers by place as `label_calls` gives them, and judged qualities."""

    answers: Mapping[Place, Mapping[str, Any]]
    verdicts: Mapping[Place, float]

    def graded(self, place: Place) -> bool:
        """Tell whether an answer has a quality, from a judge or from who answered."""
        known = self.answers.get(place, {}).get("quality") is not None
        return known or place in self.verdicts


class Logged:
    """The log's rows of the planned steps."""

    def __init__(self, rows: pd.DataFrame, messages: Mapping[str, list[dict[str, Any]]]) -> None:
        self.rows = rows.drop_duplicates(["trace_id", "step_id"])
        steps = zip(self.rows["trace_id"], self.rows["step_id"], strict=True)
        self._step = {step: place for place, step in enumerate(steps)}
        places = zip(rows["trace_id"], rows["step_id"], rows["tier"], strict=True)
        self._said = dict(zip(places, rows["output_text"], strict=True))
        self._messages = messages

    def position(self, trace_id: str, step_id: str) -> int:
        """Return the place of a step in `rows`.

        Raises
        ------
        BadInput
            Where the log has no such step.
        """
        place = self._step.get((trace_id, step_id))
        if place is None:
            raise BadInput(
                f"the plan names step {step_id} of trace {trace_id}, which the log does not have",
                "the log that the plan was made of", "name that log, or plan again",
            )  # fmt: skip
        return place

    def request(self, trace_id: str, step_id: str, max_tokens: int) -> dict[str, Any]:
        """Return what is asked of any tier."""
        row = self.rows.iloc[self.position(trace_id, step_id)]
        text = str(row["text"])
        role = row["role"] if isinstance(row["role"], str) else None
        messages = self._messages.get(text) or [{"role": "user", "content": text}]
        return {
            "trace_id": trace_id, "step_id": step_id, "role": role, "text": text,
            "messages": messages, "max_tokens": max_tokens,
        }  # fmt: skip

    def answer(self, trace_id: str, step_id: str, tier: str) -> str:
        """Return a logged answer.

        Raises
        ------
        BadInput
            Where the log has none of this tier.
        """
        said = self._said.get((trace_id, step_id, tier))
        if not isinstance(said, str):
            raise BadInput(
                f"the plan has the answer of {tier} to step {step_id} of trace {trace_id} judged, "
                "which the log does not have",
                "the log that the plan was made of", "name that log, or plan again",
            )  # fmt: skip
        return said


def load(plan: Plan, source: Source) -> Logged:
    """Read the rows of the planned traces, and the conversations behind their texts.

    Raises
    ------
    BadInput
        Where the log has tiers that the plan does not know.
    """
    wanted = {trace.trace_id for trace in plan.traces}
    parts, messages = [empty_columns(0)], {}
    for good, cells in read_rows(source):
        rows = first_attempts(good)
        rows = rows[rows["trace_id"].isin(wanted)]
        strange = sorted(set(rows["tier"]) - set(plan.tiers))
        if strange:
            raise BadInput(
                f"the tier {strange[0]!r} in {source.path}",
                f"the plan's tiers: {', '.join(plan.tiers)}",
                "give the log and the --catalogue that the plan was made with",
            )
        if len(rows):
            parts.append(rows)
            messages.update(chats(cells, set(rows["text"])))
    return Logged(pd.concat(parts, ignore_index=True), messages)


def write_tables(out: Path, plan: Plan, source: Source, logged: Logged, labels: Labels) -> None:
    """Write labels.parquet, joined.parquet and inclusion.parquet, each whole or not at all.

    labels.parquet has the replays. joined.parquet has the rows of the log, those judged now with
    their quality, and the replays: it is what ingest needs and nothing else.
    """
    replays = to_arrow(replay_rows(plan, logged, labels), ARROW)
    with replacing(out / "labels.parquet") as part:
        pyarrow.parquet.write_table(replays, part, compression="zstd")
    judged = {place: q for place, q in labels.verdicts.items() if place not in labels.answers}
    with (
        replacing(out / "joined.parquet") as part,
        pyarrow.parquet.ParquetWriter(part, ARROW, compression="zstd") as writer,
    ):
        for good, _ in read_rows(source):
            writer.write_table(to_arrow(_with_verdicts(good, judged), ARROW))
        if len(replays):
            writer.write_table(replays)
    inclusion = pyarrow.table(
        {
            "trace_id": pyarrow.array(
                [trace.trace_id for trace in plan.traces], pyarrow.large_string()
            ),
            "probability": pyarrow.array([trace.probability for trace in plan.traces], "float64"),
        }
    )
    with replacing(out / "inclusion.parquet") as part:
        pyarrow.parquet.write_table(inclusion, part)


def replay_rows(plan: Plan, logged: Logged, labels: Labels) -> pd.DataFrame:
    """Give the replays as rows of the trace table, in the order of the plan.

    Parameters
    ----------
    plan : Plan
        For the model and effort of each tier.
    logged : Logged
        Rows of the steps.
    labels : Labels
        Answers, and their judged quality.

    Returns
    -------
    DataFrame, (n_answers, all columns of the table)
        feedback_source `replay` (or what the callable said), attempt 0, no propensity.
    """
    if not labels.answers:
        return empty_columns(0)
    places = list(labels.answers)
    positions = [logged.position(trace, step) for trace, step, _ in places]
    kept = logged.rows.iloc[positions].reset_index(drop=True)[list(_KEPT)]
    told = pd.DataFrame(
        [_outcome(plan, place, labels) for place in places], dtype=object, index=kept.index
    )
    table, reasons = clean(pd.concat([kept, told], axis=1))
    if reasons.notna().any():  # calls check what they hand on: this would be a fault of ours
        raise ValueError(f"an answer became a bad row: {reasons.dropna().iloc[0]}")
    return table


def _outcome(plan: Plan, place: Place, labels: Labels) -> dict[str, Any]:
    found, arm = labels.answers[place], plan.arm(place[2])
    quality, source = found.get("quality"), found.get("quality_source")
    if quality is None and place in labels.verdicts:
        quality, source = labels.verdicts[place], _JUDGED
    same = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "cost_usd")
    return {
        "tier": arm.name, "model": arm.model or None, "effort": arm.effort,
        "feedback_source": found.get("feedback_source", "replay"),
        "output_text": found["text"], "latency_s": found["latency_s"],
        "valid": found.get("valid"), "quality": quality, "quality_source": source,
        **{name: found.get(name) for name in same},
    }  # fmt: skip


def _with_verdicts(rows: pd.DataFrame, judged: Mapping[Place, float]) -> pd.DataFrame:
    if not judged:
        return rows
    places = list(zip(rows["trace_id"], rows["step_id"], rows["tier"], strict=True))
    first = rows.index.isin(first_attempts(rows).index)
    new = pd.Series(
        [judged.get(place) if one else None for place, one in zip(places, first, strict=True)],
        index=rows.index,
        dtype="float64",
    )
    sources = rows["quality_source"].mask(new.notna(), _JUDGED).astype(PANDAS["text"])
    return rows.assign(quality=new.fillna(rows["quality"]), quality_source=sources)
