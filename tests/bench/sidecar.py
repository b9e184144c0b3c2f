"""What `tierwise serve` bears: requests a second, latency, errors and memory, on one core.

    python tests/bench/sidecar.py artifacts/fleet/policy [--seconds 60] [--rate 1500] [--runs 1]

The sidecar runs as it is started by default, on the first core; this process asks on the second.
Steps are 200 words of the simulated fleet with a role, all different, on connections that stay
open. First each connection asks as soon as it was answered: how many requests a second there can
be, and what one costs in processor time. Then requests come at a fixed rate, due at moments that do
not depend on answers, and latency counts from that moment: whoever waits for a slow answer is not
left out. Resident memory is read after the first quarter of that and at its end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import uvloop

from tierwise.eval.bench_texts import fleet_texts

COMMAND = [sys.executable, "-c", "from tierwise.cli import main; main()", "serve"]
ROLES = ("planner", "worker", "critic")
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
LONGEST_S = 5.0  # what takes longer is an error


@dataclass(frozen=True)
class Figures:
    """What came of one stretch of requests; latencies in ms, memory in MB, time in us a request."""

    asked_per_s: float
    answered_per_s: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    errors: int
    cpu_us: float
    memory_mb: float
    memory_grew_mb: float


class Process:
    """A sidecar on the first core."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port

    def cpu_s(self) -> float:
        """Return the processor time it took so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mb(self) -> float:
        """Return its resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * PAGE / 1e6


@contextmanager
def sidecar(policy: Path) -> Iterator[Process]:
    """Run one for as long as the block lasts; its log goes nowhere, but is written."""
    process = subprocess.Popen(
        [*COMMAND, str(policy), "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {0}),
    )
    assert process.stdout is not None
    try:
        yield Process(process, json.loads(process.stdout.readline())["port"])
    finally:
        process.terminate()
        process.wait()


def requests_of(texts: list[str]) -> list[bytes]:
    """Return whole requests, one a text."""
    found = []
    for number, text in enumerate(texts):
        step = {
            "text": text,
            "role": ROLES[number % len(ROLES)],
            "context": {"n_tools": number % 5},
        }
        body = json.dumps(step).encode()
        head = (
            "POST /v1/route HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        found.append(head.encode() + body)
    return found


class Connection(asyncio.Protocol):
    """Sends one request at a time."""

    def __init__(self) -> None:
        self._got = b""
        self._answered: asyncio.Future[bool] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self.transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Collect an answer."""
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) == length:
            self._got = b""
            self._done(head.startswith(b"HTTP/1.1 200 ") and b'"reason":"fallback"' not in body)

    def connection_lost(self, error: Exception | None) -> None:
        """Count a lost connection as no answer."""
        self._done(False)

    async def ask(self, request: bytes) -> bool:
        """Tell whether a request was answered with a decision."""
        self._answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        try:
            async with asyncio.timeout(LONGEST_S):
                return await self._answered
        except TimeoutError:
            return False

    def _done(self, well: bool) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(well)


class Load:
    """Requests on some connections, and how long each took."""

    def __init__(self, requests: list[bytes]) -> None:
        self._requests = requests
        self._next = 0
        self.seconds: list[float] = []
        self.errors = 0

    async def as_fast_as_answered(self, connection: Connection, end: float) -> None:
        """Ask again after each answer."""
        while (now := time.perf_counter()) < end:
            await self._ask(connection, now)

    async def at_a_rate(self, queue: asyncio.Queue[float], connection: Connection) -> None:
        """Ask what is due, as soon as this connection is free."""
        while (due := await queue.get()) > 0:
            await self._ask(connection, due)

    async def _ask(self, connection: Connection, since: float) -> None:
        self._next += 1
        well = await connection.ask(self._requests[self._next % len(self._requests)])
        self.seconds.append(time.perf_counter() - since)
        self.errors += not well


async def measure(
    process: Process, requests: list[bytes], connections: int, seconds: float, rate: float | None
) -> Figures:
    """Ask for some seconds, at a rate or as fast as answers come."""
    loop, load = asyncio.get_running_loop(), Load(requests)
    made = [
        (await loop.create_connection(Connection, "127.0.0.1", process.port))[1]
        for _ in range(connections)
    ]
    memory, cpu, began = process.memory_mb(), process.cpu_s(), time.perf_counter()
    if rate is None:
        end = began + seconds
        await asyncio.gather(*(load.as_fast_as_answered(one, end) for one in made))
    else:
        queue: asyncio.Queue[float] = asyncio.Queue()
        workers = [asyncio.create_task(load.at_a_rate(queue, one)) for one in made]
        for number in range(int(rate * seconds)):
            due = began + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            queue.put_nowait(due)
            if number == int(rate * seconds / 4):
                memory = process.memory_mb()
        for _ in workers:
            queue.put_nowait(0.0)
        await asyncio.gather(*workers)
    took, cpu = time.perf_counter() - began, process.cpu_s() - cpu
    for one in made:
        one.transport.close()
    times, now = np.array(load.seconds) * 1e3, process.memory_mb()
    p50, p99 = np.quantile(times, [0.5, 0.99])
    count = len(times)
    return Figures(
        rate or count / took, count / took, p50, p99, times.max(), load.errors,
        cpu / count * 1e6, now, now - memory,
    )  # fmt: skip


async def both(policy: Path, requests: list[bytes], given: argparse.Namespace) -> list[Figures]:
    """Measure the most there can be, then the fixed rate, on one sidecar."""
    with sidecar(policy) as process:
        await measure(process, requests, given.connections, 2.0, None)  # to warm up
        most = await measure(process, requests, given.connections, 5.0, None)
        fixed = await measure(process, requests, given.connections, given.seconds, given.rate)
    return [most, fixed]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("policy", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the fixed rate")
    parser.add_argument("--rate", type=float, default=1500.0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--connections", type=int, default=16)
    given = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    requests = requests_of(fleet_texts(np.random.default_rng(0))["200 words"])
    runs = [uvloop.run(both(given.policy, requests, given)) for _ in range(given.runs)]
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, place in (("as fast as answered", 0), ("fixed rate", 1)):
        print(f"{name}: median, then each run")
        for key in Figures.__dataclass_fields__:
            values = [getattr(run[place], key) for run in runs]
            each = ", ".join(f"{value:.2f}" for value in values)
            print(f"  {key:<16}{statistics.median(values):10.2f}   {each}")


if __name__ == "__main__":
    main()
