"""The challenger decides every step too, and nothing it does reaches an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.faults.bundles import write
from tierwise.serve import Decision, Router
from tierwise.serve.shadow import ShadowRouter


@pytest.fixture
def champion(tmp_path: Path) -> Router:
    write(tmp_path / "champion", "small")
    return Router.load(tmp_path / "champion")


@pytest.fixture
def challenger(tmp_path: Path) -> Router:
    write(tmp_path / "challenger", "large")
    return Router.load(tmp_path / "challenger")


class Broken:
    """A challenger that does what it is told to instead of deciding."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act

    def decide(self, step: Any, *, role: str | None = None, **given: Any) -> Decision:
        self._act()
        raise ValueError("no decision")


def test_both_decisions_of_a_step_are_told_and_the_champions_is_answered(
    champion: Router, challenger: Router
) -> None:
    told: list[tuple[str, str]] = []
    with ShadowRouter(
        champion, challenger, lambda a, b: told.append((a.policy_version, b.policy_version))
    ) as router:
        assert router.decide("s").tier == "small"
        assert router.decide("s", role="worker", allowed=["large"]).tier == "large"
    assert told == [("small", "large")] * 2
    assert router.shadowed == {"other": 1, "same": 1}


def test_a_challenger_that_fails_changes_nothing(champion: Router) -> None:
    def fail() -> None:
        raise MemoryError

    with ShadowRouter(champion, Broken(fail), print) as router:
        assert [router.decide("s").tier for _ in range(3)] == ["small"] * 3
    assert router.shadowed == {"failed": 3}


def test_a_challenger_that_hangs_holds_up_nobody_and_what_it_misses_is_counted(
    champion: Router,
) -> None:
    begun, go_on = Event(), Event()

    def hang() -> None:
        begun.set()
        go_on.wait(10)

    router = ShadowRouter(champion, Broken(hang), print, waiting=5)
    router.decide("s")
    assert begun.wait(10)
    assert {router.decide("s").tier for _ in range(100)} == {"small"}
    assert router.shadowed == {"skipped": 95}
    router.close(timeout_s=0.01)
    go_on.set()
    router.close()


def test_who_is_told_may_fail(champion: Router, challenger: Router) -> None:
    def full(*_: Decision) -> None:
        raise OSError(28, "No space left on device")

    with ShadowRouter(champion, challenger, full) as router:
        assert router.decide("s").tier == "small"
    assert router.shadowed == {"failed": 1}


def test_messages_changed_after_the_answer_are_shadowed_as_they_were(
    champion: Router, challenger: Router
) -> None:
    begun, go_on = Event(), Event()
    seen: list[Any] = []

    class Slow:
        def decide(self, step: Any, *, role: str | None = None, **given: Any) -> Decision:
            begun.set()
            go_on.wait(10)
            seen.append(step)
            return challenger.decide(step, role=role, **given)

    with ShadowRouter(champion, Slow(), lambda *_: None) as router:
        messages = [{"role": "user", "content": "before"}]
        router.decide(messages)
        assert begun.wait(10)
        messages[0]["content"] = "after"
        messages.append({"role": "user", "content": "more"})
        go_on.set()
    assert seen == [[{"role": "user", "content": "before"}]]


def names() -> Iterator[str]:
    yield "medium"


def test_what_can_be_read_once_only_is_the_champions(champion: Router, challenger: Router) -> None:
    with ShadowRouter(champion, challenger, print) as router:
        assert router.decide("s", allowed=names()).tier == "medium"
    assert router.shadowed == {"skipped": 1}


@pytest.mark.parametrize("step", [None, 7, [1], [None]])
def test_what_is_no_step_falls_back_as_without_a_shadow(
    champion: Router, challenger: Router, step: Any
) -> None:
    with ShadowRouter(champion, challenger, print) as router:
        assert router.decide(step).reason == champion.decide(step).reason
    assert sum(router.shadowed.values()) == 1
