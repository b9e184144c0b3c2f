"""Times of calls as multiples of an empty ONNX Runtime call, taken in turns, wall and CPU."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

Case = tuple[str, str]
"""What is timed, and on which texts."""
Call = tuple[Callable[[Any], object], Sequence[Any]]
"""A call, and what it is called with, one after another."""

EMPTY_CALLS = 50  # before and after each case
WARM_UP = 20  # calls at most, untimed, before each case


@dataclass(frozen=True)
class Timed:
    """One case over all rounds.

    Attributes
    ----------
    ratios : tuple of float
        For each round, the median time of a call over that of the empty call just before and just
        after: the machine's speed changes from one second to the next.
    wall_us, cpu_us : tuple of float
        Median and 99th percentile over all calls, microseconds of wall and of thread CPU time.
    """

    ratios: tuple[float, ...]
    wall_us: tuple[float, float]
    cpu_us: tuple[float, float]


def empty_session() -> onnxruntime.InferenceSession:
    """Return a session that does nothing: Identity on float32 [1, 16]."""
    one = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 16]) for n in ("x", "y")]
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "empty", one[:1], one[1:])
    opset = helper.make_opsetid("", 21)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def empty_call() -> Call:
    """Return the empty call and its inputs."""
    session = empty_session()
    feed = {"x": np.zeros((1, 16), np.float32)}
    return (lambda one: session.run(None, one)), [feed] * EMPTY_CALLS


def take(call: Callable[[Any], object], inputs: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Return wall and thread CPU time of each call, microseconds, shape (n_calls, 2)."""
    taken = np.empty((len(inputs), 2))
    for i, one in enumerate(inputs):
        cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
        call(one)
        taken[i] = time.perf_counter_ns() - wall, time.thread_time_ns() - cpu
    return taken / 1e3


def clock(
    calls: Mapping[Case, Call], rounds: int, rng: np.random.Generator
) -> tuple[dict[Case, Timed], list[float]]:
    """Time every call in every round, in random order, one round more to warm up.

    Returns
    -------
    dict of Timed
    list of float
        The empty call's median at each case and round, microseconds.
    """
    nothing = empty_call()
    taken: dict[Case, list[np.ndarray[Any, Any]]] = {case: [] for case in calls}
    found: dict[Case, list[float]] = {case: [] for case in calls}
    cases, bases = list(calls), []
    gc.disable()
    try:
        for number in range(rounds + 1):
            for i in rng.permutation(len(cases)):
                before = np.median(take(*nothing)[:, 0])
                call, inputs = calls[cases[i]]
                take(call, inputs[:WARM_UP])  # what ran before may have emptied the caches
                took = take(call, inputs)
                after = np.median(take(*nothing)[:, 0])
                if number:
                    bases.append(float(before + after) / 2)
                    found[cases[i]].append(float(np.median(took[:, 0])) / bases[-1])
                    taken[cases[i]].append(took)
    finally:
        gc.enable()
    return {case: _timed(found[case], np.concatenate(taken[case])) for case in cases}, bases


def ratios(
    calls: Mapping[Case, Call], rounds: int, rng: np.random.Generator
) -> tuple[dict[Case, tuple[float, ...]], float]:
    """Return the ratios alone, and the empty call's median in microseconds."""
    timed, bases = clock(calls, rounds, rng)
    return {case: one.ratios for case, one in timed.items()}, float(np.median(bases))


def _timed(found: list[float], taken: np.ndarray[Any, Any]) -> Timed:
    middle, high = np.percentile(taken, [50, 99], axis=0)
    wall, cpu = ((float(middle[i]), float(high[i])) for i in range(2))
    return Timed(tuple(found), wall, cpu)


def quartiles(values: Sequence[float]) -> str:
    """Return the median and the quartiles as text."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    digits = 1 if middle < 1_000 else 0
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"
