"""One try of a call to a function of the user's, and what is common to all calls."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from tierwise.data.errors import BadInput
from tierwise.data.label_price import Arm
from tierwise.data.label_work import Outcome

Function = Callable[[Mapping[str, Any]], Any]

_COUNTS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")


def function(name: str) -> Function:
    """Import a function by `module:function`, from the current folder too.

    Raises
    ------
    BadInput
        Where there is none of that name.
    """
    module, sign, attribute = name.partition(":")
    if not (module and sign and attribute):
        raise BadInput(f"the callable {name!r}", "module:function", "name both")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise BadInput(
            f"{name} cannot be imported ({error})", "a function of an importable module",
            "mend the name, or run in its folder",
        ) from None  # fmt: skip
    except Exception as error:  # whatever a person's module raises while it is imported
        raise BadInput(
            f"{module} fails while it is imported ({type(error).__name__}: {error})",
            "a module that can be imported", f"python -c 'import {module}' shows where",
        ) from error  # fmt: skip
    if not callable(found):
        raise BadInput(f"{name} is no function", "one that takes a dict", "name another")
    called: Function = found
    return called


def call(of: Function, request: Mapping[str, Any], arm: Arm) -> Outcome:
    """Ask a function once.

    Parameters
    ----------
    of : callable
        Takes the request; gives the answer's text, or a mapping with `text` and any of the token
        counts, cost_usd, latency_s, quality, quality_source, valid and feedback_source.
    request : mapping
        trace_id, step_id, role, text, messages, tier, model, effort, max_tokens.
    arm : Arm
        Prices the tokens where the function gives no cost.
    """
    begin = time.monotonic()
    try:
        answer = of(request)
    except Exception as error:  # whatever a user's function raises is one failed call
        return Outcome(None, f"the callable raised {type(error).__name__}", None)
    waited = time.monotonic() - begin
    if isinstance(answer, str):
        answer = {"text": answer}
    if not isinstance(answer, Mapping) or not isinstance(answer.get("text"), str):
        return Outcome(None, "the callable gave no text", None)
    result = {name: token_count(answer.get(name)) for name in _COUNTS}
    try:
        result |= _told(answer)
    except (TypeError, ValueError) as error:
        return Outcome(None, f"the callable gave a wrong {error}", None)
    given = {"text": answer["text"], "cut": False, **result}
    given["latency_s"] = waited if given["latency_s"] is None else given["latency_s"]
    given["cost_usd"] = cost_of(given, arm) if given["cost_usd"] is None else given["cost_usd"]
    return Outcome(given, paid_usd=given["cost_usd"])


def number(value: Any, most: float = float("inf")) -> float | None:
    """Read a number of 0 to `most`, None where it is unknown.

    Raises
    ------
    ValueError
        For anything else.
    """
    if value is None:
        return None
    found = float(value)
    if isinstance(value, bool) or not 0 <= found <= most or found == float("inf"):
        raise ValueError(value)
    return found


def _told(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Check what a function says beside the text; the error is the field's name."""
    told: dict[str, Any] = {}
    for name, most in (("cost_usd", 1e6), ("latency_s", 1e6), ("quality", 1.0)):
        try:
            told[name] = number(answer.get(name), most)
        except (TypeError, ValueError):
            raise ValueError(name) from None
    if answer.get("valid") not in (None, True, False):
        raise ValueError("valid")
    if answer.get("feedback_source", "replay") not in ("replay", "shadow"):
        raise ValueError("feedback_source")
    source = answer.get("quality_source")
    told |= {
        "valid": answer.get("valid"),
        "quality_source": source if source is None else str(source),
    }
    return told | {"feedback_source": answer.get("feedback_source", "replay")}


def token_count(value: Any) -> int | None:
    """Read a number of tokens; None where it is none."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < 2**53 else None


def cost_of(counts: Mapping[str, Any], arm: Arm) -> float | None:
    """Price counted tokens, USD; None where they are not known."""
    asked, answered = counts["input_tokens"], counts["output_tokens"]
    if arm.per_call and not (arm.price_in or arm.price_out):
        return arm.per_call
    if asked is None or answered is None:
        return None
    return arm.cost(asked, answered, min(counts["cached_tokens"] or 0, asked))
