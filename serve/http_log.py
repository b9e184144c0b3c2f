"""Log lines in JSON that no request waits for."""

from __future__ import annotations

import logging
import os
import time
from threading import Event, Lock, Thread
from typing import Any

from pydantic_core import to_json

from tierwise.data.messages import utf8

_EVERY_S = 0.1
_STDERR = 2


class LogLines:
    """Gathers lines and writes them together, ten times a second, on a thread of its own.

    Where whoever reads them is slower than the lines come, lines are dropped and counted.

    Parameters
    ----------
    handle : int
        An open file descriptor.
    waiting : int
        Lines that may wait.
    waiting_bytes : int
        Bytes that they may take together; lines may hold texts.

    Attributes
    ----------
    lost : int
        Lines dropped so far.
    """

    def __init__(
        self,
        handle: int = _STDERR,
        waiting: int = 10_000,
        waiting_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._handle, self._most, self._most_bytes = handle, waiting, waiting_bytes
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._lock = Lock()  # held for a few steps in memory, never while something is written
        self._closed = Event()
        self.lost = 0
        self._thread = Thread(target=self._work, name="tierwise-log", daemon=True)
        self._thread.start()

    def line(self, event: str, **said: Any) -> None:
        """Add a line; never waits."""
        told = {"time": round(time.time(), 3), "event": event, **said}
        line = to_json(told, inf_nan_mode="null") + b"\n"
        with self._lock:
            if len(self._waiting) >= self._most or self._bytes + len(line) > self._most_bytes:
                self.lost += 1
                return
            self._waiting.append(line)
            self._bytes += len(line)

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what waits; a reader that hangs is waited for no longer than this."""
        self._closed.set()
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while not self._closed.wait(_EVERY_S):
            self._write()
        self._write()

    def _write(self) -> None:
        with self._lock:
            lines, self._waiting, self._bytes = self._waiting, [], 0
        left = memoryview(b"".join(lines))
        try:
            while left:
                left = left[os.write(self._handle, left) :]
        except OSError:  # a closed pipe or a full disk: serving goes on
            with self._lock:
                self.lost += len(lines)


class LogHandler(logging.Handler):
    """Turns what libraries log into lines; of an error its kind and place, not what it says.

    The message of an exception may quote what it failed on, and that may be a prompt.
    """

    def __init__(self, lines: LogLines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Add one line."""
        said: dict[str, Any] = {"level": record.levelname.lower(), "logger": record.name}
        message = utf8(" ".join(record.getMessage().split())).decode()  # names of files may be odd
        said["message"] = message
        if record.exc_info and record.exc_info[1] is not None:
            said["error"] = type(record.exc_info[1]).__name__
            said["place"] = _place(record.exc_info[1])
        self._lines.line("library", **said)


def _place(error: BaseException) -> str | None:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return None
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
