"""Policies replaced under load, a thousand times: `swaps.py --swaps 1000 --threads 2`.

Threads decide without a pause while the policy changes. Of every decision it is checked that its
policy was published before the decision ended, and that its tier is the one this policy gives.
Exit code 1 where one was wrong, a swap failed, or memory grew by 5 MB.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread

import numpy as np

from tests.faults.bundles import model_for
from tests.router_model.conftest import tiny_manifest
from tierwise.router_model.bundle import verify_bundle, write_bundle
from tierwise.router_model.golden import Golden
from tierwise.router_model.manifest import Manifest
from tierwise.serve import Router
from tierwise.serve.reload import ReloadingRouter

TEXTS = ("", "extract the date", "prove it and " * 100, "größe 日本語 🚀", "x" * 10_000)
MOST_GROWTH_MB = 5.0
_STEPS = 32  # of the logarithm of a time: two neighboring counts are 2 % apart
_COUNTS = 1024


@dataclass(frozen=True)
class Variant:
    """A policy, and the tiers that it gives the texts."""

    manifest: Manifest
    graph: bytes
    examples: tuple[Golden, ...]
    tiers: tuple[str, ...] = ()

    def write(self, folder: Path, sequence: int) -> None:
        """Publish it as the release of that number."""
        version = f"{self.manifest.policy_version} {sequence}"
        manifest = replace(self.manifest, policy_version=version, sequence=sequence)
        write_bundle(folder, self.graph, manifest, self.examples)


def variants(folder: Path, policy: Path | None) -> dict[str, Variant]:
    """Return policies of different tiers by name, and the one of a bundle where it is given."""
    found = {}
    for tier in ("small", "large"):
        graph, examples = model_for(tier)
        found[tier] = Variant(replace(tiny_manifest(), policy_version=tier), graph, examples)
    if policy is not None:
        bundle = verify_bundle(policy)
        manifest = replace(bundle.manifest, policy_version="given")
        found["given"] = Variant(manifest, bundle.model_bytes, bundle.golden)
    for name, variant in found.items():
        variant.write(folder, 0)
        router = Router.load(folder)
        tiers = tuple(router.decide(text).tier for text in TEXTS)
        found[name] = replace(variant, tiers=tiers)
    return found


@dataclass
class Caller:
    """A thread that decides until it is told to stop."""

    router: ReloadingRouter
    expected: dict[str, Variant]
    published: list[int]
    stop: Event
    decisions: int = 0
    wrong: list[str] = field(default_factory=list)
    times: np.ndarray = field(default_factory=lambda: np.zeros(_COUNTS, np.int64))

    def run(self) -> None:
        """Decide and check."""
        before = 0
        while not self.stop.is_set():
            place = self.decisions % len(TEXTS)
            try:
                begun = time.perf_counter_ns()
                made = self.router.decide(TEXTS[place])
                took_us = (time.perf_counter_ns() - begun) / 1000
                name, number = made.policy_version.split(" ")
                sound = before <= int(number) <= self.published[0]
                if not sound or made.tier != self.expected[name].tiers[place]:
                    self.wrong.append(f"{made.policy_version} -> {made.tier} ({made.reason})")
                before = int(number)
                self.times[int(_STEPS * math.log2(1 + took_us))] += 1
            except Exception as error:
                self.wrong.append(repr(error))
            self.decisions += 1


def run(n_swaps: int, n_threads: int, policy: Path | None = None) -> dict[str, object]:
    """Swap that often under load and return what was seen.

    Parameters
    ----------
    n_swaps, n_threads : int
        Swaps are rounded up, so that each policy has as many turns.
    policy : Path, optional
        A bundle that takes turns with the small ones.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "policy"
        every = variants(folder, policy)
        names = list(every)
        n_swaps += -n_swaps % len(names)  # memory is compared under the same policy
        every[names[-1]].write(folder, 0)
        router = ReloadingRouter(folder)
        published, stop = [0], Event()
        callers = [Caller(router, every, published, stop) for _ in range(n_threads)]
        threads = [Thread(target=caller.run) for caller in callers]
        for thread in threads:
            thread.start()
        warm = max(n_swaps // 10, 1)
        outcomes, memory = [], 0
        begun = time.monotonic()
        for number in range(1, warm + n_swaps + 1):
            published[0] = number
            every[names[number % len(names)]].write(folder, number)
            outcomes.append(router.reload())
            if number == warm:  # the caches of Python, onnxruntime and the allocator are filled
                memory = resident()
        took = time.monotonic() - begun
        grown = resident() - memory
        stop.set()
        for thread in threads:
            thread.join()
    counts = sum(caller.times for caller in callers)
    p50, p99 = np.searchsorted(np.cumsum(counts) / counts.sum(), (0.50, 0.99))
    wrong = [line for caller in callers for line in caller.wrong]
    return {
        "swaps": outcomes.count("swapped") - warm,
        "failed_swaps": len(outcomes) - outcomes.count("swapped"),
        "threads": n_threads,
        "seconds": round(took, 1),
        "decisions": sum(caller.decisions for caller in callers),
        "wrong": len(wrong),
        "first_wrong": wrong[:3],
        "p50_us": round(2 ** (p50 / _STEPS) - 1),
        "p99_us": round(2 ** (p99 / _STEPS) - 1),
        "grown_mb": round(grown / 2**20, 2),
    }


def resident() -> int:
    """Return the bytes of this process that are in memory, as Linux tells them."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--policy", type=Path, help="a bundle that takes turns with small ones")
    options = parser.parse_args()
    found = run(options.swaps, options.threads, options.policy)
    print(json.dumps(found, indent=2))
    sound = not found["wrong"] and not found["failed_swaps"]
    raise SystemExit(0 if sound and float(str(found["grown_mb"])) < MOST_GROWTH_MB else 1)


if __name__ == "__main__":
    main()
