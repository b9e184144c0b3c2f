"""Looking for something new again and again: never all gateways at once, less often in trouble."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread

import numpy as np

_JITTER = 0.25  # of the time between two looks, up or down
_TICK = 1.0  # the longest wait before `due` is asked again, in seconds


class Schedule:
    """When to look again.

    Parameters
    ----------
    rng : Generator
        Draws how much earlier or later a look is, so that gateways started together part.
    interval_s : float
        Mean time between two looks, in seconds.
    longest_s : float
        The time between two looks doubles with each failure, up to this.
    clock : callable
        Seconds since some moment. Where it jumps backwards the next look is due at once.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        interval_s: float = 30.0,
        longest_s: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rng = rng
        self._interval, self._longest = interval_s, max(interval_s, longest_s)
        self._clock = clock
        self._failures = 0
        self.looked(failed=False)

    def due(self) -> bool:
        """Tell whether it is time to look."""
        return not 0 <= self._clock() - self._since < self.delay_s

    def looked(self, *, failed: bool) -> None:
        """Set the time of the next look, `delay_s` from now."""
        self._failures = min(self._failures + 1, 60) if failed else 0
        delay = min(self._interval * 2.0**self._failures, self._longest)
        self.delay_s = delay * self._rng.uniform(1 - _JITTER, 1 + _JITTER)
        self._since = self._clock()


class Poller:
    """A thread that looks whenever it is time to.

    Parameters
    ----------
    look : callable
        Returns whether it worked; must not raise.
    schedule : Schedule
    """

    def __init__(self, look: Callable[[], bool], schedule: Schedule) -> None:
        self._look, self._schedule = look, schedule
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="tierwise-poller", daemon=True)

    def __enter__(self) -> Poller:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to look; the process does not wait for it to end."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; a look that is under way is left to end by itself."""
        self._stopped.set()
        self._thread.join(timeout=_TICK)

    def _run(self) -> None:
        while not self._stopped.wait(min(_TICK, self._schedule.delay_s)):
            if self._schedule.due():
                self._schedule.looked(failed=not self._look())
