"""What the sidecar's endpoints do: from a request's bytes to an answer's, without any HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from tierwise.data.messages import text_of
from tierwise.serve import telemetry
from tierwise.serve.decision import Decision
from tierwise.serve.http_answers import Refused, decided, encoded, estimates_of, parsed
from tierwise.serve.http_limits import Bucket
from tierwise.serve.http_log import LogLines
from tierwise.serve.http_models import BatchRequest, OutcomeRequest, StepRequest
from tierwise.serve.metrics import Metrics
from tierwise.serve.outcomes import Memory, OutcomeFile, Remembered
from tierwise.serve.reload import ReloadingRouter
from tierwise.serve.router import Router

_TURN = 16  # steps of a batch decided before others get their turn
_NOT_ROW = {"decision_id", "trace_id", "step_id", "attempt", "tier"}

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Settings:
    """How a sidecar is run.

    Attributes
    ----------
    keys : tuple of bytes
        SHA-256 of the API keys; empty asks for none.
    max_body : int
        Bytes of a request's body.
    rate : float or None
        Steps a second of one key; None is no limit.
    outcomes : Path or None
        Where outcomes go, with the text of their steps; None keeps neither.
    log_decisions, log_text : bool
        Whether each decision is a line of the log, and whether with its text.
    """

    keys: tuple[bytes, ...] = ()
    max_body: int = 1024 * 1024
    rate: float | None = None
    outcomes: Path | None = None
    log_decisions: bool = True
    log_text: bool = False


class Service:
    """Decides, remembers what was decided, and writes what came of it.

    It lives on one event loop: nothing here is called from two threads.

    Parameters
    ----------
    router : Router or ReloadingRouter
    settings : Settings
    log : LogLines
        What refusals and, where asked for, decisions are told to.

    Attributes
    ----------
    draining : bool
        Whether it is about to stop: it still answers, but asks to be called no more.
    metrics : Metrics
    """

    def __init__(self, router: Router | ReloadingRouter, settings: Settings, log: LogLines) -> None:
        self.router, self.settings, self.log = router, settings, log
        self.metrics = Metrics(router, log)
        self.draining = False
        self._tracer = telemetry.tracer()
        self._memory = Memory[Remembered]()
        self._file = None if settings.outcomes is None else OutcomeFile(settings.outcomes)

    def route(self, body: bytes, headers: Headers) -> bytes:
        """Decide one step.

        Raises
        ------
        Refused
            422 where the body is not a `StepRequest`, or its pin is no tier of the policy.
        """
        step = parsed(StepRequest, body)
        self._check_pin(step, "pin")
        return encoded(self._decide(step, headers))

    async def batch(self, body: bytes, headers: Headers, bucket: Bucket | None) -> bytes:
        """Decide steps in their order, leaving others their turn.

        Raises
        ------
        Refused
            422 where the body is not a `BatchRequest`, or a pin is no tier of the policy.
        """
        steps = parsed(BatchRequest, body).steps
        for place, step in enumerate(steps):
            self._check_pin(step, f"steps.{place}.pin")
        if bucket is not None:
            bucket.charge(len(steps) - 1)
        answers = []
        for start in range(0, len(steps), _TURN):
            answers += [self._decide(step, headers) for step in steps[start : start + _TURN]]
            await asyncio.sleep(0)
        return encoded({"decisions": answers})

    def outcome(self, body: bytes) -> bytes:
        """Write what came of a decision as one row of the trace table.

        Raises
        ------
        Refused
            422 where the body is not an `OutcomeRequest`, 404 where the decision is not known, 409
            where outcomes are not kept or this one is written already, 507 where the disk fails.
        """
        said = parsed(OutcomeRequest, body)
        if self._file is None:
            raise Refused(409, "outcomes are not kept here; start with --outcomes FILE")
        made = self._memory.get(said.decision_id)
        if made is None:
            raise Refused(404, "no such decision, or too long ago")
        if said.attempt in made.attempts:
            raise Refused(409, f"the outcome of attempt {said.attempt} is written already")
        try:
            self._file.append(encoded(_row(made, said)))
        except OSError as error:
            self.log.line("outcome_lost", error=error.strerror)
            raise Refused(507, f"not written: {error.strerror}") from None
        made.attempts.add(said.attempt)
        self.metrics.outcomes.inc()
        return encoded({"decision_id": said.decision_id, "attempt": said.attempt})

    def state(self) -> tuple[int, bytes]:
        """Return status and body for whoever asks whether to send requests here."""
        status = "draining" if self.draining else "ready"
        answer = {
            "status": status,
            "policy_version": self.router.manifest.policy_version,
            "digest": self.router.digest,
        }
        return 503 if self.draining else 200, encoded(answer)

    def close(self) -> None:
        """Close the file of outcomes."""
        if self._file is not None:
            self._file.close()

    def _check_pin(self, step: StepRequest, where: str) -> None:
        """Refuse a pin that is no tier: `Router.decide` would have to serve another one."""
        if step.pin is not None and step.pin not in (tiers := self.router.manifest.tier_names):
            raise Refused(
                422, f"{where}: no tier of this policy, which has {', '.join(tiers)}"[:300]
            )

    def _decide(self, step: StepRequest, headers: Headers) -> dict[str, Any]:
        asked, arguments = step.asked(), step.arguments()
        began_ns, began = time.time_ns(), time.perf_counter()
        decision = self.router.decide(asked, **arguments)
        seconds = time.perf_counter() - began
        decision_id = token_hex(12)
        self.metrics.decided(decision, seconds)
        if self._tracer is not None:
            telemetry.add_span(
                self._tracer, decision, began_ns, headers=headers, decision_id=decision_id,
                role=step.role, trace_id=step.trace_id,
            )  # fmt: skip
        if self.settings.log_decisions or self.settings.log_text:
            self._tell(decision_id, decision, step, seconds)
        if self._file is not None:
            text, ts = text_of(asked), began_ns / 1e9
            self._memory.add(
                decision_id,
                Remembered(
                    decision,
                    text,
                    step.role,
                    step.context,
                    step.tenant,
                    step.trace_id,
                    step.step_id,
                    ts,
                ),
            )
        estimates = estimates_of(decision) if step.estimates else None
        return decided(decision, decision_id, estimates)

    def _tell(
        self, decision_id: str, decision: Decision, step: StepRequest, seconds: float
    ) -> None:
        text = {"text": text_of(step.asked())} if self.settings.log_text else {}
        self.log.line(
            "decision",
            decision_id=decision_id,
            tier=decision.tier,
            reason=decision.reason,
            rule=decision.rule,
            policy_version=decision.policy_version,
            role=step.role,
            tenant=step.tenant,
            trace_id=step.trace_id,
            ms=round(seconds * 1e3, 3),
            **text,
        )


def _row(made: Remembered, said: OutcomeRequest) -> dict[str, Any]:
    known: dict[str, Any] = said.model_dump(exclude=_NOT_ROW, exclude_none=True)
    return made.decision.record(
        trace_id=said.trace_id or made.trace_id or said.decision_id,
        step_id=said.step_id or made.step_id or said.decision_id,
        text=made.text,
        role=made.role,
        context=made.context,
        tenant=made.tenant,
        ts=made.ts,
        attempt=said.attempt,
        tier=said.tier,
        **known,
    )
