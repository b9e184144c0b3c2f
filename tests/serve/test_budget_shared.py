"""Budgets that processes share: together they never give out more than there is."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from tierwise.data.errors import BadInput
from tierwise.serve.budget import DAY_NS, NANO, Allowance
from tierwise.serve.budget_shared import SharedBuckets


class Clock:
    """Nanoseconds since 1970, as a test sets them."""

    now = 20_000 * DAY_NS

    def __call__(self) -> int:
        return self.now


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait for what another thread does; False where it does not happen within seconds."""
    deadline = time.monotonic() + 5
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.002)
    return found


def taken(store: SharedBuckets, tenant: str, usd: float) -> int:
    """Take until nothing more comes, and say how often it was granted."""
    times = int(eventually(lambda: store.take(tenant, usd)))
    while times < 1000 and eventually_or_not(lambda: store.take(tenant, usd)):
        times += 1
    return times


def eventually_or_not(holds: Callable[[], bool]) -> bool:
    """Ask again for as long as a loan may be on the way."""
    for _ in range(60):
        if holds():
            return True
        time.sleep(0.002)
    return False


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "budgets.sqlite"


def test_two_stores_give_out_what_there_is_and_not_a_nano_usd_more(path: Path) -> None:
    granted: list[int] = []
    with SharedBuckets(path, 1.0, 0.0) as one, SharedBuckets(path, 1.0, 0.0) as two:
        threads = [
            Thread(target=lambda store=store: granted.append(taken(store, "a", 0.003)))
            for store in (one, two)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(granted)
    assert sum(granted) * 3_000_000 <= NANO
    left = NANO - sum(granted) * 3_000_000
    with SharedBuckets(path, 1.0, 0.0) as later:
        assert not eventually_or_not(lambda: later.take("a", (left + 1) / NANO))
        assert not left or eventually(lambda: later.take("a", left / NANO))


def test_the_first_choice_waits_for_no_loan_and_is_refused(path: Path) -> None:
    with SharedBuckets(path, 1.0, 0.0) as store:
        assert not store.take("a", 0.5)
        assert store.refused == 1
        assert eventually(lambda: store.take("a", 0.5))


def test_a_refill_counts_once_for_all_processes(path: Path) -> None:
    clock = Clock()
    with SharedBuckets(path, 1.0, 1.0, clock=clock) as one:
        assert eventually(lambda: one.take("a", 1.0))
        with SharedBuckets(path, 1.0, 1.0, clock=clock) as two:
            assert not eventually_or_not(lambda: two.take("a", 0.5))
            clock.now += DAY_NS // 2
            assert eventually(lambda: two.take("a", 0.5))
            assert not eventually_or_not(lambda: one.take("a", 0.5))


def test_what_retries_overdraw_in_one_process_is_missing_in_all(path: Path) -> None:
    clock = Clock()
    with SharedBuckets(path, 1.0, 1.0, clock=clock) as one:
        one.charge("a", 3.0)
    with SharedBuckets(path, 1.0, 1.0, clock=clock) as two:
        clock.now += 2 * DAY_NS
        assert not eventually_or_not(lambda: two.take("a", 0.001))
        clock.now += DAY_NS
        assert eventually(lambda: two.take("a", 1.0))


def test_closing_brings_loans_back(path: Path) -> None:
    with SharedBuckets(path, 1.0, 0.0) as one:
        assert eventually(lambda: one.take("a", 0.001))
    assert not one.take("a", 0.001)
    with SharedBuckets(path, 1.0, 0.0) as two:
        assert eventually(lambda: two.take("a", 0.999))


def test_loans_that_lie_idle_are_brought_back(path: Path) -> None:
    with SharedBuckets(path, 1.0, 0.0, idle_s=0.05) as one, SharedBuckets(path, 1.0, 0.0) as two:
        assert eventually(lambda: one.take("a", 0.001))
        assert eventually(lambda: two.take("a", 0.999))


def test_a_killed_process_loses_its_loan_and_nothing_else(path: Path) -> None:
    code = (
        "import os, signal, sys, time; from tierwise.serve.budget_shared import SharedBuckets\n"
        "store = SharedBuckets(sys.argv[1], 1.0, 0.0)\n"
        "while not store.take('a', 0.02): time.sleep(0.002)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], timeout=30, check=False)
    assert done.returncode == -9
    with SharedBuckets(path, 1.0, 0.0) as store:  # a loan is a tenth
        assert not eventually_or_not(lambda: store.take("a", 0.901))
        assert eventually(lambda: store.take("a", 0.9))


def test_a_program_that_ends_without_closing_loses_no_loan(path: Path) -> None:
    code = (
        "import sys, time; from tierwise.serve.budget_shared import SharedBuckets\n"
        "store = SharedBuckets(sys.argv[1], 1.0, 0.0)\n"
        "while not store.take('a', 0.02): time.sleep(0.002)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], timeout=30, check=True)
    with SharedBuckets(path, 1.0, 0.0) as store:
        assert eventually(lambda: store.take("a", 0.98))


def test_tenants_have_their_own_budgets(path: Path) -> None:
    with SharedBuckets(path, 1.0, 0.0, {"big": Allowance(5.0, 0.0)}) as store:
        for tenant, usd in (("a", 1.0), (None, 1.0), ("big", 5.0)):
            assert eventually(lambda tenant=tenant, usd=usd: store.take(tenant, usd))  # type: ignore[misc]
        assert not eventually_or_not(lambda: store.take("a", 0.001))


def test_a_file_that_fails_grants_nothing_and_loses_no_debt(path: Path) -> None:
    clock = Clock()
    with SharedBuckets(path, 1.0, 1.0, clock=clock) as store:
        with sqlite3.connect(path) as other:
            other.execute("ALTER TABLE buckets RENAME TO gone")
        store.charge("a", 2.0)
        assert not store.take("a", 0.1)
        assert eventually(lambda: store.faults > 0)
        with sqlite3.connect(path) as other:
            other.execute("ALTER TABLE gone RENAME TO buckets")
        assert not eventually_or_not(lambda: store.take("a", 0.1))
        clock.now += 2 * DAY_NS
        assert eventually(lambda: store.take("a", 1.0))


def test_full_buckets_are_not_kept_in_the_file(path: Path) -> None:
    clock = Clock()
    with SharedBuckets(path, 1.0, 1.0, clock=clock) as store:
        for tenant in "abc":
            assert eventually(lambda tenant=tenant: store.take(tenant, 0.5))  # type: ignore[misc]
        clock.now += DAY_NS
        assert eventually(lambda: store.take("d", 0.5))
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT tenant FROM buckets").fetchall() == [("tenant d",)]


def test_invented_tenants_share_one_loan(path: Path) -> None:
    with SharedBuckets(path, 1.0, 0.0, max_tenants=1) as store:
        assert eventually(lambda: store.take("a", 0.1))
        for number in range(4):
            assert eventually(lambda number=number: store.take(f"b{number}", 0.25))  # type: ignore[misc]
        assert not eventually_or_not(lambda: store.take("b4", 0.25))


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        SharedBuckets(tmp_path, 1.0, 1.0)
