"""What the sidecar takes and gives: the only definition of its JSON, checked and in OpenAPI."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from tierwise.serve.router import Router

LONGEST_BATCH = 256
_RESERVED = {
    name
    for name, parameter in inspect.signature(Router.decide).parameters.items()
    if parameter.kind is not inspect.Parameter.VAR_KEYWORD
}
"""Arguments of `Router.decide` with a place of their own: no columns of a context."""


def _whole(value: Any) -> Any:
    """Take 7.0 for 7: JSON has one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=0, lt=2**53)]
Value = Annotated[str, StringConstraints(max_length=1_024)] | bool | int | Number | None


def _only(given: str, other: str) -> dict[str, Any]:
    """Say in a schema that one of two is given, and the other left out or null."""
    wanted = {given: {"not": {"type": "null"}}, other: {"type": "null"}}
    return {"required": [given], "properties": wanted}


def _free_names(schema: dict[str, Any]) -> None:
    """Say in a schema which names belong beside it."""
    schema["propertyNames"] |= {"not": {"enum": sorted(_RESERVED)}}


class _Strict(BaseModel):
    """No value is converted, no unknown name is passed over: a typing error must not be silent."""

    model_config = ConfigDict(strict=True, extra="forbid")


class StepRequest(_Strict):
    """A step to decide: a text or chat messages, and what is known about it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"text": "Extract the invoice date", "role": "worker"}],
            "oneOf": [_only("text", "messages"), _only("messages", "text")],
        }
    )

    text: str | None = Field(None, description="What the model would be asked.")
    messages: list[dict[str, Any]] | None = Field(
        None, description="Chat messages with role and content, in place of text."
    )
    role: Name | None = Field(None, description="planner, worker, critic, ...")
    allowed: list[Name] | None = Field(
        None, max_length=64, description="Tiers that may serve; all where left out."
    )
    floor: Number | None = Field(None, description="Quality floor; the certified one by default.")
    max_latency_s: Positive | None = Field(None, description="Slower tiers are left out.")
    tenant: Name | None = Field(None, description="Whose step it is, for rules and budgets.")
    data_class: Name | None = Field(None, description="Kind of data, for rules.")
    pin: Name | None = Field(None, description="The tier that has to serve.")
    context: dict[Name, Value] = Field(
        default_factory=dict,
        max_length=64,
        description="Other context columns of the policy.",
        json_schema_extra=_free_names,
    )
    trace_id: Name | None = Field(None, description="The task this step belongs to.")
    step_id: Name | None = None
    estimates: bool = Field(False, description="Whether to answer what is expected of each tier.")

    @field_validator("context")
    @classmethod
    def _no_argument(cls, context: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(_RESERVED & context.keys()):
            raise ValueError(f"{taken[0]} belongs beside context, or nowhere")
        return context

    @model_validator(mode="after")
    def _one_of_two(self) -> StepRequest:
        if (self.text is None) == (self.messages is None):
            raise ValueError("give either text or messages")
        return self

    def asked(self) -> str | list[dict[str, Any]]:
        """Return the text or the messages."""
        return self.text if self.text is not None else self.messages or []

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `Router.decide`."""
        given: dict[str, Any] = dict(self.context)
        for name in ("role", "allowed", "floor", "max_latency_s", "tenant", "data_class", "pin"):
            if (value := self.__dict__[name]) is not None:
                given[name] = value
        return given


class BatchRequest(_Strict):
    """Steps to decide one after another."""

    steps: list[StepRequest] = Field(min_length=1, max_length=LONGEST_BATCH)


class Expected(BaseModel):
    """What is expected of a tier; null is unknown."""

    quality: float | None
    cost_usd: float | None
    total_cost_usd: float | None
    latency_s: float | None


class DecisionAnswer(BaseModel):
    """The decision; null is unknown."""

    decision_id: str = Field(description="To be named with the outcome.")
    tier: str
    tier_index: int
    quality: float | None
    cost_usd: float | None
    total_cost_usd: float | None
    reason: str
    lead: float | None
    ood: float | None
    next_tier: str | None
    check: bool
    policy_version: str
    propensity: float | None
    ignored: list[str]
    rule: str
    propensities: list[float]
    explored: bool
    allowed: list[str] = Field(description="Tiers that may serve; retries keep to them.")
    estimates: dict[str, Expected] | None = Field(description="By tier; only where asked for.")


class BatchAnswer(BaseModel):
    """The decisions in the order of the steps."""

    decisions: list[DecisionAnswer]


class OutcomeRequest(_Strict):
    """What came of a decision; what is left out is unknown."""

    decision_id: Name
    attempt: Annotated[int, BeforeValidator(_whole), Field(ge=0, le=100)] = Field(
        0, description="0 is the first call."
    )
    tier: Name | None = Field(None, description="The tier that served; the decision's by default.")
    trace_id: Name | None = Field(None, description="Where the step was routed without one.")
    step_id: Name | None = None
    step_index: Count | None = None
    group: Name | None = None
    model: Name | None = None
    effort: Name | None = None
    output_text: str | None = None
    input_tokens: Count | None = None
    cached_tokens: Count | None = None
    output_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    cost_usd: Positive | None = None
    latency_s: Positive | None = None
    valid: bool | None = Field(None, description="What a deterministic check said.")
    quality: Annotated[float, Field(ge=0, le=1)] | None = None
    quality_source: Name | None = Field(None, description="validator, judge, user, ...")


class OutcomeAnswer(BaseModel):
    """Which decision an outcome was written for."""

    decision_id: str
    attempt: int


class State(BaseModel):
    """How the sidecar is."""

    status: str
    policy_version: str
    digest: str


class Problem(BaseModel):
    """Why a request was refused, in one line."""

    detail: str
