"""From the bytes of a request to a checked value, from a value to the bytes of an answer."""

from __future__ import annotations

import json
from operator import attrgetter
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from tierwise.data.messages import utf8
from tierwise.serve.decision import Decision
from tierwise.serve.http_models import DecisionAnswer

_LONGEST_LINE = 300
_OWN = ("decision_id", "estimates")
_FIELDS = tuple(name for name in DecisionAnswer.model_fields if name not in _OWN)
_values = attrgetter(*_FIELDS)

Model = TypeVar("Model", bound=BaseModel)


class Refused(Exception):
    """A request that is not served.

    Parameters
    ----------
    status : int
        HTTP status, 400..599.
    detail : str
        Why, in one line without anything of the step's text.
    retry_s : int, optional
        When to try again.
    """

    def __init__(self, status: int, detail: str, retry_s: int | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_s = status, detail, retry_s

    def body(self) -> bytes:
        """Return the answer's bytes."""
        return to_json({"detail": self.detail})

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that only this refusal has."""
        found = []
        if self.status == 401:
            found.append((b"www-authenticate", b"Bearer"))
        if self.retry_s is not None:
            found.append((b"retry-after", str(self.retry_s).encode()))
        return found


def parsed(model: type[Model], body: bytes) -> Model:
    r"""Read and check a request's body.

    JSON may hold unpaired surrogates (`"\ud800"`), which UTF-8 has not; as everywhere they become
    U+FFFD. That takes a second reading, so it is tried only where the first one failed.

    Raises
    ------
    Refused
        422, naming the place and what is wrong with it, never the value.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        if b"\\u" in body and error.errors(include_input=False)[0]["type"] == "json_invalid":
            return _mended(model, body, error)
        raise _refusal(error) from None


def decided(
    decision: Decision, decision_id: str, estimates: dict[str, Any] | None
) -> dict[str, Any]:
    """Return a decision as `DecisionAnswer` describes it."""
    answer = dict(zip(_FIELDS, _values(decision), strict=True))
    answer["decision_id"], answer["estimates"] = decision_id, estimates
    return answer


def estimates_of(decision: Decision) -> dict[str, Any]:
    """Return what is expected of each tier, by its name; empty where the graph did not decide."""
    found = decision.estimates()
    if not found["quality"]:
        return {}
    return {
        tier: {name: row[place] for name, row in found.items()}
        for place, tier in enumerate(decision.tiers)
    }


def encoded(value: Any) -> bytes:
    """Return JSON in which a number that is not known is null."""
    return to_json(value, inf_nan_mode="null")


def _mended(model: type[Model], body: bytes, first: ValidationError) -> Model:
    try:
        return model.model_validate_json(utf8(json.dumps(json.loads(body), ensure_ascii=False)))
    except ValidationError as error:
        raise _refusal(error) from None
    except (ValueError, RecursionError):
        raise _refusal(first) from None


def _refusal(error: ValidationError) -> Refused:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    return Refused(422, " ".join(f"{where}: {first['msg']}".split())[:_LONGEST_LINE])
