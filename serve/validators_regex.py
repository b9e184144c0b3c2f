"""Check of an output against a regular expression, within a deadline."""

from __future__ import annotations

from typing import Any

from tierwise.data.errors import BadInput
from tierwise.serve.validators import LARGEST, PASS, Check, Validator, fail, text_of_output


def matches(pattern: str, timeout_s: float = 0.5) -> Validator:
    """Check that the whole output matches a pattern.

    The library `regex` is used, and not `re`: a search of `re` that explodes can be neither stopped
    nor waited for in another thread, since it holds the interpreter's lock.

    Parameters
    ----------
    pattern : str
        Syntax of Python's `re`; the library `regex` knows some more.
    timeout_s : float, optional
        After this the output is unchecked.

    Raises
    ------
    BadInput
        Where the pattern is none, or regex is not installed.
    """
    try:
        import regex
    except ImportError:
        raise BadInput(
            "no regex", "it for checks with a deadline", "pip install 'tierwise[validators]'"
        ) from None
    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        raise BadInput(f"{pattern!r} is no pattern ({error})"[:200], "one", "mend it") from None

    def check(output: Any) -> Check:
        text = text_of_output(output)
        if len(text) > LARGEST:
            return Check("unchecked", f"{len(text)} characters")
        try:
            found = compiled.fullmatch(text, timeout=timeout_s, concurrent=True)
        except TimeoutError:
            return Check("unchecked", f"no match found or excluded in {timeout_s} s")
        return PASS if found else fail(f"no match of {pattern!r}")

    return check
