"""What a decision costs: from str to tier, beside an empty call, an encoder and a peer.

One process, one thread, texts that all differ (`bench_texts`), cases in random order in every
round; each figure is the median over rounds of the ratio to the empty ONNX Runtime call just before
and just after. The encoder has random weights (`bench_encoder`): its time is compared, not what
it says. LiteLLM's heuristic runs in an environment of its own and is compared by the thread CPU
time of both.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from tierwise.data.messages import cap, utf8
from tierwise.eval.bench_encoder import encoder_call
from tierwise.eval.bench_peer import Peer
from tierwise.eval.bench_texts import Texts, fleet_texts, mixed_texts
from tierwise.eval.clock import Call, Case, Timed, clock, quartiles

SLOW_TEXTS = 3  # of each length a round
LOADS = 15
DECIDE, FLEET, PINNED = "decide", "decide, fleet's texts", "decide, pinned"
ENCODER, CUDA = "int8 encoder", "graph on CUDA"
PEER = "LiteLLM heuristic"

Decide = Callable[[str], object]


@dataclass(frozen=True)
class Bench:
    """All figures of a run.

    Attributes
    ----------
    timed : dict of (what, length) to Timed
    peer_us : dict of length to float
        Median thread CPU time of a call of the peer; empty where it is not installed.
    empty_us : float
        Median of the empty call.
    unsteady : float
        Share of measurements whose empty call took over 1.3 times the quickest.
    load_ms : float
        Median time to verify and open the bundle, imports excluded.
    memory_mb : float
        Resident memory of a process that decides, over one that has an empty session.
    machine : dict
    """

    timed: Mapping[Case, Timed]
    peer_us: Mapping[str, float]
    empty_us: float
    unsteady: float
    load_ms: float
    memory_mb: float
    machine: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "times": [
                {"what": what, "length": length, **asdict(one)}
                for (what, length), one in self.timed.items()
            ],
            "peer_us": dict(self.peer_us),
            "empty_us": self.empty_us,
            "unsteady": self.unsteady,
            "load_ms": self.load_ms,
            "memory_mb": self.memory_mb,
            "machine": dict(self.machine),
        }


def cases(
    decide: Decide, pinned: Decide, policy: bytes, texts: Texts, fleet: Texts, encoder: Decide
) -> dict[Case, Call]:
    """Return the calls to be timed."""
    calls: dict[Case, Call] = {}
    for length, some in texts.items():
        calls[DECIDE, length] = decide, some
        calls[FLEET, length] = decide, fleet[length]
        calls[ENCODER, length] = encoder, some[:SLOW_TEXTS]
    calls[PINNED, "200 words"] = pinned, texts["200 words"]
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        for length, some in texts.items():
            calls[CUDA, length] = cuda_call(policy, some)
    return calls


def cuda_call(policy: bytes, texts: list[str]) -> Call:
    """Return the call of the graph alone on a GPU, its inputs prepared."""
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(policy, providers=providers)
    shapes = {one.name: one.shape for one in session.get_inputs()}
    context = np.full(shapes["context"], np.nan, np.float32)
    feeds = [
        {"text": np.frombuffer(cap(utf8(text)), np.uint8), "context": context} for text in texts
    ]
    return (lambda feed: session.run(["decision"], feed)), feeds


def bench(
    decide: Decide,
    pinned: Decide,
    load: Callable[[], object],
    policy: Path,
    rounds: int,
    peer: Path | None,
    rng: np.random.Generator,
) -> Bench:
    """Time everything.

    Parameters
    ----------
    decide, pinned : callable
        From text to decision; the latter with a pin, so that no model is asked.
    load : callable
        Verifies and opens the bundle.
    policy : Path
        The bundle's folder.
    rounds : int
    peer : Path or None
        The Python of an environment that has LiteLLM.
    rng : Generator
    """
    texts, fleet = mixed_texts(rng), fleet_texts(rng)
    reading = [text for some in (texts, fleet) for text in some["2,000 words"]]
    graph = (policy / "policy.onnx").read_bytes()
    calls = cases(decide, pinned, graph, texts, fleet, encoder_call(reading))
    timed, bases = clock(calls, rounds, rng)
    peer_us: dict[str, float] = {}
    if peer is not None:
        with Peer(peer) as asked:
            peer_us = {length: asked.median_us(some) for length, some in texts.items()}
    began = [_timed_ms(load) for _ in range(LOADS)]
    return Bench(
        timed=timed,
        peer_us=peer_us,
        empty_us=float(np.median(bases)),
        unsteady=float((np.array(bases) > 1.3 * min(bases)).mean()),
        load_ms=float(np.median(began)),
        memory_mb=memory_mb(policy),
        machine={
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
            "processor": platform.machine(),
            "python": platform.python_version(),
            "onnxruntime": onnxruntime.__version__,
            "rounds": rounds,
        },
    )


def _timed_ms(call: Callable[[], object]) -> float:
    began = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - began) / 1e6


def memory_mb(policy: Path) -> float:
    """Return what serving a bundle adds to a process that has onnxruntime and an empty session."""
    found = [
        int(
            subprocess.run(
                [sys.executable, "-c", _MEMORY, str(policy), kind],
                capture_output=True, text=True, check=True,
            ).stdout
        )
        for kind in ("bare", "router")
    ]  # fmt: skip
    return (found[1] - found[0]) * os.sysconf("SC_PAGE_SIZE") / 2**20


_MEMORY = """
import sys
import onnxruntime
from tierwise.eval.clock import empty_session
keep = empty_session()
if sys.argv[2] == "router":
    from tierwise.serve import Router
    router = Router.load(sys.argv[1])
    for size in (0, 100, 1_000, 10_000):
        router.decide("word " * size)
print(open("/proc/self/statm").read().split()[1])
"""


def lines(found: Bench) -> list[str]:
    """Say it for a terminal."""
    lengths = list(dict.fromkeys(length for _, length in found.timed))
    said = [
        f"empty ONNX Runtime call {found.empty_us:.2f} us, load average {found.machine['load']:.1f}"
        + (f"; UNSTEADY in {found.unsteady:.0%} of measurements" if found.unsteady > 0.2 else "")
    ]
    said.append(f"{'x empty, median (quartiles)':<28}" + "".join(f"{n:>26}" for n in lengths))
    for what in dict.fromkeys(what for what, _ in found.timed):
        cells = [
            quartiles(found.timed[what, n].ratios) if (what, n) in found.timed else ""
            for n in lengths
        ]
        said.append(f"{what:<28}" + "".join(f"{cell:>26}" for cell in cells))
    mine = {n: found.timed[DECIDE, n] for n in lengths}
    said.append(_row("encoder / decide", lengths, {n: _faster(found, n) for n in lengths}, "x"))
    if found.peer_us:
        ratio = {n: found.peer_us[n] / mine[n].cpu_us[0] for n in lengths}
        said.append(_row(f"{PEER} / decide, CPU", lengths, ratio, "x"))
    said.append(_row("decide, CPU us, median", lengths, {n: mine[n].cpu_us[0] for n in lengths}))
    tail = {n: mine[n].cpu_us[1] / mine[n].cpu_us[0] for n in lengths}
    said.append(_row("decide, CPU p99 / median", lengths, tail, "x"))
    tail = {n: mine[n].wall_us[1] / mine[n].wall_us[0] for n in lengths}
    said.append(_row("decide, wall p99 / median", lengths, tail, "x"))
    memory = f"memory over bare onnxruntime {found.memory_mb:.1f} MB"
    said.append(f"load {found.load_ms:.1f} ms; {memory}")
    return said


def _faster(found: Bench, length: str) -> float:
    ours, theirs = (np.median(found.timed[what, length].ratios) for what in (DECIDE, ENCODER))
    return float(theirs / ours)


def _row(name: str, lengths: list[str], values: Mapping[str, float], unit: str = "") -> str:
    return f"{name:<28}" + "".join(f"{values[n]:>25,.1f}{unit or ' '}" for n in lengths)
