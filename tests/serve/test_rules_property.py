"""No step leaves a pin's tiers, whatever rules, calls, outages and broken values come together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from tests.serve.ruled import TIERS, ruled
from tierwise.serve import BundleError


class Broken:
    """Can be looked at, and read neither as a number nor as text or a list."""

    def __float__(self) -> float:
        raise RuntimeError

    __bool__ = __iter__ = __eq__ = __hash__ = __float__  # type: ignore[assignment]


NAMES = ("small", "medium", "large")
WORDS = st.sampled_from(["x", "y", "z"])
PIN = st.fixed_dictionaries(
    {},
    optional={
        "tenant": WORDS, "data_class": WORDS, "role": st.sampled_from(["worker", "planner"]),
        "irreversible": st.just(True), "tier": st.sampled_from(NAMES),
        "allowed": st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
        "unless": st.fixed_dictionaries({}, optional={"tenant": WORDS, "data_class": WORDS}),
    },
)  # fmt: skip
STRANGE = st.one_of(
    st.none(), st.floats(), st.text(max_size=3), st.builds(Broken), st.lists(st.text(max_size=2))
)
RULES = st.fixed_dictionaries(
    {"pins": st.lists(PIN, max_size=3)},
    optional={
        "forbidden_vendors": st.lists(st.sampled_from("abc"), max_size=1),
        "fixed_roles": st.dictionaries(st.just("worker"), st.sampled_from(NAMES)),
        "frontier_only_for": st.just(["user_visible"]),
        "failover": st.sampled_from([{"a": ["b"]}, {"c": ["a", "b"]}]),
        "floors": st.just({"planner": 0.99}),
        "latency_s": st.just({"interactive": 1.5}),
    },
)
STEP = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["worker", "planner"]), "tenant": WORDS, "data_class": WORDS,
        "irreversible": st.sampled_from([True, False, "yes"]), "allowed": STRANGE,
        "floor": STRANGE, "max_latency_s": STRANGE, "pin": st.sampled_from([*NAMES, "huge"]),
        "user_visible": st.booleans(), "workload": st.just("interactive"), "has_schema": STRANGE,
    },
)  # fmt: skip


def holds(pin: dict[str, Any], step: dict[str, Any]) -> bool:
    if "irreversible" in pin and not step.get("irreversible"):
        return False
    if any(step.get(key) == word for key, word in pin.get("unless", {}).items()):
        return False
    words = ("role", "tenant", "data_class")
    return all(step.get(key) == pin[key] for key in words if key in pin)


@pytest.fixture(scope="module")
def folder(bundle_folder: Path) -> Path:
    return bundle_folder


@given(RULES, st.lists(st.tuples(STRANGE, STEP), max_size=6), st.sets(st.sampled_from("abc")))
def test_no_pinned_step_leaves_its_tiers(
    folder: Path, rules: dict[str, Any], steps: list[tuple[Any, dict[str, Any]]], out: set[str]
) -> None:
    for number, pin in enumerate(rules["pins"]):
        pin["name"] = str(number)
    try:
        router = ruled(folder, rules)
    except BundleError:
        reject()
    for vendor in out:
        router.set_outage(vendor)
    forbidden = {tier.name for tier in TIERS if tier.vendor in rules.get("forbidden_vendors", [])}
    for text, step in steps:
        made = router.decide(text, **step)
        pins = [pin for pin in rules["pins"] if holds(pin, step)]
        sets = [set(pin.get("allowed", [pin.get("tier")])) for pin in pins]
        assert made.tier not in forbidden
        if made.reason == "none_allowed":
            assert not sets or any(made.tier in one for one in sets)
            continue
        assert all(made.tier in one for one in sets)
        assert made.next_tier is None or all(made.next_tier in one for one in sets)
        if made.reason != "fallback":
            assert made.tier not in {tier.name for tier in TIERS if tier.vendor in out}
        if pins and made.rule:
            assert made.rule in [pin["name"] for pin in pins]
