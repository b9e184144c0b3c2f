"""An explanation says what the graph itself says when it is asked with one thing left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.router_model.policies import random_model, random_spec
from tests.serve.routers import router_of
from tests.training.fits import ROLES, small_fit
from tierwise.features.tokens import reference_ids
from tierwise.router_model.bundle import VerifiedBundle
from tierwise.router_model.floors import floor_table
from tierwise.router_model.graph import build_graph, serialize, set_floors
from tierwise.router_model.layout import DECIDES, REASONS
from tierwise.router_model.runtime import PolicyGraph
from tierwise.serve import Explanation, Router
from tierwise.serve.explain import _words
from tierwise.serve.explain_text import lines

TEXT = "prove the report then copy it"
STEP: dict[str, Any] = {"role": "worker", "task_type": "reason", "input_complexity": 6}


def certificate(**points: int) -> dict[str, Any]:
    strata = [{"name": name, "roles": [name], "points": [at]} for name, at in points.items()]
    return {"floor": {"kind": "retain", "level": 0.95}, "levels": [0.95], "strata": strata}


@cache
def fitted(**points: int) -> Router:
    small = small_fit()
    return router_of(small.graph, small.fitted.spec, certificate(**points))


@pytest.fixture
def router() -> Router:
    return fitted(rest=12)


def changed(router: Router, **values: Any) -> Router:
    """The policy of `fitted(rest=12)` under another manifest."""
    small = small_fit()
    graph = set_floors(small.graph, floor_table(certificate(rest=12), small.fitted.spec))
    manifest = replace(router.manifest, **values)
    return Router(VerifiedBundle(manifest, graph, (), PolicyGraph(graph), ""))


def score(router: Router, text: str, tier: str, **step: Any) -> float:
    """The rule's score as DESIGN writes it, from a decision's estimates and point."""
    made, spec = router.decide(text, **step), router.manifest.rule
    at, point = router.manifest.tier_names.index(tier), int(made.numbers[2])
    total = made.estimates()["total_cost_usd"][at] / spec["mean_reference_cost"]
    margin = spec["margin"][point] if tier == spec["reference"] else 0.0
    return float(made.estimates()["quality"][at] + margin - spec["weight"][point] * total)


def lead(router: Router, found: Explanation, text: str, **step: Any) -> float:
    assert found.runner_up is not None
    ours = score(router, text, found.decision.tier, **step)
    return ours - score(router, text, found.runner_up, **step)


def test_a_word_moved_what_is_lost_without_it(router: Router) -> None:
    found = router.explain(TEXT)
    move = next(one for one in found.moves if one.name == "prove")
    left = "      the report then copy it"  # as long: the length is a column of its own
    assert move.total == pytest.approx(lead(router, found, TEXT) - lead(router, found, left))
    assert abs(move.total) > 1e-3
    assert move.tier_without == router.decide(left).tier


def test_a_column_moved_what_is_lost_when_it_is_unknown(router: Router) -> None:
    found = router.explain(TEXT, **STEP)
    move = next(one for one in found.moves if one.name == "task_type")
    less = lead(router, found, TEXT, **(STEP | {"task_type": None}))
    assert move.total == pytest.approx(lead(router, found, TEXT, **STEP) - less, abs=1e-6)
    assert (move.kind, move.value) == ("context", "reason")


def test_parts_add_up_and_the_strongest_come_first(router: Router) -> None:
    moves = router.explain(TEXT, **STEP).moves
    assert len(moves) == 5
    sizes = [abs(one.total) for one in moves]
    assert sizes == sorted(sizes, reverse=True)
    for one in moves:
        assert one.total == pytest.approx(one.by_quality + one.by_cost + one.by_floor)
    assert any(one.by_cost != 0 for one in moves)


def test_how_far_the_served_tier_is_ahead_is_the_graphs_lead(router: Router) -> None:
    for text in ("copy", "prove and derive", TEXT):
        found = router.explain(text, **STEP)
        view = {one.tier: one for one in found.tiers}
        assert view[found.decision.tier].ahead == pytest.approx(found.decision.lead, abs=1e-5)
        assert view[str(found.runner_up)].ahead == pytest.approx(-found.decision.lead, abs=1e-5)


@pytest.mark.parametrize("n_tiers", [2, 16])
def test_the_runner_up_serves_where_the_served_tier_may_not(n_tiers: int) -> None:
    spec = random_spec(n_tiers)
    graph = serialize(build_graph(random_model(n_tiers), spec))
    router = router_of(graph, spec, certificate(rest=6))
    seen = set()
    for text in ("prove it", "copy the file", "HTTPServer 42"):
        found = router.explain(text, role="worker")
        seen.add(found.decision.tier)
        others = [name for name in spec.tiers if name != found.decision.tier]
        if found.decision.tier != spec.tiers[spec.reference]:
            assert router.decide(text, role="worker", allowed=others).tier == found.runner_up
        assert len(found.tiers) == n_tiers
    assert seen


def test_a_word_is_taken_out_wherever_it_stands_in_either_case(router: Router) -> None:
    text = "Prove what you prove"
    found = router.explain(text)
    assert found.words == 3
    move = next(one for one in found.moves if one.name == "Prove")
    assert move.value == "2 x"
    less = lead(router, found, "      what you      ")
    assert move.total == pytest.approx(lead(router, found, text) - less)


def test_words_are_those_of_the_token_ids() -> None:
    text = b"getUserName(id_2): HTTPServer aB \xc3\xa9A, GET user "
    places = [(start, word) for word, spans in _words(text).items() for start, _ in spans]
    spaced = b" ".join(word for _, word in sorted(places))
    assert reference_ids(spaced, 12, 12) == reference_ids(text, 12, 12)
    assert _words(text)[b"user"] == [(3, 7), (text.index(b"user"), text.index(b"user") + 4)]


def test_punctuation_between_words_is_taken_out_without_joining_them(router: Router) -> None:
    found = router.explain("prove_copy")
    assert found.words == 3
    move = next(one for one in found.moves if one.name == "_")
    less = lead(router, found, "prove copy")
    assert move.total == pytest.approx(lead(router, found, "prove_copy") - less)


def test_a_role_with_a_floor_of_its_own_moved_the_floor() -> None:
    router = fitted(worker=12, rest=-1)
    found = router.explain(TEXT, **STEP)
    assert found.decision.reason == "floor"
    move = next(one for one in found.moves if one.name == "role")
    assert abs(move.by_floor) == pytest.approx(1.0)
    assert move.tier_without == router.manifest.rule["reference"]
    assert "for role worker" in found.details[0]


def test_where_nothing_is_certified_it_says_that_no_estimate_could_change_the_tier() -> None:
    found = fitted(rest=-1).explain(TEXT, **STEP)
    assert found.decision.reason == "not_certified"
    assert "nothing is certified" in found.because
    assert any("could not have changed the tier" in note for note in found.notes)
    assert all(abs(one.ahead) < 3 for one in found.tiers)


def test_without_the_reference_the_score_is_the_expected_quality(router: Router) -> None:
    reference = router.manifest.rule["reference"]
    others = [name for name in router.manifest.tier_names if name != reference]
    found = router.explain(TEXT, allowed=iter(others), **STEP)
    assert found.decision.reason == "constrained"
    assert not {one.tier: one.usable for one in found.tiers}[reference]
    for one in found.tiers:
        assert one.score == one.quality
    assert all(one.by_cost == one.by_floor == 0 for one in found.moves)


def test_a_tier_that_is_too_slow_may_not_serve(router: Router) -> None:
    found = router.explain(TEXT, max_latency_s=1.5, **STEP)
    assert [one.usable for one in found.tiers] == [one.latency_s <= 1.5 for one in found.tiers]
    assert not all(one.usable for one in found.tiers)


def test_with_one_tier_allowed_there_is_no_runner_up(router: Router) -> None:
    found = router.explain(TEXT, allowed="tier0", **STEP)
    assert (found.runner_up, found.moves) == (None, ())
    assert "No other tier" in found.notes[0]


def test_at_most_256_words_are_tried_and_the_cut_is_said(router: Router) -> None:
    some = " ".join(f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(300))
    found = router.explain(some, **STEP)
    assert (found.words, found.tried, found.cut) == (300, 256, False)
    assert "256 of 300" in found.notes[0]
    assert router.explain("word " * 2000, **STEP).cut
    assert not router.explain("x", **STEP).notes


def test_a_bundle_without_its_rule_is_explained_by_quality_and_says_so(router: Router) -> None:
    earlier = changed(router, rule={}, decides={})
    known, found = router.explain(TEXT, **STEP), earlier.explain(TEXT, **STEP)
    assert found.because == known.because
    assert found.runner_up is not None
    assert all(math.isnan(one.score) for one in found.tiers)
    assert all(one.total == one.by_quality and math.isnan(one.by_cost) for one in found.moves)
    assert len(found.moves) == 5
    assert "does not hold its rule" in found.notes[0]


@pytest.mark.parametrize("broken", [{"reference": "huge"}, {"margin": "x"}, {"margin": [0.0]}])
def test_a_rule_that_cannot_be_read_is_no_rule(router: Router, broken: dict[str, Any]) -> None:
    found = changed(router, rule=router.manifest.rule | broken).explain(TEXT, **STEP)
    assert "does not hold its rule" in found.notes[0]


@pytest.mark.parametrize(
    ("limits", "reason"), [({"allowed": []}, "none_allowed"), ({"floor": "x"}, "fallback")]
)
def test_what_no_graph_decided_has_a_sentence_and_nothing_else(
    router: Router, limits: dict[str, Any], reason: str
) -> None:
    found = router.explain(TEXT, **limits)
    assert found.decision.reason == reason
    assert DECIDES[reason] in found.because
    assert (found.tiers, found.moves) == ((), ())
    assert lines(found) == [found.because]


def test_an_explained_decision_is_the_decision_and_counts_once(router: Router) -> None:
    before = router.ignored.total()
    found = router.explain(TEXT, mood="good", floor="0.95", **STEP)
    assert router.ignored.total() == before + 1
    assert found.decision == router.decide(TEXT, mood="good", floor=0.95, **STEP)
    assert found.decision.ignored == ("mood",)


def test_a_decision_names_the_context_it_left_out(router: Router) -> None:
    made = router.decide("a", role="pilot", has_schema=7, input_complexity=math.nan, mood=1)
    assert sorted(made.ignored) == ["has_schema", "mood", "role"]
    assert router.decide("a", **STEP).ignored == ()
    assert router.decide("a", mood=1, allowed=[]).ignored == ("mood",)
    assert router.decide("a", mood=1, floor="x").ignored == ("mood",)


def test_every_reason_has_words() -> None:
    assert tuple(DECIDES) == REASONS
    assert len(set(DECIDES.values())) == len(REASONS)


def test_lines_name_what_decided_the_tiers_and_the_words(router: Router) -> None:
    said = "\n".join(lines(router.explain(TEXT, **STEP)))
    for name in (*router.manifest.tier_names, "runner-up", "certified rule", "task_type = reason"):
        assert name in said


def test_any_text_is_explained(router: Router) -> None:
    odd: Sequence[str] = ("", " ", "\0", "日本語 🚀 \ud800", "!!!", "a" * 9000)
    for text in odd:
        found = router.explain(text, role=ROLES[0])
        assert np.isfinite([one.total for one in found.moves]).all()
        assert lines(found)
