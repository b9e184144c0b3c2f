"""Running validators: in order, each within a deadline, whatever they do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any

from tierwise.serve.validators import Check, Validator, Verdict

MOST_HANGING = 32
"""With so many validators hanging no further one is started: a thread cannot be killed."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the validators together say of an output.

    Attributes
    ----------
    checks : tuple of Check
        In their order, up to the first that failed.
    """

    checks: tuple[Check, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Return fail if one failed, pass if all passed, else unchecked, as without validators."""
        said = [check.verdict for check in self.checks]
        if "fail" in said:
            return "fail"
        return "pass" if said and "unchecked" not in said else "unchecked"

    @property
    def valid(self) -> bool | None:
        """Say whether the checks in code passed; None where one could not tell or there is none.

        Checks that know a quality are not asked: a bad answer may be valid.
        """
        verdict = Checked(tuple(one for one in self.checks if one.quality is None)).verdict
        return None if verdict == "unchecked" else verdict == "pass"

    @property
    def quality(self) -> Check | None:
        """Return the check of lowest quality, None where none knows it."""
        known = [check for check in self.checks if check.quality is not None]
        return min(known, key=lambda check: check.quality or 0.0, default=None)

    @property
    def cost_usd(self) -> float:
        """What the checks cost, USD."""
        return math.fsum(check.cost_usd for check in self.checks)


class _Call(Thread):
    """One validator at work in a thread of its own."""

    lock = Lock()
    hanging = 0

    def __init__(self, output: Any, validator: Validator) -> None:
        super().__init__(name="tierwise-validator", daemon=True)
        self._output, self._validator = output, validator
        self._check: Check | None = None
        self._left = False

    def run(self) -> None:
        check = _called(self._output, self._validator)
        with _Call.lock:
            self._check = check
            if self._left:
                _Call.hanging -= 1

    def wait(self, timeout_s: float) -> Check:
        self.join(timeout_s)
        with _Call.lock:
            if self._check is not None:
                return self._check
            self._left = True
            _Call.hanging += 1
        return Check("unchecked", f"no answer in {timeout_s} s")


def run_validators(output: Any, validators: Sequence[Validator], timeout_s: float = 5.0) -> Checked:
    """Check an output; never raises and never waits longer than the deadlines together.

    A validator that raises, hangs or returns no `Check` leaves the output unchecked. One that hangs
    goes on in a thread of its own, which ends with the process; a search of `re` or other code that
    holds the interpreter's lock cannot be given a deadline at all.

    Parameters
    ----------
    output : object
        What a tier answered.
    validators : sequence of callables
        From an output to a `Check`; the cheap ones first, since those after a failed one are not
        asked.
    timeout_s : float, optional
        Deadline of each.
    """
    checks = []
    for validator in validators:
        check = _one(output, validator, timeout_s)
        checks.append(check)
        if check.verdict == "fail":
            break
    return Checked(tuple(checks))


def _one(output: Any, validator: Validator, timeout_s: float) -> Check:
    if _Call.hanging >= MOST_HANGING:
        return Check("unchecked", f"{MOST_HANGING} validators hang")
    call = _Call(output, validator)
    try:
        call.start()
    except RuntimeError as error:  # no thread is left to the process
        return Check("unchecked", str(error))
    return call.wait(timeout_s)


def _called(output: Any, validator: Validator) -> Check:
    try:
        check = validator(output)
    except BaseException as error:  # SystemExit too: it is the validator's, not the caller's
        return Check("unchecked", f"{type(error).__name__}: {error}"[:200])
    if not isinstance(check, Check):
        return Check("unchecked", f"the validator returned {type(check).__name__}")
    return check
