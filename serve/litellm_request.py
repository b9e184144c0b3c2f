"""What a request to LiteLLM's proxy says about its step: text, role, pin, context, whose it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

ROLE_HEADER, PIN_HEADER, SESSION_HEADER = "x-agent-role", "x-tierwise-tier", "x-litellm-session-id"
LIMITS = ("floor", "max_latency_s")
WHOSE = ("trace_id", "step_id", "step_index", "group", "tenant")
_BUCKETS = ("metadata", "litellm_metadata")  # which of the two it is depends on the route


@dataclass(frozen=True)
class Step:
    """One request, as a policy and the log of outcomes see it.

    Attributes
    ----------
    messages : str or list
        What `Router.decide` reads.
    role, pin : str or None
        The step's role; the tier the caller insists on.
    context : dict
        Values by context column.
    limits : dict
        `floor` and `max_latency_s`, where the caller set one.
    whose : dict
        trace_id and step_id (always), step_index, group, tenant, where known.
    data_class : str or None
        What kind of data the text holds, for the rules people set.
    """

    messages: Any
    role: str | None = None
    pin: str | None = None
    context: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    whose: dict[str, Any] = field(default_factory=dict)
    data_class: str | None = None


def step_of(data: Mapping[str, Any], columns: Collection[str]) -> Step:
    """Read the body of a request as a hook of the proxy gets it.

    Headers win over the body's `metadata`: `x-agent-role`, `x-tierwise-tier` (the pin) and
    `x-litellm-session-id` (the trace) over `role`, `tier` and `trace_id`. The other metadata are
    values of context columns, limits, and whose step it is; what has no such name is left alone.

    Parameters
    ----------
    data : mapping
        The request.
    columns : collection of str
        Names of the policy's context columns.
    """
    headers = _mapping(_mapping(data.get("proxy_server_request")).get("headers"))
    metadata = asked_metadata(data)
    context = observed(data) | metadata
    whose = {name: metadata[name] for name in WHOSE if metadata.get(name) is not None}
    call = str(data.get("litellm_call_id") or "")
    whose["trace_id"] = str(headers.get(SESSION_HEADER) or whose.get("trace_id") or call)
    whose["step_id"] = str(whose.get("step_id") or call)  # all attempts are of one step
    return Step(
        messages_of(data),
        _text(headers.get(ROLE_HEADER)) or _text(metadata.get("role")),
        _text(headers.get(PIN_HEADER)) or _text(metadata.get("tier")),
        {name: context[name] for name in context if name in columns and name != "role"},
        {name: metadata[name] for name in LIMITS if metadata.get(name) is not None},
        whose,
        _text(metadata.get("data_class")),
    )


def asked_metadata(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `metadata` of the caller's body, without what the proxy adds to them."""
    for bucket in _BUCKETS:
        asked = _mapping(data.get(bucket)).get("requester_metadata")
        if isinstance(asked, Mapping):
            return dict(asked)
    return {}


def messages_of(data: Mapping[str, Any]) -> Any:
    """Return chat messages, with the system prompt that some routes keep apart, or a prompt."""
    given = next((data[name] for name in ("messages", "input", "prompt") if data.get(name)), "")
    system = data.get("system") or data.get("instructions")
    asked = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not system or not isinstance(asked, list):
        return given
    return [{"role": "system", "content": system}, *asked]


def observed(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the request itself shows of its context: tools, and a schema for the answer."""
    found: dict[str, Any] = {}
    tools, form = data.get("tools"), data.get("response_format")
    if isinstance(tools, list):
        found["n_tools"] = len(tools)
    if isinstance(form, Mapping):
        found["has_schema"] = form.get("type") == "json_schema"
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
