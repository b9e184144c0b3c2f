"""Golden vectors cover what may go wrong and find a graph that computes something else."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tierwise.router_model import golden, layout
from tierwise.router_model.golden import Golden, check_golden, make_golden
from tierwise.router_model.manifest import BundleError
from tierwise.router_model.runtime import PolicyGraph


@pytest.fixture(scope="module")
def examples(graph: PolicyGraph) -> tuple[Golden, ...]:
    contexts = np.array([[0, 0, 3, 4, 1], [1, np.nan, 3, 4, 0]], np.float32)
    return make_golden(graph, [b"one", b"two"], contexts)


def test_examples_cover_odd_texts_and_unknown_context(examples: tuple[Golden, ...]) -> None:
    texts = [one.text for one in examples]
    assert b"" in texts
    assert any(len(text) == 4097 for text in texts)
    assert any(not text.isascii() for text in texts)
    with pytest.raises(UnicodeDecodeError):
        [text.decode() for text in texts]
    assert all(math.isnan(value) for value in examples[0].context)


def test_examples_cover_every_reason_the_graph_can_give(examples: tuple[Golden, ...]) -> None:
    seen = {layout.REASONS[int(one.decision[layout.REASON])] for one in examples}
    assert seen == {"floor", "constrained", "not_certified", "none_allowed"}


def test_examples_survive_their_file(examples: tuple[Golden, ...], graph: PolicyGraph) -> None:
    content = golden.to_bytes(examples)
    again = golden.from_bytes(content)
    assert golden.to_bytes(again) == content
    check_golden(graph, again)


def test_unknown_is_null_and_an_infinity_is_a_word(examples: tuple[Golden, ...]) -> None:
    odd = replace(examples[0], decision=(math.inf, -math.inf, math.nan))
    line = json.loads(golden.to_bytes([odd]))
    assert line["decision"] == ["inf", "-inf", None]
    assert golden.from_bytes(golden.to_bytes([odd]))[0].decision[:2] == (math.inf, -math.inf)


def spoil(one: Golden, place: int, by: float) -> Golden:
    decision = list(one.decision)
    decision[place] += by
    return replace(one, decision=tuple(decision))


@pytest.mark.parametrize(
    ("place", "by"),
    [(layout.TIER, 1e-5), (layout.REASON, 1e-5), (layout.NEXT_TIER, 1e-5), (layout.HEAD, 1e-3)],
)
def test_another_decision_is_found(
    graph: PolicyGraph, examples: tuple[Golden, ...], place: int, by: float
) -> None:
    with pytest.raises(BundleError, match="another decision for example 2"):
        check_golden(graph, [examples[0], spoil(examples[1], place, by)])


def test_rounding_is_not_another_decision(graph: PolicyGraph, examples: tuple[Golden, ...]) -> None:
    check_golden(graph, [spoil(examples[0], layout.HEAD, 5e-5)])


def test_other_ids_are_found(graph: PolicyGraph, examples: tuple[Golden, ...]) -> None:
    with pytest.raises(BundleError, match="other ids for example 1"):
        check_golden(graph, [replace(examples[0], ids=(1, 2, 3))])


def test_another_graph_is_found(model: onnx.ModelProto, examples: tuple[Golden, ...]) -> None:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    tensor = max(other.graph.initializer, key=lambda t: len(t.raw_data))
    table = numpy_helper.to_array(tensor).copy()
    table[256 * ord("n") + ord("e")] += 1
    tensor.raw_data = table.tobytes()
    with pytest.raises(BundleError, match="ids"):
        check_golden(PolicyGraph(other.SerializeToString()), examples)


@pytest.mark.parametrize(
    "line",
    [
        b"{}\n",
        b"[]\n",
        b"x\n",
        b'{"text": "!", "context": [], "allowed": null, "floor": null,'
        b' "max_latency_s": null, "ids": [], "decision": []}\n',
    ],
)
def test_a_line_that_is_no_example_is_refused(line: bytes) -> None:
    with pytest.raises(BundleError, match="line 1 is no example"):
        golden.from_bytes(line)


def test_no_examples_are_not_enough(graph: PolicyGraph) -> None:
    with pytest.raises(BundleError, match="no examples"):
        check_golden(graph, [])
