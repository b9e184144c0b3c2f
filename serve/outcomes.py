"""What came of decisions, as rows of the trace table in a file of JSON lines."""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from tierwise.data.errors import BadInput
from tierwise.serve.decision import Decision

_OWNER_ONLY = 0o600  # rows hold what users wrote
_OVERHEAD = 2_000  # bytes of a decision beside its text and context


class Sized(Protocol):
    """What knows roughly how many bytes it takes."""

    @property
    def size(self) -> int:
        """Bytes, always the same."""


Kept = TypeVar("Kept", bound=Sized)


@dataclass(frozen=True)
class Remembered:
    """A decision and all that its row needs.

    Attributes
    ----------
    decision : Decision
    text : str
        What the router looked at, before the cut.
    role : str or None
    context : dict
    tenant, trace_id, step_id : str or None
        As they were given.
    ts : float
        When, in seconds since 1970.
    attempts : set of int
        Those whose outcome is written.
    """

    decision: Decision
    text: str
    role: str | None
    context: dict[str, Any]
    tenant: str | None
    trace_id: str | None
    step_id: str | None
    ts: float
    attempts: set[int] = field(default_factory=set)

    @property
    def size(self) -> int:
        """Roughly how many bytes it takes."""
        return size_of(self.text, self.context)


def size_of(text: str, context: Mapping[str, Any]) -> int:
    """Return roughly how many bytes a decision takes with its text and context."""
    return _OVERHEAD + sum(map(sys.getsizeof, (text, *context.values())))


class Memory(Generic[Kept]):
    """The last decisions by their id; the oldest go first.

    Parameters
    ----------
    most : int
        Decisions kept.
    most_bytes : int
        Bytes they take together, roughly.
    """

    def __init__(self, most: int = 10_000, most_bytes: int = 64 * 1024 * 1024) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._bytes = 0

    def add(self, decision_id: str, remembered: Kept) -> None:
        """Keep a decision; another one of this id is forgotten."""
        self.forget(decision_id)
        self._kept[decision_id] = remembered
        self._bytes += remembered.size
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.size

    def get(self, decision_id: str) -> Kept | None:
        """Return a decision; None where it is unknown or was too long ago."""
        return self._kept.get(decision_id)

    def forget(self, decision_id: str) -> None:
        """Forget a decision, if it is there."""
        gone = self._kept.pop(decision_id, None)
        self._bytes -= gone.size if gone is not None else 0


class OutcomeFile:
    """Appends lines, each whole or not at all.

    Parameters
    ----------
    path : Path
        Made where missing, readable by its owner only.

    Raises
    ------
    BadInput
        Where it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, _OWNER_ONLY)
        except OSError as error:
            raise BadInput(f"{path} ({error.strerror})", "a file to append to", "mend it") from None
        size = os.fstat(self._handle).st_size
        if size and os.pread(self._handle, 1, size - 1) != b"\n":  # an earlier process was killed
            os.write(self._handle, b"\n")

    def append(self, line: bytes) -> None:
        """Write one line.

        Raises
        ------
        OSError
            For instance for a full disk; the file is as it was.
        """
        size = os.fstat(self._handle).st_size
        left = memoryview(line + b"\n")
        try:
            while left:
                left = left[os.write(self._handle, left) :]
        except OSError:
            os.ftruncate(self._handle, size)
            raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)
