"""decide() answers whatever it is given, and says so when it could not decide."""

from __future__ import annotations

import dataclasses
import math
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.data.messages import cap, text_of, utf8
from tierwise.router_model.runtime import PolicyGraph
from tierwise.serve import BundleError, Decision, Router

MEGABYTE = "a long step " * 90_000


def test_a_decision_says_what_and_why(router: Router) -> None:
    decision = router.decide("Extract the date", role="worker")
    assert (decision.tier, decision.tier_index, decision.reason) == ("large", 2, "floor")
    assert decision.quality == pytest.approx(0.9, abs=0.05)
    assert decision.cost_usd == pytest.approx(0.1)
    assert decision.total_cost_usd == pytest.approx(0.1)
    assert (decision.next_tier, decision.check) == (None, False)
    assert (decision.policy_version, decision.propensity) == ("v1", 1.0)


def test_a_decision_is_the_graphs(router: Router, bundle_folder: Path) -> None:
    graph = PolicyGraph((bundle_folder / "policy.onnx").read_bytes())
    text = "naïve " * 2_000
    context = np.array([[1, math.nan, len(text.encode()), 12, 1]], np.float32)
    wanted = graph.decide(cap(utf8(text)), context, [1, 1, 0], 0.5, 9.0).tolist()
    decision = router.decide(
        text, role="planner", context_tokens=12, has_schema=True,
        allowed=["small", "medium"], floor=0.5, max_latency_s=9.0,
    )  # fmt: skip
    assert list(decision.numbers) == wanted


def test_estimates_of_every_tier_come_along(router: Router) -> None:
    found = router.decide("a").estimates()
    assert list(found) == ["quality", "cost_usd", "total_cost_usd", "latency_s"]
    assert found["latency_s"] == (1.0, 2.0, 4.0)


def test_a_decision_cannot_be_changed(router: Router) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        router.decide("a").tier = "small"  # type: ignore[misc]


def test_messages_are_decided_by_their_text(router: Router) -> None:
    messages = [{"role": "system", "content": "You help"}, {"role": "user", "content": "a date"}]
    assert router.decide(messages) == router.decide(text_of(messages))


def test_limits_reach_the_rule(router: Router) -> None:
    assert router.decide("a", allowed=["small"]).tier == "small"
    assert router.decide("a", allowed="small").tier == "small"
    assert router.decide("a", max_latency_s=2.5).reason == "constrained"
    assert router.decide("a", floor=0.99).reason == "not_certified"
    assert router.decide("a", max_latency_s=math.inf).reason == "floor"
    assert router.faults.total() == 0


def test_where_no_tier_may_serve_the_fallback_is_named_and_nothing_is_expected_of_it(
    router: Router,
) -> None:
    decision = router.decide("a", allowed=[])
    assert (decision.tier, decision.reason) == ("large", "none_allowed")
    assert math.isnan(decision.quality)
    assert not router.faults


def test_the_ladder_goes_one_rung_up(router: Router) -> None:
    assert router.decide("a", has_schema=True).next_tier == "medium"


def test_the_ladder_leads_to_no_tier_that_may_not_serve(router: Router) -> None:
    assert router.decide("a", has_schema=True, allowed=["small", "large"]).next_tier == "large"
    assert router.decide("a", allowed=["small"]).next_tier is None


@pytest.mark.parametrize(
    "text", ["", " ", "\0", MEGABYTE, "日本語 🚀 \ud800 \udfff", "\ud83d\ude00"]
)
def test_any_text_is_decided_without_a_fault(router: Router, text: str) -> None:
    assert router.decide(text).reason == "floor"
    assert not router.faults


def test_context_reaches_the_rule(router: Router) -> None:
    assert router.decide("a", has_schema=True).tier == "small"
    assert router.decide("a", has_schema=False).tier == "large"
    assert router.decide("a", has_schema=None).tier == "large"
    assert router.decide("a", has_schema=np.bool_(True)).tier == "small"
    assert router.decide("a", has_schema=np.float32(1)).tier == "small"
    assert not router.ignored


@pytest.mark.parametrize(
    ("context", "kind"),
    [
        ({"mood": "good"}, "unknown_column"),
        ({"text_bytes": 5}, "unknown_column"),
        ({"task_type": "never seen"}, "unknown_category"),
        ({"task_type": ["a", "list"]}, "unknown_category"),
        ({"role": 7}, "unknown_category"),
        ({"context_tokens": "many"}, "bad_value"),
        ({"context_tokens": math.inf}, "bad_value"),
        ({"context_tokens": 10**400}, "bad_value"),
        ({"context_tokens": 1e39}, "bad_value"),
        ({"has_schema": 2}, "bad_value"),
        ({"has_schema": "yes"}, "bad_value"),
        ({"allowed": ["large", "huge"]}, "unknown_tier"),
    ],
)
def test_what_cannot_be_read_is_unknown_and_counted(
    router: Router, context: dict[str, Any], kind: str
) -> None:
    decision = router.decide("a", **context)
    assert decision.reason != "fallback"
    assert decision.numbers[:8] == router.decide("a").numbers[:8]
    assert router.ignored == {kind: 1}
    assert not router.faults


def test_a_missing_number_is_unknown_and_not_counted(router: Router) -> None:
    router.decide("a", context_tokens=math.nan)
    assert not router.ignored


@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        ({"floor": "high"}, "floor"),
        ({"floor": math.nan}, "floor"),
        ({"floor": math.inf}, "floor"),
        ({"max_latency_s": "soon"}, "max_latency_s"),
        ({"max_latency_s": math.nan}, "max_latency_s"),
        ({"allowed": 3}, "allowed"),
        ({"allowed": [["small"]]}, "none"),
    ],
)
def test_a_limit_that_cannot_be_read_never_loosens_anything(
    router: Router, limits: dict[str, Any], kind: str
) -> None:
    decision = router.decide("a", **limits)
    if kind == "none":
        assert decision.reason == "none_allowed"
    else:
        assert (decision.tier, decision.reason) == ("large", "fallback")
        assert router.faults == {kind: 1}


def test_a_fault_serves_the_fallback_tier_and_is_counted(router: Router) -> None:
    decision = router.decide(12345)  # type: ignore[arg-type]
    assert (decision.tier, decision.reason, decision.propensity) == ("large", "fallback", 1.0)
    assert math.isnan(decision.quality)
    assert set(decision.estimates().values()) == {()}
    assert router.faults == {"step": 1}


def test_a_fault_keeps_to_the_allowed_tiers(router: Router) -> None:
    assert router.decide("a", allowed=["small", "medium"], floor=math.nan).tier == "medium"


@pytest.mark.parametrize(
    "output",
    [[math.nan] * 20, [7.0] * 20, [-1.0] * 20, [-2.0] + [0.0] * 19, [0.0] * 3, []],
)
def test_a_graph_that_gives_nonsense_falls_back(
    router: Router, output: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router, "_decide", lambda *_: np.array(output, np.float32))
    assert router.decide("a").reason == "fallback"
    assert router.faults == {"output": 1}


@pytest.mark.parametrize("error", [RuntimeError("session"), MemoryError(), RecursionError()])
def test_a_graph_that_fails_falls_back(
    router: Router, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(router, "_decide", fail)
    assert router.decide("a").reason == "fallback"
    assert router.faults == {"graph": 1}


class Hostile:
    """Raises wherever it is touched."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6
)


@pytest.fixture(scope="module")
def patient_router(bundle_folder: Path) -> Router:
    return Router.load(bundle_folder)


@given(ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING)
def test_nothing_makes_it_raise(
    patient_router: Router, step: Any, role: Any, allowed: Any, floor: Any, limit: Any, more: Any
) -> None:
    decision = patient_router.decide(
        step, role=role, allowed=allowed, floor=floor, max_latency_s=limit,
        has_schema=more, task_type=more, context_tokens=more, mood=more,
    )  # fmt: skip
    assert isinstance(decision, Decision)
    assert decision.tier in ("small", "medium", "large")


@pytest.mark.parametrize(
    "name", ["role", "allowed", "floor", "max_latency_s", "has_schema", "task_type", "mood"]
)
def test_an_object_that_raises_when_touched_does_not_make_it_raise(
    router: Router, name: str
) -> None:
    assert router.decide(Hostile()).reason == "fallback"  # type: ignore[arg-type]
    assert router.decide([Hostile()]).tier == "large"  # type: ignore[list-item]
    assert router.decide("a", **{name: Hostile()}).tier == "large"


def test_threads_get_their_own_decisions(router: Router) -> None:
    texts = [f"step {i} " * (i + 1) for i in range(40)]
    wanted = [router.decide(text, has_schema=i % 2 == 0) for i, text in enumerate(texts)]
    wrong: list[int] = []

    def call(start: int) -> None:
        for k in range(2_000):
            i = (start + k) % len(texts)
            if router.decide(texts[i], has_schema=i % 2 == 0) != wanted[i]:
                wrong.append(i)

    threads = [threading.Thread(target=call, args=(start,)) for start in (0, 7, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_spoiled_bundle_is_not_served(bundle_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle_folder, tmp_path / "policy")
    with (tmp_path / "policy" / "policy.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError):
        Router.load(tmp_path / "policy")


def test_the_way_to_the_graph_costs_about_an_empty_run(router: Router) -> None:
    """Medians of interleaved rounds: decide() without its graph, over an empty run."""
    from onnx import TensorProto, helper

    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 16]) for name in "xy"]
    node = helper.make_node("Identity", ["x"], ["y"])
    model = helper.make_model(
        helper.make_graph([node], "empty", info[:1], info[1:]),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    )
    empty = onnxruntime.InferenceSession(model.SerializeToString())
    feed = {"x": np.zeros((1, 16), np.float32)}
    answer = router._decide(b"a", np.full((1, 5), np.nan, np.float32))
    text = "Extract the date of the meeting from this note as JSON " * 2
    object.__setattr__(router, "_decide", lambda *_: answer)

    def timed(call: Any) -> float:
        start = time.thread_time()
        for _ in range(200):
            call()
        return time.thread_time() - start

    ratios = [
        timed(lambda: router.decide(text, role="worker", has_schema=True))
        / timed(lambda: empty.run(None, feed))
        for _ in range(30)
    ]
    assert float(np.median(ratios)) < 3  # about 1; the slack is for a busy machine
