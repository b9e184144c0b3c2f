"""A graph runs from bytes, with its optional inputs left out, at any length of text."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import helper

from tierwise.features.tokens import reference_ids
from tierwise.router_model import layout
from tierwise.router_model.runtime import PolicyGraph

UNKNOWN = np.full((1, 5), np.nan, np.float32)


def reason(decision: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> str:
    return layout.REASONS[int(decision[layout.REASON])]


def test_blocks_follow_the_head_and_fill_the_width() -> None:
    places = [i for name in layout.BLOCKS for i in range(100)[layout.block(name, 3)]]
    assert places == list(range(layout.HEAD, layout.width(3)))
    assert layout.columns(3)["latency_s"] == 17


def test_reasons_keep_their_numbers() -> None:
    assert [layout.reason(code) for code in ("floor", "fallback", "none_allowed")] == [0, 8, 9]


def test_a_text_alone_is_enough(graph: PolicyGraph) -> None:
    decision = graph.decide(b"a step", UNKNOWN)
    assert decision.shape == (20,)
    assert (decision[layout.TIER], reason(decision)) == (2, "floor")


def test_an_empty_text_is_decided(graph: PolicyGraph) -> None:
    assert np.isfinite(graph.decide(b"", UNKNOWN)).all()
    assert graph.ids(b"").tolist() == reference_ids(b"", 6, 6)


def test_optional_inputs_reach_the_rule(graph: PolicyGraph) -> None:
    assert reason(graph.decide(b"a", UNKNOWN, floor=0.99)) == "not_certified"
    assert reason(graph.decide(b"a", UNKNOWN, allowed=[0, 0, 0])) == "none_allowed"
    limited = graph.decide(b"a", UNKNOWN, max_latency_s=2.5)
    assert (limited[layout.TIER], reason(limited)) == (1, "constrained")
    assert graph.decide(b"a", UNKNOWN, allowed=[1, 0, 0])[layout.TIER] == 0


def test_context_reaches_the_rule(graph: PolicyGraph) -> None:
    with_schema = UNKNOWN.copy()
    with_schema[0, 4] = 1
    assert graph.decide(b"a", with_schema)[layout.TIER] == 0


def test_estimates_are_the_decisions_blocks(graph: PolicyGraph) -> None:
    texts = [b"one", b"", b"three words here"]
    contexts = np.repeat(UNKNOWN, 3, axis=0)
    found = graph.estimates(texts, contexts)
    for i, text in enumerate(texts):
        row = graph.decide(text, UNKNOWN)
        for name, values in zip(layout.BLOCKS, found[:-1], strict=True):
            assert np.array_equal(values[i], row[layout.block(name, 3)])
        assert found.ood[i] == row[layout.OOD]
    assert found.quality.shape == (3, 3)
    assert found.latency[0].tolist() == [1.0, 2.0, 4.0]


def test_no_steps_give_empty_estimates(graph: PolicyGraph) -> None:
    assert graph.estimates([], np.zeros((0, 5), np.float32)).quality.shape == (0, 3)


def test_texts_and_contexts_have_to_match(graph: PolicyGraph) -> None:
    with pytest.raises(ValueError, match="1 texts, 2 contexts"):
        graph.estimates([b"a"], np.zeros((2, 5), np.float32))


def rename_output(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Identity", ["ids"], ["other"]))
    model.graph.output[1].name = "other"


def require_floor(model: onnx.ModelProto) -> None:
    kept = [t for t in model.graph.initializer if t.name != "floor"]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def open_width(model: onnx.ModelProto) -> None:
    model.graph.input[1].type.tensor_type.shape.dim[1].dim_param = "n"


@pytest.mark.parametrize("change", [rename_output, require_floor, open_width])
def test_a_graph_that_is_no_policy_is_refused(
    model: onnx.ModelProto, change: Callable[[onnx.ModelProto], None]
) -> None:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    change(other)
    with pytest.raises(ValueError, match=r"inputs|outputs|shape"):
        PolicyGraph(other.SerializeToString())


def test_memory_does_not_grow_with_the_texts_seen(model_bytes: bytes) -> None:
    """A process of its own: once every length was there, more texts, of 1 MB too, take nothing."""
    code = """
import sys, resource
import numpy as np
from tierwise.data.messages import cap
from tierwise.router_model.runtime import PolicyGraph
graph = PolicyGraph(sys.stdin.buffer.read())
unknown = np.full((1, 5), np.nan, np.float32)
rng = np.random.default_rng(0)
def held():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
def calls():
    for size in rng.permutation(4098):
        graph.decide(bytes(rng.integers(32, 127, size).astype(np.uint8)), unknown)
    for _ in range(50):
        graph.decide(cap(b"a word " * (1 << 17)), unknown)
start = held()
calls()
before = held()
calls()
print(before - start, held() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], input=model_bytes, capture_output=True, check=True
    )
    first, then = map(int, done.stdout.split())
    assert first < 20 << 20
    assert then < 2 << 20
