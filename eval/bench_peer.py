"""LiteLLM's heuristic classifier, timed in the environment that `make peers` makes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType

from tierwise.data.errors import BadInput

SCRIPT = Path(__file__).resolve().with_name("peer_scores.py")


class Peer:
    """A process that times texts one list after the other.

    Parameters
    ----------
    python : Path
        The interpreter of an environment that has LiteLLM.
    """

    def __init__(self, python: Path) -> None:
        self._process = subprocess.Popen(
            [python, "-I", str(SCRIPT), "--clock"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def median_us(self, texts: list[str]) -> float:
        """Return the median thread CPU time of a call, microseconds.

        Raises
        ------
        BadInput
            Where the process has ended.
        """
        to, of = self._process.stdin, self._process.stdout
        assert to is not None
        assert of is not None
        try:
            to.write(json.dumps(texts) + "\n")
            to.flush()
            answer = of.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise BadInput("no answer from LiteLLM's classifier", "LiteLLM there", "make peers")
        return float(json.loads(answer))

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
