"""A log of decisions that no decision waits for: one line of JSON each, in files of bounded size.

Whoever decides adds a line to a bounded list; one thread writes what has gathered. Where the list
is full or the disk fails, lines are dropped and counted: a log may have gaps, a decision may not.

Lines are made by the caller, some 20 microseconds each, and written many at a time. A thread that
made them would hold the interpreter's lock, and under load each decision would wait for its turn.
"""

from __future__ import annotations

import atexit
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import numpy as np

from tierwise.data.errors import BadInput

_OWNER_ONLY = 0o600  # lines may hold what users wrote
_GATHER_S = 0.05


class DecisionLog:
    """Writes mappings as JSON lines; safe to call from many threads of one process.

    A path belongs to one process: two would rename each other's files. The thread does not survive
    a fork, so make the log in the process that writes. It holds no text that the caller did not
    put into a mapping. What was written less than a tenth of a second before the process is killed
    may be missing.

    Parameters
    ----------
    path : str or Path
        The file written to. Older ones are `path.1` (the newest) to `path.<keep>`.
    max_bytes : int, optional
        A file is put aside before it would grow beyond this; a longer line is dropped.
    keep : int, optional
        Older files kept, 0 or more.
    queue : int, optional
        Lines that may wait, 1 or more.
    queue_bytes : int, optional
        Bytes that they may take together, 1 or more; a line may hold a text.

    Attributes
    ----------
    lost, written : int
        Lines dropped and lines on disk so far.

    Raises
    ------
    BadInput
        Where the folder of `path` cannot be made, `path` is a folder, or a number is too small.
    """

    def __init__(
        self,
        path: str | Path,
        max_bytes: int = 64 * 1024 * 1024,
        keep: int = 5,
        queue: int = 10_000,
        queue_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        if min(max_bytes, queue, queue_bytes) < 1 or keep < 0:
            found = (
                f"a decision log of max_bytes {max_bytes}, keep {keep}, queue {queue}, "
                f"queue_bytes {queue_bytes}"
            )
            raise BadInput(found, "at least 1, 0, 1 and 1", "mend them")
        self._file = _RotatedFile(_usable(Path(path)), max_bytes, keep)
        self._room, self._room_bytes = queue, queue_bytes
        self._bytes = 0
        self._waiting: list[bytes] = []
        self._lock = Lock()  # held for a few steps in memory, never while something is written
        self._more, self._closing = Event(), Event()
        self._closed = False
        self.lost = 0
        self.written = 0
        self._thread = Thread(target=self._work, name="tierwise-decision-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)  # a daemon thread is cut off when the interpreter ends

    def write(self, row: Mapping[str, Any]) -> None:
        """Add one line; never waits for the disk, never raises.

        Parameters
        ----------
        row : mapping
            What JSON can hold. NaN and infinities become null, numpy scalars plain values; a row
            that holds anything else is dropped and counted.
        """
        try:
            line = _line(row)
        except Exception:  # whatever it is, the decision must go on
            self._lose(1)
            return
        with self._lock:
            full = len(self._waiting) >= self._room or self._bytes + len(line) > self._room_bytes
            if self._closed or full:
                self.lost += 1
                return
            self._waiting.append(line)
            self._bytes += len(line)
            first = len(self._waiting) == 1
        if first:
            self._more.set()

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what waits, then stop; later lines are lost. A second call does nothing.

        Parameters
        ----------
        timeout_s : float, optional
            A disk that hangs is waited for no longer than this.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        atexit.unregister(self.close)
        self._closing.set()
        self._more.set()
        self._thread.join(timeout_s)

    def __enter__(self) -> DecisionLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self) -> None:
        closed = False
        while not closed:
            self._more.wait()
            self._closing.wait(_GATHER_S)
            self._more.clear()
            with self._lock:
                lines, self._waiting, self._bytes = self._waiting, [], 0
                closed = self._closed
            self._put(lines)
        self._file.close()

    def _put(self, lines: Sequence[bytes]) -> None:
        done = 0
        while done < len(lines):
            try:
                fitted = self._file.append(lines[done:])
                done += fitted
                self.written += fitted
            except Exception:  # a full disk: the next line may fare better
                self._file.close()
                self._lose(1)
                done += 1

    def _lose(self, lines: int) -> None:
        with self._lock:
            self.lost += lines


class _RotatedFile:
    """Appends whole lines; after a failure the file ends where the last whole line ended."""

    def __init__(self, path: Path, max_bytes: int, keep: int) -> None:
        self._path, self._max_bytes, self._keep = path, max_bytes, keep
        self._handle: int | None = None
        self._size = 0

    def append(self, lines: Sequence[bytes]) -> int:
        """Write the first of some lines at once, as many as fit, and return how many.

        Raises
        ------
        OSError
            Where not even the first could be written.
        """
        if len(lines[0]) > self._max_bytes:
            raise OSError(f"a line of {len(lines[0])} bytes")
        if self._handle is None:
            self._handle = self._open()
        if self._size + len(lines[0]) > self._max_bytes:
            self._rotate()
            self._handle = self._open()
        fitting, size = 0, self._size
        while fitting < len(lines) and size + len(lines[fitting]) <= self._max_bytes:
            size += len(lines[fitting])
            fitting += 1
        content = b"".join(lines[:fitting])
        done = 0
        try:
            while done < len(content):
                done += os.write(self._handle, memoryview(content)[done:])
        except OSError:
            done = content.rfind(b"\n", 0, done) + 1
            os.ftruncate(self._handle, self._size + done)  # half a line would spoil the next one
            if not done:
                raise
        self._size += done
        return content.count(b"\n", 0, done)

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _open(self) -> int:
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, _OWNER_ONLY)
        self._size = os.fstat(handle).st_size
        if self._size and os.pread(handle, 1, self._size - 1) != b"\n":  # an earlier process died
            self._size += os.write(handle, b"\n")
        return handle

    def _rotate(self) -> None:
        self.close()
        for number in range(self._keep, 0, -1):
            younger = self._aside(number - 1)
            if younger.exists():
                younger.replace(self._aside(number))
        if not self._keep:
            self._path.unlink()

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


def _usable(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"no folder {path.parent} ({error})", "one to log in", "mend it") from None
    if path.is_dir():
        raise BadInput(f"{path} is a folder", "a file to log to", "name a file in it")
    return path


def _line(row: Mapping[str, Any]) -> bytes:
    try:
        text = _ENCODER.encode(dict(row))
    except ValueError:  # a NaN somewhere; most rows have none
        text = _ENCODER.encode(_known(row))
    return text.encode("utf-8", "replace") + b"\n"


def _scalar(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(type(value).__name__)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_scalar)


def _known(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _known(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_known(one) for one in value]
    return value
