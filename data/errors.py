"""The one error that a person is meant to read: what was found, what was expected, what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn


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


def unreadable(error: OSError) -> BadInput:
    """Say of a file that the system refused what a person can do: a folder in its place, no rights.

    Parameters
    ----------
    error : OSError
        What nobody nearer to the file had words for.

    Returns
    -------
    BadInput
        With the file's name, where the system told it.
    """
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return BadInput(
        f"{' -> '.join(names) or 'a file'}: {error.strerror or error}",
        "files that can be read and folders that can be written",
        "mend the path, its permissions or the disk",
    )


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's `main`; bad input becomes one line on stderr and exit code 2, Ctrl-C 130."""
    try:
        main()
    except BadInput as error:
        _refuse(error)
    except OSError as error:
        _refuse(unreadable(error))
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _refuse(error: BadInput) -> NoReturn:
    print(f"tierwise: {error}", file=sys.stderr)
    raise SystemExit(2) from None
