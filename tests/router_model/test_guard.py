"""A step that is too unlike the learn part is served the reference, whatever the floor."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest

from tests.router_model.policies import (
    BITS,
    N_ROLES,
    PAIR_BITS,
    random_model,
    random_spec,
    random_steps,
)
from tests.training.fits import make_steps
from tierwise.features.steps import StepTable
from tierwise.features.token_session import TokenIds
from tierwise.router_model import golden, layout
from tierwise.router_model.build import rule
from tierwise.router_model.export import ParityError, check_parity
from tierwise.router_model.golden import check_golden, make_golden
from tierwise.router_model.graph import (
    FloorTable,
    build_graph,
    serialize,
    set_floors,
    sweep_floors,
)
from tierwise.router_model.graph_check import check_graph
from tierwise.router_model.model import Model, Projection
from tierwise.router_model.rule import guarded, unlike
from tierwise.router_model.runtime import PolicyGraph
from tierwise.router_model.spec import PolicySpec

REFERENCE = 2
UNKNOWN = np.full((1, 6), np.nan, np.float32)
KNOWN, NEW = b"copy the file", "καλημέρα κόσμε".encode()
GUARD = 0.6
SPEC = dataclasses.replace(random_spec(), guard=GUARD)


def model() -> Model:
    """A policy that has seen the words of `KNOWN` alone."""
    drawn = random_model()
    rows, pair_rows = drawn.rows.copy(), drawn.pair_rows.copy()
    rows[:, -1] = pair_rows[:, -1] = 0
    ids = TokenIds(BITS, PAIR_BITS).ids(KNOWN)
    rows[ids[ids >= 0], -1] = pair_rows[ids[ids < 0], -1] = 1
    return dataclasses.replace(drawn, rows=rows, pair_rows=pair_rows)


def opened(spec: PolicySpec = SPEC) -> PolicyGraph:
    """The policy where everything down to point 4 is certified, for every floor below 0.95."""
    strictest = np.full((N_ROLES + 1, len(spec.path)), -np.inf, np.float32)
    strictest[:, 0], strictest[:, 1:5] = np.inf, 0.95
    content = serialize(build_graph(model(), spec))
    check_graph(content)
    floors = FloorTable(strictest, np.full(len(strictest), 0.95, np.float32))
    return PolicyGraph(set_floors(content, floors))


class Said(NamedTuple):
    tier: int
    reason: str
    point: int


def said(
    graph: PolicyGraph,
    text: bytes,
    allowed: tuple[int, ...] | None = None,
    floor: float | None = None,
    max_latency_s: float | None = None,
) -> Said:
    made = graph.decide(text, UNKNOWN, allowed, floor, max_latency_s)
    code = layout.REASONS[int(made[layout.REASON])]
    return Said(int(made[layout.TIER]), code, int(made[layout.POINT]))


@pytest.fixture(scope="module")
def graph() -> PolicyGraph:
    return opened()


def test_a_new_text_is_served_the_reference_and_a_known_one_by_its_floor(
    graph: PolicyGraph,
) -> None:
    assert said(graph, NEW) == Said(REFERENCE, "guard", 0)
    assert said(graph, KNOWN)[1:] == ("floor", 4)


@pytest.mark.parametrize("floor", [-5.0, 0.0, 0.5, 0.95, 1.0, 2.0])
def test_no_floor_overrules_the_guard(graph: PolicyGraph, floor: float) -> None:
    assert said(graph, NEW, floor=floor) == Said(REFERENCE, "guard", 0)


def test_a_score_at_the_threshold_is_within_it() -> None:
    at = float(opened().decide(NEW, UNKNOWN)[layout.OOD])
    below = float(np.nextafter(np.float32(at), np.float32(0)))
    for guard, reason in ((at, "floor"), (below, "guard")):
        assert said(opened(dataclasses.replace(SPEC, guard=guard)), NEW).reason == reason
        assert unlike(np.array([at], np.float32), guard)[0] == (reason == "guard")


def test_nothing_but_decision_and_reason_hangs_on_the_guard(graph: PolicyGraph) -> None:
    without = opened(random_spec())
    for text in (NEW, KNOWN):
        ours, theirs = (one.decide(text, UNKNOWN)[layout.HEAD :] for one in (graph, without))
        np.testing.assert_array_equal(ours, theirs)
        ours, theirs = (one.decide(text, UNKNOWN)[layout.OOD] for one in (graph, without))
        assert ours == theirs
    assert said(without, NEW).reason == "floor"


def test_where_the_reference_may_not_serve_the_best_of_the_others_does(graph: PolicyGraph) -> None:
    made = graph.decide(NEW, UNKNOWN, allowed=(1, 1, 0))
    quality = made[layout.block("quality", 3)]
    assert made[layout.TIER] == quality[:2].argmax()
    assert said(graph, NEW, allowed=(1, 1, 0)).reason == "constrained"
    assert said(graph, NEW, max_latency_s=0.0).reason in ("constrained", "none_allowed")
    assert said(graph, NEW, allowed=(0, 0, 0)) == Said(-1, "none_allowed", 0)


def test_a_tier_that_the_guard_does_not_want_may_be_forbidden(graph: PolicyGraph) -> None:
    assert said(graph, NEW, allowed=(0, 1, 1)) == Said(REFERENCE, "guard", 0)


def operators(spec: PolicySpec, of: Model) -> list[str]:
    return [node.op_type for node in build_graph(of, spec).graph.node]


def test_the_guard_is_two_nodes_and_none_where_there_is_no_guard() -> None:
    without = operators(random_spec(), model())
    found = operators(SPEC, model())
    assert len(found) == len(without) + 2
    assert sorted(found) == sorted([*without, "Greater", "Where"])
    assert operators(dataclasses.replace(SPEC, guard=1.0), model()) == without


def test_role_tables_and_served_encoders_have_no_guard() -> None:
    table = dataclasses.replace(random_spec(), fixed_tier=(0,) * (N_ROLES + 1))
    of = dataclasses.replace(model(), trees=None, network=None)
    assert operators(dataclasses.replace(table, guard=GUARD), of) == operators(table, of)
    width = of.rows.shape[1] - 1
    projection = Projection(np.zeros((8, width), np.float32), np.zeros(width, np.float32))
    embedded = dataclasses.replace(of, projection=projection)
    assert operators(SPEC, embedded) == operators(random_spec(), embedded)


def test_the_rule_serves_the_reference_where_the_graph_does(graph: PolicyGraph) -> None:
    tiers = np.array([[2, 2, 2], [0, 1, 0], [0, 0, 0]])
    ood = np.array([0.6, 0.61, 1.0], np.float32)
    found = guarded(tiers, ood, GUARD, REFERENCE)
    assert found.tolist() == [[2, 2, 2], [0, 2, 2], [0, 2, 2]]
    np.testing.assert_array_equal(guarded(tiers, ood, 1.0, REFERENCE), tiers)


@pytest.fixture(scope="module")
def steps() -> StepTable:
    texts, context = random_steps(40)
    texts = (*texts[:30], *(NEW,) * 5, *(KNOWN,) * 5)
    return dataclasses.replace(make_steps(40), text=texts, context=context)


def parity(graph: bytes, of: Model, spec: PolicySpec, steps: StepTable) -> None:
    check_parity(graph, of, spec, steps, np.random.default_rng(0))


def test_export_compares_the_guard_too(steps: StepTable) -> None:
    ours = serialize(build_graph(model(), SPEC))
    parity(ours, model(), SPEC, steps)
    with pytest.raises(ParityError, match=r"other tiers|other steps back"):
        parity(ours, model(), random_spec(), steps)
    with pytest.raises(ParityError, match=r"other tiers|other steps back"):
        parity(serialize(build_graph(model(), random_spec())), model(), SPEC, steps)


def test_export_finds_a_guard_that_changes_the_reason_alone(steps: StepTable) -> None:
    only_new = steps.rows(np.arange(30, 35))
    at_0 = dataclasses.replace(SPEC.path, margin=SPEC.path.margin[:1], weight=SPEC.path.weight[:1])
    one_point = dataclasses.replace(SPEC, path=at_0)
    without = dataclasses.replace(one_point, guard=1.0)
    with pytest.raises(ParityError, match="other steps back"):
        parity(serialize(build_graph(model(), without)), model(), one_point, only_new)


def test_export_compares_the_score(steps: StepTable) -> None:
    other = model()
    rows = other.rows.copy()
    rows[TokenIds(BITS, PAIR_BITS).ids(KNOWN)[0], -1] = 0
    changed = dataclasses.replace(other, rows=rows)
    with pytest.raises(ParityError, match="unseen"):
        parity(serialize(build_graph(model(), SPEC)), changed, SPEC, steps)


def test_the_sweep_of_the_path_meets_the_guard_at_every_point() -> None:
    sweep = PolicyGraph(set_floors(serialize(build_graph(model(), SPEC)), sweep_floors(SPEC)))
    for point in range(len(SPEC.path)):
        assert said(sweep, NEW, floor=-float(point)) == Said(REFERENCE, "guard", 0)


def test_an_example_of_a_bundle_is_beyond_the_guard(graph: PolicyGraph) -> None:
    examples = make_golden(graph)
    found = [layout.REASONS[int(one.decision[layout.REASON])] for one in examples]
    made_up = next(one for one in examples if one.text == golden._TEXTS[-1])
    assert "guard" in found
    assert made_up.decision[layout.REASON] == layout.reason("guard")
    assert made_up.decision[layout.OOD] > 0.9
    check_golden(graph, examples)
    with pytest.raises(golden.BundleError, match="another decision"):
        check_golden(opened(random_spec()), examples)


def test_the_manifests_rule_holds_the_threshold() -> None:
    assert rule(SPEC)["guard"] == GUARD
    assert rule(random_spec())["guard"] == 1.0
