"""An explanation of a step that the guard holds back: score, threshold, what it hangs on."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

from tests.serve.routers import router_of
from tests.training.fits import SMALL, fit_steps, make_steps
from tierwise.router_model.graph import build_graph, serialize
from tierwise.serve import Router
from tierwise.serve.explain_text import lines

GREEK = "καλημέρα κόσμε αντίο φίλε θάλασσα"
STRATA = [{"name": "rest", "roles": [], "points": [12]}]
FLOORS = {"floor": {"kind": "retain", "level": 0.95}, "levels": [0.95], "strata": STRATA}


@cache
def router(*left_out: str) -> Router:
    """A policy with a guard, certified far down the path; some of its rule may be left out."""
    params = dataclasses.replace(SMALL, bits=12, pair_bits=12, guard=0.99)
    fitted = fit_steps(make_steps(), params)
    spec = fitted.spec
    return router_of(serialize(build_graph(fitted.model, spec)), spec, FLOORS, left_out)


def test_score_and_threshold_are_said_in_words() -> None:
    found = router().explain(GREEK)
    assert found.decision.reason == "guard"
    assert "too unlike" in found.because
    limit = router().manifest.rule["guard"]
    assert found.decision.ood > limit
    (said,) = found.details
    assert f"{100 * found.decision.ood:.3g} % of the text's tokens" in said
    assert f"above {100 * limit:.3g} % the reference serves" in said
    assert said in "\n".join(lines(found))


def test_a_step_within_the_guard_is_explained_by_its_floor() -> None:
    found = router().explain("prove the report")
    assert found.decision.reason == "floor"
    assert found.details[0].startswith("floor: retain")


def test_an_earlier_bundles_threshold_is_unknown_and_nothing_fails() -> None:
    (said,) = router("guard").explain(GREEK).details
    assert "of the text's tokens" in said
    assert "above" not in said


def test_a_word_that_brings_the_text_back_within_the_guard_could_have_changed_the_tier() -> None:
    text, new = "copy the file of data", iter(GREEK.split())
    while router().decide(text).reason == "floor":
        text = f"{text} {next(new)}"
    found = router().explain(text)
    assert found.decision.reason == "guard"
    assert any("back within it" in note for note in found.notes)
    assert not any(note.startswith("The floor keeps") for note in found.notes)
    moves: list[Any] = [move for move in found.moves if move.tier_without != found.decision.tier]
    assert all(abs(move.by_floor) > 0.5 for move in moves)
    assert moves
