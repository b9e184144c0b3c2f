"""The graph decides as the rule does on the NumPy model's estimates, whatever the host asks."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.router_model.policies import (
    BITS,
    N_ROLES,
    N_TASKS,
    PAIR_BITS,
    random_model,
    random_spec,
    random_steps,
)
from tierwise.features.token_session import TokenIds
from tierwise.router_model import layout
from tierwise.router_model.estimate import estimate
from tierwise.router_model.graph import (
    TABLE,
    FloorTable,
    build_graph,
    empty_floors,
    serialize,
    set_floors,
    sweep_floors,
)
from tierwise.router_model.graph_check import check_graph
from tierwise.router_model.rule import choose
from tierwise.router_model.runtime import PolicyGraph, estimates_of

UNKNOWN = np.full((1, 6), np.nan, np.float32)
CERTIFIED = (np.inf, 0.99, 0.98, 0.97, 0.95, 0.9, 0.9, 0.85, -np.inf)
"""The strictest floor certified at each point; the default of 0.95 is point 4."""
DEFAULT_POINT = 4


def floors(default: float = 0.95) -> FloorTable:
    strictest = np.tile(np.array(CERTIFIED, np.float32), (N_ROLES + 1, 1))
    return FloorTable(strictest, np.full(N_ROLES + 1, default, np.float32))


def open_graph(content: bytes) -> PolicyGraph:
    check_graph(content)
    return PolicyGraph(content)


@pytest.fixture(scope="module")
def plain() -> bytes:
    return serialize(build_graph(random_model(), random_spec()))


@pytest.fixture(scope="module")
def graph(plain: bytes) -> PolicyGraph:
    return open_graph(set_floors(plain, floors()))


@pytest.fixture(scope="module")
def sweep(plain: bytes) -> PolicyGraph:
    return open_graph(set_floors(plain, sweep_floors(random_spec())))


def reason(decision: np.ndarray) -> str:
    return layout.REASONS[int(decision[layout.REASON])]


def rule_tiers(decisions: np.ndarray, n_tiers: int = 3, reference: int | None = None) -> np.ndarray:
    spec = random_spec(n_tiers, reference)
    said = estimates_of(decisions)
    relative = said.total_cost * (np.float32(1) / np.float32(spec.mean_reference_cost))
    return choose(said.quality, relative, spec.reference, spec.path)


@pytest.mark.parametrize(("n_tiers", "seed"), [(2, 0), (3, 1), (3, 2), (16, 3)])
@pytest.mark.parametrize("left_out", ["", "trees", "network"])
def test_estimates_are_the_numpy_models(n_tiers: int, seed: int, left_out: str) -> None:
    model = random_model(n_tiers, seed)
    if left_out:
        model = dataclasses.replace(model, **{left_out: None})
    texts, context = random_steps(40)
    decisions = open_graph(serialize(build_graph(model, random_spec(n_tiers)))).decisions(
        texts, context
    )
    ours = estimate(model, *TokenIds(BITS, PAIR_BITS).many(texts), context)
    for name in ("quality", "cost", "total_cost", "latency"):
        theirs = getattr(estimates_of(decisions), name)
        np.testing.assert_allclose(theirs, getattr(ours, name), atol=1e-5, err_msg=name)
    np.testing.assert_allclose(decisions[:, layout.OOD], ours.unseen, atol=1e-6)


@pytest.mark.parametrize("n_tiers", range(2, 17))
def test_a_network_says_in_the_graph_what_it_says_in_numpy(n_tiers: int) -> None:
    """Whatever the number of tiers, and however large a number of the context."""
    model = dataclasses.replace(random_model(n_tiers, n_tiers), trees=None)
    texts, context = random_steps(20)
    context[5:, 4:] = np.array([[-np.inf], [-1], [0], [1], [3e38]] * 3, np.float32)
    graph = open_graph(serialize(build_graph(model, random_spec(n_tiers))))
    said = estimate(model, *TokenIds(BITS, PAIR_BITS).many(texts), context).quality
    np.testing.assert_allclose(graph.estimates(texts, context).quality, said, atol=1e-5)
    plain = dataclasses.replace(model, network=None)
    without = estimate(plain, *TokenIds(BITS, PAIR_BITS).many(texts), context).quality
    assert np.abs(said - without).max() > 0.02


@pytest.mark.parametrize(("n_tiers", "reference"), [(2, 1), (3, 2), (3, 0), (16, 9)])
def test_the_tier_is_the_rules_at_every_point_of_the_path(n_tiers: int, reference: int) -> None:
    spec = random_spec(n_tiers, reference)
    content = serialize(build_graph(random_model(n_tiers, 4), spec))
    sweep = open_graph(set_floors(content, sweep_floors(spec)))
    texts, context = random_steps(30)
    wanted = rule_tiers(sweep.decisions(texts, context), n_tiers, reference)
    assert (wanted[0] == reference).all()
    assert len(np.unique(wanted)) > 1
    for point in range(len(spec.path)):
        for i, text in enumerate(texts):
            decision = sweep.decide(text, context[i : i + 1], floor=-float(point))
            assert decision[layout.TIER] == wanted[point, i]
            assert decision[layout.POINT] == point


def test_complexity_exactly_at_a_trees_threshold_goes_the_same_way(graph: PolicyGraph) -> None:
    model = random_model()
    assert model.trees is not None
    at = model.trees.threshold[model.trees.feature == 4]
    context = np.tile(np.array([0, 0, 50, 500, 0, 1], np.float32), (3 * len(at), 1))
    context[:, 4] = np.concatenate([at, np.nextafter(at, 0), np.nextafter(at, np.float32(99))])
    texts = (b"copy the file",) * len(context)
    ours = estimate(model, *TokenIds(BITS, PAIR_BITS).many(texts), context).quality
    np.testing.assert_allclose(graph.estimates(texts, context).quality, ours, atol=1e-5)
    assert len(np.unique(ours[:, 0])) > 1


def test_ids_are_given_for_golden_checks(graph: PolicyGraph) -> None:
    for text in random_steps(10)[0]:
        np.testing.assert_array_equal(graph.ids(text), TokenIds(BITS, PAIR_BITS).ids(text))


def test_a_context_of_which_nothing_is_known_is_decided(graph: PolicyGraph) -> None:
    decision = graph.decide(b"", UNKNOWN)
    assert reason(decision) == "floor"
    assert np.isfinite(decision).all()


def test_no_floor_is_the_certified_default(graph: PolicyGraph) -> None:
    for text in (b"prove it", b"copy"):
        by_default = graph.decide(text, UNKNOWN)
        np.testing.assert_array_equal(by_default, graph.decide(text, UNKNOWN, floor=np.nan))
        np.testing.assert_array_equal(by_default, graph.decide(text, UNKNOWN, floor=0.95))
        assert by_default[layout.POINT] == DEFAULT_POINT


def test_a_looser_floor_goes_farther_and_a_stricter_one_less_far(graph: PolicyGraph) -> None:
    asked = (1.0, 0.99, 0.985, 0.98, 0.95, 0.9, 0.86, 0.85, 0.5)
    points = [graph.decide(b"a", UNKNOWN, floor=f)[layout.POINT] for f in asked]
    assert points == [0, 1, 1, 2, 4, 6, 6, 7, 7]


def test_a_floor_stricter_than_certified_serves_the_reference_and_says_so(
    graph: PolicyGraph,
) -> None:
    texts, context = random_steps(20)
    for i, text in enumerate(texts):
        decision = graph.decide(text, context[i : i + 1], floor=0.995)
        assert decision[layout.TIER] == 2
        assert reason(decision) == "not_certified"


def test_an_empty_floor_table_serves_the_reference_whatever_the_floor(plain: bytes) -> None:
    graph = open_graph(plain)
    for floor in (None, 0.0, 0.5, 1.0, -1e30):
        decision = graph.decide(b"copy", UNKNOWN, floor=floor)
        assert decision[layout.TIER] == 2
        assert reason(decision) == "not_certified"


def test_each_role_has_its_own_floor_and_an_unknown_one_the_last_row(plain: bytes) -> None:
    table = floors()
    table.strictest[1, 1:] = -np.inf  # nothing is certified for role 1
    table.default[2] = 0.99
    graph = open_graph(set_floors(plain, table))
    context = np.repeat(UNKNOWN, 4, axis=0)
    context[:3, 0] = [0, 1, 2]
    found = graph.decisions([b"a"] * 4, context)
    assert found[:, layout.POINT].tolist() == [4, 0, 1, 4]
    wanted = ["floor", "not_certified", "floor", "floor"]
    assert [reason(decision) for decision in found] == wanted


def test_a_role_or_task_beyond_its_vocabulary_is_an_unknown_one(graph: PolicyGraph) -> None:
    for column in (0, 1):
        beyond = UNKNOWN.copy()
        beyond[0, column] = max(N_ROLES, N_TASKS)
        decision = graph.decide(b"a", beyond)
        np.testing.assert_array_equal(decision, graph.decide(b"a", UNKNOWN))


def test_a_tier_that_is_not_allowed_is_never_served(sweep: PolicyGraph) -> None:
    texts, context = random_steps(15)
    for bits in range(1, 7):
        allowed = np.array([bits & 1, bits >> 1 & 1, bits >> 2 & 1], np.float32)
        for i, text in enumerate(texts):
            for point in (0, 3, 5, 8):
                decision = sweep.decide(text, context[i : i + 1], allowed, -float(point))
                assert allowed[int(decision[layout.TIER])] == 1


def test_without_the_reference_the_best_quality_among_the_allowed_is_served(
    sweep: PolicyGraph,
) -> None:
    texts, context = random_steps(30)
    for i, text in enumerate(texts):
        decision = sweep.decide(text, context[i : i + 1], (1, 1, 0), floor=-8.0)
        quality = decision[layout.block("quality", 3)]
        assert decision[layout.TIER] == quality[:2].argmax()
        assert reason(decision) == "constrained"


def test_a_mask_that_changes_nothing_leaves_the_reason(graph: PolicyGraph) -> None:
    texts, context = random_steps(40)
    seen = set()
    for i, text in enumerate(texts):
        free = graph.decide(text, context[i : i + 1])
        for barred in (0, 1):
            allowed = np.ones(3)
            allowed[barred] = 0
            decision = graph.decide(text, context[i : i + 1], allowed)
            changed = free[layout.TIER] == barred
            assert reason(decision) == ("constrained" if changed else "floor")
            if not changed:
                assert decision[layout.TIER] == free[layout.TIER]
            seen.add(bool(changed))
    assert seen == {True, False}


def test_where_no_tier_is_allowed_none_is_named(graph: PolicyGraph) -> None:
    decision = graph.decide(b"a", UNKNOWN, (0, 0, 0))
    assert reason(decision) == "none_allowed"
    assert decision[layout.TIER] == decision[layout.NEXT_TIER] == -1
    assert decision[layout.CHECK] == decision[layout.LEAD] == 0


def test_a_tier_slower_than_the_limit_is_not_served(graph: PolicyGraph) -> None:
    texts, context = random_steps(30)
    context[:, 0] = 0
    latency = random_model().latency[0]
    limit = float(np.sort(latency)[0]) + 1e-3
    for i, text in enumerate(texts):
        decision = graph.decide(text, context[i : i + 1], max_latency_s=limit)
        assert decision[layout.TIER] == latency.argmin()
    at_limit = graph.decide(b"a", context[:1], max_latency_s=float(latency.min()))
    assert at_limit[layout.TIER] == latency.argmin()
    assert reason(graph.decide(b"a", context[:1], max_latency_s=0.01)) == "none_allowed"


def test_an_unknown_latency_passes_any_limit(graph: PolicyGraph) -> None:
    context = UNKNOWN.copy()
    context[0, 0] = 1  # the latency of tier 0 is unknown for role 1
    decision = graph.decide(b"a", context, max_latency_s=0.01)
    assert decision[layout.TIER] == 0
    assert np.isnan(decision[layout.block("latency_s", 3)][0])


def test_ties_go_to_the_cheaper_tier() -> None:
    model = dataclasses.replace(random_model(), trees=None, network=None)
    rows, pair_rows = model.rows.copy(), model.pair_rows.copy()
    rows[:, :3] = pair_rows[:, :3] = 0
    flat = np.zeros_like(model.task)
    flat[:, :3] = 0.5
    model = dataclasses.replace(
        model, rows=rows, pair_rows=pair_rows, task=flat, role=0 * model.role
    )
    content = serialize(build_graph(model, random_spec()))
    sweep = open_graph(set_floors(content, sweep_floors(random_spec())))
    free = sweep.decide(b"a", UNKNOWN, floor=-4.0)  # no margin, no weight: all tiers score alike
    assert free[layout.TIER] == 0
    assert free[layout.LEAD] == 0
    assert sweep.decide(b"a", UNKNOWN, (0, 1, 1), -4.0)[layout.TIER] == 1
    assert sweep.decide(b"a", UNKNOWN, (1, 1, 0), -4.0)[layout.TIER] == 0


def test_the_lead_is_that_over_the_runner_up(sweep: PolicyGraph) -> None:
    decision = sweep.decide(b"prove", UNKNOWN, floor=-4.0)
    first, second = np.sort(decision[layout.block("quality", 3)])[[-1, -2]]
    assert decision[layout.LEAD] == pytest.approx(first - second, abs=1e-6)


def test_next_tier_and_check_are_the_served_tiers(sweep: PolicyGraph) -> None:
    checked = random_model().checked
    for tier in range(3):
        decision = sweep.decide(b"a", UNKNOWN, np.eye(3)[tier], -4.0)
        assert decision[layout.TIER] == tier
        assert decision[layout.NEXT_TIER] == (tier + 1 if tier < 2 else -1)
        assert decision[layout.CHECK] == checked[tier]


def test_setting_floors_changes_the_table_and_nothing_else(plain: bytes) -> None:
    before, after = (onnx.load_from_string(b) for b in (plain, set_floors(plain, floors())))
    tables = []
    for proto in (before, after):
        (tensor,) = (t for t in proto.graph.initializer if t.name == TABLE)
        tables.append(numpy_helper.to_array(tensor)[0].copy())
        tensor.Clear()
    assert serialize(before) == serialize(after)
    changed = (tables[0] != tables[1]) & ~np.isnan(tables[0])  # an unknown latency is NaN in both
    n_points = len(CERTIFIED)
    of_role, of_task = 0, 1
    assert not changed[of_task].any()
    assert not changed[of_role, :, : -n_points - 1].any()
    np.testing.assert_array_equal(
        tables[1][of_role, : N_ROLES + 1, -n_points - 1 : -1], floors().strictest
    )


def test_setting_the_empty_floors_again_gives_the_first_bytes(plain: bytes) -> None:
    assert set_floors(set_floors(plain, floors()), empty_floors(random_spec())) == plain


def test_the_graph_has_few_nodes() -> None:
    """A node costs about a tenth of an empty call, whatever it does."""
    counts = [len(build_graph(random_model(n), random_spec(n)).graph.node) for n in (3, 16)]
    assert counts[0] == counts[1] <= 79


def test_the_same_model_gives_the_same_bytes(plain: bytes) -> None:
    assert serialize(build_graph(random_model(), random_spec())) == plain
