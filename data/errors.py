"""The one error that a person is meant to read: what was found, what was expected, what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable


class BadInput(Exception):
    """Input or usage that the program refuses; the command prints one line and exits with 2.

    Parameters
    ----------
    found : str
        What was found, with the place (file, row, column).
    expected : str
        What would have been accepted.
    todo : str
        What the person can do now.
    """

    def __init__(self, found: str, expected: str, todo: str) -> None:
        super().__init__(found, expected, todo)
        self.found, self.expected, self.todo = found, expected, todo

    def __str__(self) -> str:
        line = f"{self.found}; expected {self.expected}; {self.todo}"
        return " ".join(line.split())


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's `main`; a `BadInput` becomes one line on stderr and exit code 2."""
    try:
        main()
    except BadInput as error:
        print(f"tierwise: {error}", file=sys.stderr)
        raise SystemExit(2) from None
