"""A step after all its attempts: what each gave, what it cost, and the rows it leaves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tierwise.serve.decision import Decision
from tierwise.serve.record import record
from tierwise.serve.validators_run import Checked

Step = str | Sequence[Mapping[str, Any]]
Status = Literal["passed", "unchecked", "failed", "replanned"]
_OF_ANSWER = ("model", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call of a tier gave; None is unknown.

    Attributes
    ----------
    output : object
        What the validators look at: text, or what was read from it.
    cost_usd, latency_s : float, optional
        Of this call. A latency left out is measured.
    model : str, optional
    input_tokens, cached_tokens, output_tokens, reasoning_tokens : int, optional
    """

    output: Any
    cost_usd: float | None = None
    latency_s: float | None = None
    model: str | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None

    @property
    def known_cost_usd(self) -> float:
        """Return the cost, NaN where it is unknown."""
        return math.nan if self.cost_usd is None else self.cost_usd


class CallFailed(Exception):
    """Raised by a call that gave no answer and still has a known cost, USD."""

    def __init__(self, why: str, cost_usd: float) -> None:
        super().__init__(why)
        self.cost_usd = cost_usd


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of one tier.

    Attributes
    ----------
    tier : str
    answer : Answer or None
        None where the call raised.
    checked : Checked
        What the validators said; nothing where there is no answer.
    cost_usd : float
        Of the call and its checks; NaN where the call's is unknown.
    latency_s : float
        Of the call.
    ts : float
        When it began, seconds since 1970.
    error : str
        What the call raised.
    """

    tier: str
    answer: Answer | None
    checked: Checked
    cost_usd: float
    latency_s: float
    ts: float
    error: str = ""

    @property
    def failed(self) -> bool:
        """Say whether there is no answer, or one that a check refused."""
        return self.answer is None or self.checked.verdict == "fail"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A step after all its attempts.

    Attributes
    ----------
    status : {"passed", "unchecked", "failed", "replanned"}
        `unchecked` where the answer taken could not be checked, for want of validators or since
        one broke.
    output : object
        The answer taken; None where the step failed. What failed a check is only in `attempts`.
    attempts : tuple of Attempt
        In their order; none where no tier was allowed.
    decision : Decision
        Which tier was to serve first, and why.
    replanned : Answer or None
        What `replan` gave.
    error : str
        What `replan` raised.
    """

    status: Status
    output: Any
    attempts: tuple[Attempt, ...]
    decision: Decision
    replanned: Answer | None = None
    error: str = ""
    step: Step = field(default="", repr=False)
    context: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def total_cost_usd(self) -> float:
        """Return the cost of all attempts, their checks and the new plan; NaN if one is unknown."""
        plan = 0.0 if self.replanned is None else self.replanned.known_cost_usd
        return math.fsum([*(attempt.cost_usd for attempt in self.attempts), plan])

    def rows(
        self, *, trace_id: str, step_id: str | None = None, outputs: bool = False, **known: Any
    ) -> list[dict[str, Any]]:
        """Return a row of the trace table for each attempt.

        Parameters
        ----------
        trace_id, step_id : str
            Whose step it is. Give a `step_id`, so that all attempts are seen to be of one step.
        outputs : bool, optional
            Whether `output_text` holds the answers that are texts.
        **known
            Other columns, the same for all attempts: group, step_index, effort, ...
        """
        return [
            self._row(number, outputs, {"trace_id": trace_id, "step_id": step_id, **known})
            for number in range(len(self.attempts))
        ]

    def _row(self, number: int, outputs: bool, known: dict[str, Any]) -> dict[str, Any]:
        attempt = self.attempts[number]
        before = dict(self.context)
        if number:
            before |= {"previous_tier": self.attempts[number - 1].tier, "previous_failed": True}
        quality = attempt.checked.quality
        if quality is not None:
            known |= {"quality": quality.quality, "quality_source": quality.quality_source}
        if attempt.answer is not None:
            known |= {name: getattr(attempt.answer, name) for name in _OF_ANSWER}
            if outputs and isinstance(attempt.answer.output, str):
                known["output_text"] = attempt.answer.output
        return record(
            self.decision,
            text=self.step,
            context=before,
            tenant=self.context.get("tenant"),
            tiers=self.decision.tiers,
            attempt=number,
            tier=attempt.tier,
            ts=attempt.ts,
            valid=attempt.checked.valid,
            cost_usd=attempt.cost_usd,
            latency_s=attempt.latency_s,
            **known,
        )
