"""A decision and what came of it as a row of the trace table, for the next policy to learn from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tierwise.data.messages import text_of, utf8
from tierwise.serve.decision import Decision

BEFORE = (
    *("role", "task_type", "agent", "collaboration_mode", "depth", "n_agents"),
    *("input_complexity", "requires_judgment", "has_schema", "closed_set", "n_sources"),
    *("irreversible", "user_visible", "is_recovery", "is_synthesis", "context_tokens", "n_tools"),
    *("previous_tier", "previous_failed", "latency_tolerance_s", "workload"),
)
"""Columns that may be known before the call; `context` may hold these, other names are left out."""
COLUMNS = (
    *("trace_id", "step_id", "step_index", "attempt", "ts", "group", "tenant", "feedback_source"),
    "text",
    *BEFORE,
    *("tier", "model", "effort", "policy_version", "propensity", "propensities", "explored"),
    *("output_text", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"),
    *("cost_usd", "latency_s", "valid", "quality", "quality_source"),
)
"""The columns of a row, those of the trace table."""


def record(
    decision: Decision,
    *,
    trace_id: str,
    text: str | Sequence[Mapping[str, Any]],
    step_id: str | None = None,
    role: str | None = None,
    context: Mapping[str, Any] | None = None,
    tiers: Sequence[str] = (),
    attempt: int = 0,
    tier: str | None = None,
    ts: float | None = None,
    quality: float | None = None,
    quality_source: str | None = None,
    valid: bool | None = None,
    cost_usd: float | None = None,
    latency_s: float | None = None,
    **known: Any,
) -> dict[str, Any]:
    """Return one row of the trace table; every column is there, None is unknown.

    A first attempt carries the propensities of its decision. A later one exists because an earlier
    one failed: it is marked `retry` and has no propensity, as nothing was drawn for it. So has a
    first attempt that another tier served than the decision's, such as a gateway's own fallback.

    Parameters
    ----------
    decision : Decision
        What the router said.
    trace_id, step_id : str
        Whose step it is; a step_id left out is made from the text when rows are read.
    text : str or list of dict
        The step as it was given to `decide`. Give "" to keep it out: such a row counts in an
        audit, and nothing is learned from it.
    role, context
        As they were given to `decide`.
    tiers : sequence of n_tiers str, optional
        The policy's tiers, to name the propensities; without them only that of the served tier is
        kept.
    attempt : int
        0 for the first call of a step, then 1, 2, ...
    tier : str, optional
        The tier that served; the decision's where left out.
    ts : float, optional
        When, in seconds since 1970.
    quality, quality_source
        How good the answer was, 0..1, and who says so: validator, judge, user, ...
    valid : bool, optional
        What a deterministic check said. It is not quality: a valid answer may be wrong.
    cost_usd, latency_s : float, optional
        What the call cost and took.
    **known
        Other columns: step_index, group, tenant, model, effort, output_text, input_tokens,
        cached_tokens, output_tokens, reasoning_tokens.

    Raises
    ------
    TypeError
        For a name that is no column of the trace table.
    """
    settled = {*BEFORE, "feedback_source", "policy_version", "propensity", "propensities"}
    strange = [name for name in known if name not in COLUMNS or name in settled]
    if strange:
        raise TypeError(f"record() got an unexpected keyword argument {strange[0]!r}")
    before = {name: value for name, value in (context or {}).items() if name in BEFORE}
    if role is not None:
        before["role"] = role
    served = decision.tier if tier is None else tier
    as_decided = attempt == 0 and served == decision.tier
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= before | known
    row |= {
        "trace_id": trace_id,
        "step_id": step_id,
        "attempt": attempt,
        "ts": None if ts is None else datetime.fromtimestamp(ts, UTC).isoformat(),
        "feedback_source": "serve" if attempt == 0 else "retry",
        "text": utf8(text if isinstance(text, str) else text_of(text)).decode(),
        "tier": served,
        "policy_version": decision.policy_version,
        "explored": decision.explored and as_decided,
        "quality": quality,
        "quality_source": quality_source,
        "valid": valid,
        "cost_usd": cost_usd,
        "latency_s": latency_s,
    }
    if as_decided:
        row["propensity"] = decision.propensity
        row["propensities"] = _propensities(tiers, decision.propensities)
    return {name: _known(value) for name, value in row.items()}


def _propensities(tiers: Sequence[str], propensities: tuple[float, ...]) -> str | None:
    if not tiers or not propensities:
        return None
    return json.dumps(dict(zip(tiers, propensities, strict=True)), ensure_ascii=False)


def _known(value: Any) -> Any:
    """Turn NaN, infinities and numpy's scalars into what JSON and Parquet hold."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
