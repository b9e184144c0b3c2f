"""What LiteLLM says of a finished call -> a row of the trace table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tierwise.serve.decision import Decision
from tierwise.serve.litellm_request import Step
from tierwise.serve.outcomes import size_of


@dataclass
class Open:
    """A decided step whose call goes on; `attempts` counts the calls that ended so far.

    Its messages are a text, as the router looked at them, or "".
    """

    step: Step
    decision: Decision
    attempts: int = 0

    @property
    def size(self) -> int:
        """Roughly how many bytes it takes."""
        return size_of(self.step.messages, self.step.context)


def outcome(one: Open, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of one call, `attempts` calls of the step having ended before.

    The tier is the one whose model answered, which LiteLLM's fallbacks may have changed. Quality
    stays unknown: it is for whoever reads the answer to say. So it is for a call that failed: an
    outage says nothing about how well a model answers; the column `error` names what happened.

    Parameters
    ----------
    one : Open
        The step.
    payload : mapping
        LiteLLM's standard logging payload.
    """
    failed = payload.get("status") != "success"
    usage = {} if failed else tokens(payload)
    row = one.decision.record(
        text=one.step.messages,
        role=one.step.role,
        context=one.step.context,
        attempt=one.attempts,
        tier=payload.get("model_group"),
        ts=payload.get("startTime"),
        # LiteLLM says 0 for a price it does not know; the catalogue prices the tokens then
        cost_usd=None if failed else payload.get("response_cost") or None,
        latency_s=None if failed else payload.get("response_time"),
        model=payload.get("model"),
        **one.step.whose,
        **usage,
    )
    information = payload.get("error_information") or {}
    row["error"] = str(information.get("error_class") or "unknown") if failed else None
    return row


def tokens(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the token counts of a payload, by column; None where LiteLLM knows none."""
    usage = (payload.get("metadata") or {}).get("usage_object") or {}
    asked = usage.get("prompt_tokens_details") or {}
    said = usage.get("completion_tokens_details") or {}
    return {
        "input_tokens": payload.get("prompt_tokens"),
        "output_tokens": payload.get("completion_tokens"),
        "cached_tokens": asked.get("cached_tokens"),
        "reasoning_tokens": said.get("reasoning_tokens"),
    }
