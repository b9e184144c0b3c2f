"""The journal of paid calls: what a stopped run has already bought, and what it may have."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tierwise.data.errors import BadInput


class Journal:
    """JSON lines, each on disk before the next call is made.

    A call has two lines: one before it, with the dearest it can cost, and one with its outcome.
    Where a process died between them the money may be gone and the answer is lost: such a call
    counts at its dearest, so that the cap holds over any number of restarts.

    Attributes
    ----------
    results : dict of str to mapping
        Outcomes by key of the call.
    errors : dict of str to str
        Reasons of the calls that failed for good.
    spent_usd : float
        What all calls so far cost, at most.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._open: dict[tuple[str, int], float] = {}
        self._tries: dict[str, int] = {}
        self.results: dict[str, Mapping[str, Any]] = {}
        self.errors: dict[str, str] = {}
        self.spent_usd = 0.0

    def begin(self, key: str, at_most_usd: float) -> int:
        """Note that a call is about to be made; give the number of this try."""
        number = self._tries.get(key, 0)
        self._write({"key": key, "try": number, "at_most": at_most_usd})
        return number

    def end(
        self,
        key: str,
        number: int,
        paid_usd: float | None,
        result: Mapping[str, Any] | None,
        error: str,
        final: bool,
    ) -> None:
        """Note the outcome of a try.

        Parameters
        ----------
        key, number
            The call and its try, as `begin` gave it.
        paid_usd : float or None
            What it cost; None: nobody knows, it counts at its dearest.
        result : mapping or None
            JSON values.
        error : str
            Why there is no result; "" where there is one.
        final : bool
            This call is not tried again.
        """
        line: dict[str, Any] = {"key": key, "try": number, "paid": paid_usd}
        line |= {"result": result} if result is not None else {"error": error, "final": final}
        self._write(line)

    def forget_errors(self) -> None:
        """Let failed calls be made again in this run."""
        self.errors.clear()

    def take(self, line: Mapping[str, Any]) -> None:
        """Take a line into account.

        Raises
        ------
        KeyError, TypeError, ValueError
            Where it is not one of the journal's.
        """
        key, number = str(line["key"]), int(line["try"])
        if "at_most" in line:
            self._open[key, number] = float(line["at_most"])
            self._tries[key] = number + 1
            self.spent_usd += float(line["at_most"])
            return
        reserved = self._open.pop((key, number))
        if line["paid"] is not None:
            self.spent_usd += float(line["paid"]) - reserved
        if "result" in line:
            self.results[key] = dict(line["result"])
            self.errors.pop(key, None)
        elif line["final"]:
            self.errors[key] = str(line["error"])

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line, sort_keys=True).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.take(line)


@contextmanager
def opened(path: Path, plan: str) -> Iterator[Journal]:
    """Open the journal of a plan, or begin it.

    A last line without its end was being written when the process died; it is cut off.

    Parameters
    ----------
    path : Path
        Its folder is made where missing.
    plan : str
        Digest of the plan.

    Raises
    ------
    BadInput
        Where another process has it open, it belongs to another plan, or it is damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = f"{path} is in use by another tierwise label run"
            raise BadInput(found, "one run at a time", "wait for it or stop it") from None
        file.seek(0)
        content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        file.truncate(len(whole))
        journal = Journal(file)
        if whole:
            _read(journal, whole, path, plan)
        else:
            file.write(json.dumps({"plan": plan}).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            _sync_folder(path.parent)
        yield journal


def _read(journal: Journal, content: bytes, path: Path, plan: str) -> None:
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            value = json.loads(line)
            of_plan = value.get("plan", plan)
            if "plan" not in value:
                journal.take(value)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(
                f"line {number} of {path} is damaged ({type(error).__name__})",
                "the lines that a run wrote",
                "take that line out, or give another --out and pay anew",
            ) from None
        if of_plan != plan:
            raise BadInput(
                f"{path} belongs to another plan, or to other --models",
                "a folder of this plan's own",
                "give another --out",
            )


def _sync_folder(folder: Path) -> None:
    """Make the new file's name durable, as fsync made its content."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
