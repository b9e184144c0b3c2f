"""One OpenTelemetry span a decision, where OpenTelemetry is installed and was set up.

The sidecar depends on its API only. An SDK with an exporter is set up from outside, for instance by
`opentelemetry-instrument tierwise serve POLICY`. The prompt is never an attribute.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tierwise.serve.decision import Decision

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

SPAN = "route"
# Of the generative AI conventions; they are not stable, so these are names of our own spelling
# out theirs. Operation names of model calls (chat, ...) are avoided: no model is called here.
OPERATION = "gen_ai.operation.name"
MODEL = "gen_ai.request.model"
AGENT = "gen_ai.agent.name"
CONVERSATION = "gen_ai.conversation.id"


def tracer() -> Tracer | None:
    """Return where spans go; None where nobody set OpenTelemetry up."""
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
        return None
    from opentelemetry import trace

    provider = trace.get_tracer_provider()
    unset = trace.ProxyTracerProvider, trace.NoOpTracerProvider
    return None if isinstance(provider, unset) else provider.get_tracer("tierwise")


def add_span(
    tracer: Tracer,
    decision: Decision,
    started_ns: int,
    *,
    headers: Sequence[tuple[bytes, bytes]],
    decision_id: str,
    role: str | None,
    trace_id: str | None,
) -> None:
    """Tell OpenTelemetry of a decision that was just made.

    Parameters
    ----------
    tracer : Tracer
    decision : Decision
    started_ns : int
        When it began, in nanoseconds since 1970.
    headers : sequence of (bytes, bytes)
        Of the request; its `traceparent` is the span's parent unless a span is open already.
    decision_id, role, trace_id
        As they are known to whoever asked.
    """
    from opentelemetry import propagate, trace

    parent = None  # the current one
    if not trace.get_current_span().get_span_context().is_valid:
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        parent = propagate.extract(carrier)
    span = tracer.start_span(SPAN, context=parent, start_time=started_ns)
    if span.is_recording():
        known = {
            OPERATION: SPAN,
            MODEL: decision.tier,
            AGENT: role,
            CONVERSATION: trace_id,
            "tierwise.decision_id": decision_id,
            "tierwise.tier": decision.tier,
            "tierwise.reason": decision.reason,
            "tierwise.rule": decision.rule or None,
            "tierwise.policy_version": decision.policy_version,
            "tierwise.propensity": decision.propensity,
            "tierwise.explored": decision.explored,
            "tierwise.quality": decision.quality,
            "tierwise.cost_usd": decision.cost_usd,
            "tierwise.next_tier": decision.next_tier,
            "tierwise.check": decision.check,
            "tierwise.ood": decision.ood,
        }
        for name, value in known.items():
            if value is not None and not (isinstance(value, float) and math.isnan(value)):
                span.set_attribute(name, value)
    span.end()
