"""Checks of an answer: code that says pass, fail, or that it could not tell.

A validator is any callable from an output to a `Check`. These here need the standard library only;
`validators_json`, `validators_regex` and `validators_diff` need the extra `validators`. All of them
are deterministic, and none runs what it looks at. What they find is whether an answer is valid; a
valid answer may still be wrong, which is what `Check.quality` is for.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["pass", "fail", "unchecked"]
LARGEST = 1_000_000
"""Characters of an output that are looked at; a longer one is unchecked."""


@dataclass(frozen=True, slots=True)
class Check:
    """What a validator says of an output.

    Attributes
    ----------
    verdict : {"pass", "fail", "unchecked"}
        `unchecked` where it could not tell; never read as a pass.
    why : str
        In a few words, for whoever reads the attempts.
    cost_usd : float
        What the check itself cost; a model that judges is not free.
    quality : float or None
        How good the answer is, 0..1, where the check knows more than whether it is valid.
    quality_source : str
        Who says so: judge, reward, user, ...
    """

    verdict: Verdict
    why: str = ""
    cost_usd: float = 0.0
    quality: float | None = None
    quality_source: str = "judge"


Validator = Callable[[Any], Check]

PASS = Check("pass")


def fail(why: object) -> Check:
    """Return a failed check with the first 200 characters of its reason."""
    return Check("fail", " ".join(str(why).split())[:200])


def one_of(values: Collection[str]) -> Validator:
    """Check that the output, without spaces around it, is one of a closed set."""
    allowed = frozenset(values)

    def check(output: Any) -> Check:
        said = text_of_output(output).strip()
        return PASS if said in allowed else fail(f"{said[:50]!r} is none of {len(allowed)} values")

    return check


def number_between(low: float = -math.inf, high: float = math.inf) -> Validator:
    """Check that the output is a number of low..high; NaN never is."""

    def check(output: Any) -> Check:
        try:
            number = float(output)
        except (TypeError, ValueError, OverflowError):
            return fail("no number")
        return PASS if low <= number <= high else fail(f"{number} is outside {low}..{high}")

    return check


def has_fields(*names: str) -> Validator:
    """Check that the output is a JSON object in which none of these fields is missing or null."""

    def check(output: Any) -> Check:
        value, broken = json_of(output)
        if broken is not None:
            return broken
        if not isinstance(value, Mapping):
            return fail("no JSON object")
        missing = [name for name in names if value.get(name) is None]
        return fail(f"without {', '.join(missing)}") if missing else PASS

    return check


def python_parses(output: Any) -> Check:
    """Check that the output is Python source; it is parsed and never run."""
    source = text_of_output(output)
    if len(source) > LARGEST:
        return Check("unchecked", f"{len(source)} characters")
    try:
        ast.parse(source)
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes
        return fail(error)
    return PASS


def holds(condition: Callable[[Any], bool], why: str) -> Validator:
    """Check a condition of one's own; a false one fails for the reason `why`."""

    def check(output: Any) -> Check:
        return PASS if condition(output) else fail(why)

    return check


def judged(ask: Callable[[Any], tuple[float, float]], pass_at: float = 0.5) -> Validator:
    """Let a model judge the output; put it last, since a check in code is cheaper.

    Parameters
    ----------
    ask : callable
        From the output to its quality, 0..1 (NaN: it could not tell), and the cost of asking, USD.
    pass_at : float, optional
        Quality from which the output passes, 0..1.
    """

    def check(output: Any) -> Check:
        quality, cost_usd = ask(output)
        if not 0 <= quality <= 1:
            return Check("unchecked", f"the judge said {quality}", cost_usd)
        verdict: Verdict = "pass" if quality >= pass_at else "fail"
        return Check(verdict, f"judged {quality:.2f}", cost_usd, quality)

    return check


def text_of_output(output: Any) -> str:
    """Return an output as text: bytes as UTF-8, what is no text as JSON."""
    if isinstance(output, str):
        return output
    if isinstance(output, bytes):
        return output.decode("utf-8", "replace")
    return json.dumps(output, ensure_ascii=False, default=str)


def json_of(output: Any) -> tuple[Any, Check | None]:
    """Read JSON from a text; what is no text is taken as read already.

    Returns
    -------
    value, broken
        The value and None, or None and the check that says why there is none.
    """
    if not isinstance(output, str | bytes):
        return output, None
    if len(output) > LARGEST:
        return None, Check("unchecked", f"{len(output)} characters")
    try:
        return json.loads(output, parse_constant=_no_number), None
    except (ValueError, RecursionError) as error:  # RecursionError: a million brackets
        return None, fail(f"no JSON: {error}")


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no JSON")  # Python would read NaN and Infinity
