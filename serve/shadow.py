"""A challenger that decides every step too, after the champion has, and changes no answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from queue import Full, Queue
from threading import Lock, Thread
from typing import Any, Protocol

from tierwise.serve.decision import Decision

Step = str | Sequence[Mapping[str, Any]]


class Decides(Protocol):
    """What decides: a `Router` or a `ReloadingRouter`."""

    def decide(self, step: Step, *, role: str | None = None, **given: Any) -> Decision:
        """Decide a step."""


class ShadowRouter:
    """Answers with the champion; a thread of its own asks the challenger and tells both.

    Steps wait for the challenger in a bounded queue. Where it is full, because the challenger is
    slow or hangs, they are skipped and counted; the champion's answers never wait.

    Parameters
    ----------
    champion : Decides
    challenger : Decides
        Without exploration, budgets and a log of its own: it serves nobody.
    tell : callable
        Given the champion's and the challenger's decision of the same step, on the thread; for
        example to write both to a log.
    waiting : int
        Steps that may wait.

    Attributes
    ----------
    shadowed : Counter of str
        Steps by what came of them: `same` tier, `other` tier, `skipped` (the queue was full, or
        the allowed tiers can be read once only) or `failed` (no step, or the challenger or `tell`
        raised).
    """

    def __init__(
        self,
        champion: Decides,
        challenger: Decides,
        tell: Callable[[Decision, Decision], object],
        waiting: int = 1000,
    ) -> None:
        self._champion, self._challenger, self._tell = champion, challenger, tell
        self._steps: Queue[tuple[Step, str | None, dict[str, Any], Decision] | None]
        self._steps = Queue(waiting)
        self._counting = Lock()
        self.shadowed: Counter[str] = Counter()
        self._thread = Thread(target=self._work, name="tierwise-shadow", daemon=True)
        self._thread.start()

    def decide(self, step: Step, *, role: str | None = None, **given: Any) -> Decision:
        """Decide a step with the champion; see `Router.decide`."""
        made = self._champion.decide(step, role=role, **given)
        try:
            if isinstance(given.get("allowed"), Iterator):
                raise Full  # the champion has used it up
            # The caller may change its messages while the step waits.
            kept = step if isinstance(step, str) else [dict(one) for one in step]
            self._steps.put_nowait((kept, role, given, made))
        except Full:
            self._count("skipped")
        except Exception:  # no messages: the champion has fallen back, and there is nothing to ask
            self._count("failed")
        return made

    def close(self, timeout_s: float = 10.0) -> None:
        """Ask for what waits, then stop; a challenger that hangs is left behind.

        Parameters
        ----------
        timeout_s : float
            The longest wait, twice.
        """
        try:
            self._steps.put(None, timeout=timeout_s)
        except Full:
            return
        self._thread.join(timeout_s)

    def __enter__(self) -> ShadowRouter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self) -> None:
        while (one := self._steps.get()) is not None:
            step, role, given, made = one
            try:
                other = self._challenger.decide(step, role=role, **given)
                self._tell(made, other)
                self._count("same" if other.tier == made.tier else "other")
            except Exception:  # a shadow: whatever happens here happens to nobody
                self._count("failed")

    def _count(self, outcome: str) -> None:
        with self._counting:
            self.shadowed[outcome] += 1
