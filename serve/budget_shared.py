"""Spend budgets that the processes of a machine share, in one SQLite file.

A decision does no I/O, so it never asks the file. Each process has a part of a tenant's budget on
loan and spends from that; a thread borrows more, settles what retries overdrew, and brings back
what lies idle. A loan is taken from the file before any of it is spent, so that all processes
together never give out more than a tenant's capacity and what was refilled since the beginning.
Over a later span of time, what was on loan when it began comes on top.
"""

from __future__ import annotations

import atexit
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread

from tierwise.data.errors import BadInput
from tierwise.serve.budget import DAY_NS, Allowance, Bucket, Size, countable, nano

_TABLE = """CREATE TABLE IF NOT EXISTS buckets (
    tenant TEXT PRIMARY KEY, level TEXT NOT NULL, at INTEGER NOT NULL, full INTEGER NOT NULL)"""
_NEVER = 2**62  # nanoseconds since 1970: in 2116
_OTHERS = "others"  # no tenant's key: those begin with a word of their own
_GATHER_S = 0.01  # so that many small asks become one write
_LOAN_SHARE = 10
"""A loan is a tenth of the capacity, or what is asked for where that is more."""


@dataclass(slots=True)
class _Loan:
    held: int = 0  # nano-USD; below 0 where retries overdrew it
    wanted: int = 0
    used: bool = True


@dataclass(frozen=True, slots=True)
class _Change:
    key: str
    owed: int
    back: int
    wanted: int


class SharedBuckets:
    """One bucket a tenant in a file; safe to call from many threads of many processes.

    The first dearer choice of a tenant in a process is refused while its loan is on the way, some
    milliseconds; so is one for which what other processes have on loan would be needed. What a
    killed process had on loan is lost to the tenant. The thread does not survive a fork: open the
    store in the process that decides.

    Parameters
    ----------
    path : str or Path
        A SQLite file on a local disk, made where missing.
    capacity_usd, refill_usd_per_day : float
        The common allowance, see `Allowance`; all processes have to name the same.
    per_tenant : mapping of str to Allowance, optional
        Allowances of single tenants.
    clock : callable, optional
        Nanoseconds since 1970. A clock that goes back refills nothing until it has caught up.
    idle_s : float, optional
        Loans that were not used for this long are brought back.
    max_tenants : int, optional
        Tenants with a loan at most; further ones without an allowance of their own share one.

    Attributes
    ----------
    refused : int
        Calls of `take` that got nothing.
    faults : int
        Times the file could not be written; nothing was borrowed then.

    Raises
    ------
    BadInput
        Where the file cannot be opened.
    """

    def __init__(
        self,
        path: str | Path,
        capacity_usd: float,
        refill_usd_per_day: float,
        per_tenant: Mapping[str, Allowance] | None = None,
        *,
        clock: Callable[[], int] = time.time_ns,
        idle_s: float = 60.0,
        max_tenants: int = 10_000,
    ) -> None:
        self._path = str(path)
        self._common = Size.of(Allowance(capacity_usd, refill_usd_per_day))
        own = {name: Size.of(allowance) for name, allowance in (per_tenant or {}).items()}
        self._own = {_key(name): size for name, size in own.items()}
        self._clock, self._idle_s, self._max_tenants = clock, idle_s, max_tenants
        self._lock = Lock()  # never held during I/O
        self._loans: dict[str, _Loan] = {}
        self._open_asks: set[str] = set()
        self._more, self._closing = Event(), Event()
        self.refused = 0
        self.faults = 0
        try:
            with closing(sqlite3.connect(self._path)) as db:
                db.execute(_TABLE)
        except sqlite3.Error as error:
            found = f"{self._path} as a store of budgets ({error})"
            raise BadInput(found, "a SQLite file, or a folder to make it in", "mend it") from None
        self._thread = Thread(target=self._work, name="tierwise-budgets", daemon=True)
        self._thread.start()
        atexit.register(self.close)  # what is on loan at the end would be lost

    def take(self, tenant: str | None, usd: float) -> bool:
        """Take all of an amount from this process's loan or nothing; see `TokenBuckets.take`."""
        if usd <= 0:
            return True
        with self._lock:
            if countable(usd):
                loan, key = self._loan(tenant)
                if loan.held >= nano(usd):
                    loan.held -= nano(usd)
                    return True
                loan.wanted = max(loan.wanted, nano(usd))
                self._ask(key)
            self.refused += 1
            return False

    def charge(self, tenant: str | None, usd: float) -> None:
        """Take what is spent already, see `TokenBuckets.charge`."""
        if usd > 0 and countable(usd):
            with self._lock:
                loan, key = self._loan(tenant)
                loan.held -= nano(usd)
                if loan.held < 0:
                    self._ask(key)

    def close(self, timeout_s: float = 10.0) -> None:
        """Bring all loans back and stop; nothing is granted after this."""
        atexit.unregister(self.close)
        self._closing.set()
        self._more.set()
        self._thread.join(timeout_s)

    def __enter__(self) -> SharedBuckets:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _loan(self, tenant: str | None) -> tuple[_Loan, str]:
        key = _key(tenant)
        if key not in self._loans and key not in self._own:
            key = key if len(self._loans) < self._max_tenants else _OTHERS
        loan = self._loans.setdefault(key, _Loan())
        loan.used = True
        return loan, key

    def _ask(self, key: str) -> None:
        self._open_asks.add(key)
        self._more.set()

    def _work(self) -> None:
        idle_from = time.monotonic()
        with closing(sqlite3.connect(self._path, isolation_level=None)) as db:
            while not self._closing.is_set():
                self._more.wait(self._idle_s)
                self._closing.wait(_GATHER_S)
                self._more.clear()
                self._settle(db, self._asked())
                if time.monotonic() - idle_from >= self._idle_s:
                    idle_from = time.monotonic()
                    self._settle(db, self._brought_back(unused_only=True))
            self._settle(db, self._brought_back(unused_only=False))

    def _asked(self) -> list[_Change]:
        with self._lock:
            keys, self._open_asks = self._open_asks, set()
            changes = []
            for key in keys:
                loan = self._loans[key]
                changes.append(_Change(key, max(0, -loan.held), 0, loan.wanted))
                loan.held, loan.wanted = max(0, loan.held), 0
            return changes

    def _brought_back(self, *, unused_only: bool) -> list[_Change]:
        with self._lock:
            back = {k: one for k, one in self._loans.items() if not (unused_only and one.used)}
            for key in back:
                del self._loans[key]
            self._open_asks -= back.keys()
            for loan in self._loans.values():
                loan.used = False
            return [
                _Change(key, max(0, -loan.held), max(0, loan.held), 0)
                for key, loan in back.items()
                if loan.held
            ]

    def _settle(self, db: sqlite3.Connection, changes: list[_Change]) -> None:
        """Write changes to the file and hand out what it grants; none or all of them."""
        if not changes:
            return
        try:
            db.execute("BEGIN IMMEDIATE")
            granted = [self._change(db, change) for change in changes]
            db.execute("DELETE FROM buckets WHERE full <= ?", [self._clock()])  # as good as new
            db.execute("COMMIT")
        except sqlite3.Error:  # full, locked for seconds, gone: then nothing is lent
            self._roll_back(db, changes)
            return
        with self._lock:
            for change, amount in zip(changes, granted, strict=True):
                if amount:
                    self._loans.setdefault(change.key, _Loan()).held += amount

    def _change(self, db: sqlite3.Connection, change: _Change) -> int:
        now, size = self._clock(), self._own.get(change.key, self._common)
        row = db.execute("SELECT level, at FROM buckets WHERE tenant = ?", [change.key]).fetchone()
        bucket = Bucket(size, int(row[0]), row[1]) if row else Bucket(size, size.capacity, now)
        bucket.charge(change.owed, now)
        bucket.level = min(size.capacity, bucket.level + change.back * DAY_NS)
        there = max(0, bucket.level // DAY_NS)
        amount = min(there, max(change.wanted, size.capacity // DAY_NS // _LOAN_SHARE))
        amount = amount if 0 < change.wanted <= amount else 0
        bucket.level -= amount * DAY_NS
        lacking = size.capacity - bucket.level
        full = min(_NEVER, bucket.at + -(-lacking // size.refill)) if size.refill else _NEVER
        written = [change.key, str(bucket.level), bucket.at, full]  # a level has more than 64 bits
        db.execute("REPLACE INTO buckets VALUES (?, ?, ?, ?)", written)
        return amount

    def _roll_back(self, db: sqlite3.Connection, changes: Iterable[_Change]) -> None:
        if db.in_transaction:
            db.execute("ROLLBACK")
        with self._lock:
            self.faults += 1
            for change in changes:
                self._loans.setdefault(change.key, _Loan()).held += change.back - change.owed


def _key(tenant: str | None) -> str:
    return "" if tenant is None else f"tenant {tenant}"
