"""Escalation: call the tier, check the answer, go one rung up where it failed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from tierwise.serve.decision import Decision
from tierwise.serve.escalate_outcome import Answer, Attempt, CallFailed, Outcome, Status, Step
from tierwise.serve.validators import Validator
from tierwise.serve.validators_run import Checked, run_validators

__all__ = ["Answer", "Attempt", "CallFailed", "Outcome", "run"]

NONE_ALLOWED = "none_allowed"


class Decides(Protocol):
    """A router, as far as escalation needs one."""

    def decide(self, step: Step, **context: Any) -> Decision:
        """Return which tier serves a step."""

    def charge(self, tenant: str | None, usd: float) -> None:
        """Charge a tenant's budget for a retry."""


def run(
    router: Decides,
    step: Step,
    call_tier: Callable[[str, Step], Answer],
    validators: Sequence[Validator] = (),
    *,
    replan: Callable[[Step, tuple[Attempt, ...]], Answer | None] | None = None,
    max_attempts: int | None = None,
    check_timeout_s: float = 5.0,
    **context: Any,
) -> Outcome:
    """Serve a step: decide, call, check, and go one rung up as long as that fails.

    The rungs are the dearer tiers of the decision's `allowed`: what a pin, an outage or the call
    excludes is excluded from retries too. An answer that could not be checked is taken, with the
    status `unchecked`: the next tier's could not be checked either. Each retry is charged to the
    tenant's budget, at its expected cost where the real one is unknown, and so is a new plan; a
    budget that they empty stops no retry, only later dearer choices.

    Parameters
    ----------
    router : Router
    step : str or list of dict
        As for `decide`.
    call_tier : callable
        From a tier's name and the step to an `Answer`. Whatever it raises is a failed attempt, of
        unknown cost unless it is `CallFailed`.
    validators : sequence of callables, optional
        From an output to a `Check`; run in this order up to the first that fails.
    replan : callable, optional
        Asked when the last rung has failed, with the step and its attempts; None is no answer.
    max_attempts : int, optional
        Calls at most, 1 or more; as many as there are rungs where left out.
    check_timeout_s : float, optional
        Deadline of each validator.
    **context
        Everything else that `decide` takes: role, allowed, tenant, ...

    Raises
    ------
    ValueError
        For a `max_attempts` below 1.
    TypeError
        Where `call_tier` returns no `Answer`.
    """
    if max_attempts is not None and max_attempts < 1:
        raise ValueError(f"max_attempts {max_attempts}, expected 1 or more")
    decision = router.decide(step, **context)
    rungs = _rungs(decision)[:max_attempts]
    attempts: list[Attempt] = []
    for tier in rungs:
        attempt = _attempt(tier, step, call_tier, validators, check_timeout_s)
        attempts.append(attempt)
        if len(attempts) > 1:
            router.charge(context.get("tenant"), _charged(attempt, decision))
        if not attempt.failed:
            break
    tried = tuple(attempts)
    if tried and not tried[-1].failed and tried[-1].answer is not None:
        status: Status = "passed" if tried[-1].checked.verdict == "pass" else "unchecked"
        return Outcome(status, tried[-1].answer.output, tried, decision, step=step, context=context)
    outcome = _given_up(step, tried, decision, replan, context)
    if outcome.replanned is not None:
        router.charge(context.get("tenant"), outcome.replanned.known_cost_usd)
    return outcome


def _rungs(decision: Decision) -> tuple[str, ...]:
    """Return the tiers to try in turn: the decision's, then what the ladder holds above it."""
    if decision.reason == NONE_ALLOWED:
        return ()
    if decision.next_tier is None:
        return (decision.tier,)
    first = max(decision.tiers.index(decision.next_tier), decision.tier_index + 1)
    return (decision.tier, *(t for t in decision.tiers[first:] if t in decision.allowed))


def _attempt(
    tier: str,
    step: Step,
    call_tier: Callable[[str, Step], Answer],
    validators: Sequence[Validator],
    timeout_s: float,
) -> Attempt:
    ts, begun = time.time(), time.monotonic()
    try:
        answer = call_tier(tier, step)
    except Exception as error:  # a provider may raise anything; the ladder goes on
        took = time.monotonic() - begun
        cost = error.cost_usd if isinstance(error, CallFailed) else math.nan
        why = f"{type(error).__name__}: {error}"[:200]
        return Attempt(tier, None, Checked(), cost, took, ts, why)
    took = time.monotonic() - begun
    if not isinstance(answer, Answer):
        raise TypeError(f"call_tier returned {type(answer).__name__}, expected Answer")
    checked = run_validators(answer.output, validators, timeout_s)
    cost = answer.known_cost_usd + checked.cost_usd
    latency = took if answer.latency_s is None else answer.latency_s
    return Attempt(tier, answer, checked, cost, latency, ts)


def _charged(attempt: Attempt, decision: Decision) -> float:
    if not math.isnan(attempt.cost_usd):
        return attempt.cost_usd
    expected = dict(zip(decision.tiers, decision.estimates()["cost_usd"], strict=False))
    return expected.get(attempt.tier, math.nan) + attempt.checked.cost_usd


def _given_up(
    step: Step,
    tried: tuple[Attempt, ...],
    decision: Decision,
    replan: Callable[[Step, tuple[Attempt, ...]], Answer | None] | None,
    context: Mapping[str, Any],
) -> Outcome:
    answer, error = None, ""
    if replan is not None:
        try:
            answer = replan(step, tried)
        except Exception as raised:  # the attempts are paid for: they must not be lost with it
            error = f"{type(raised).__name__}: {raised}"[:200]
    if answer is None:
        return Outcome("failed", None, tried, decision, None, error, step, context)
    return Outcome("replanned", answer.output, tried, decision, answer, error, step, context)
