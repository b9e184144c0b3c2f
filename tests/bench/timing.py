"""Times of calls as multiples of an empty ONNX Runtime call, taken in turns."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

Case = tuple[str, str]
"""What is timed, and on which texts."""
Call = tuple[Callable[[Any], object], Sequence[Any]]
"""A call, and what it is called with, one after another."""


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


def median_us(call: Callable[[Any], object], inputs: Sequence[Any]) -> float:
    """Return the median time of a call, in microseconds."""
    taken = []
    for one in inputs:
        began = time.perf_counter_ns()
        call(one)
        taken.append(time.perf_counter_ns() - began)
    return float(np.median(taken)) / 1e3


def ratios(
    calls: Mapping[Case, Call], rounds: int, rng: np.random.Generator
) -> tuple[dict[Case, list[float]], float]:
    """Time every call in every round, in random order.

    Returns
    -------
    found : dict of list of float
        For each case and round, the median over the call's inputs, over that of the empty call
        just before and just after: the machine's speed changes from one second to the next.
    empty : float
        The empty call, median, microseconds.
    """
    session = empty_session()
    nothing = [{"x": np.zeros((1, 16), np.float32)}] * 50
    found: dict[Case, list[float]] = {case: [] for case in calls}
    cases, bases = list(calls), []
    gc.disable()
    for number in range(rounds + 1):
        for i in rng.permutation(len(cases)):
            before = median_us(lambda feed: session.run(None, feed), nothing)
            took = median_us(*calls[cases[i]])
            after = median_us(lambda feed: session.run(None, feed), nothing)
            if number:  # the first round warms up
                bases.append((before + after) / 2)
                found[cases[i]].append(took / bases[-1])
    gc.enable()
    return found, float(np.median(bases))


def quartiles(values: Sequence[float]) -> str:
    """Return the median and the quartiles as text."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"
