"""A new tier starts as the one it is like, and its own answers move it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from tests.training.fits import COLUMNS, SMALL, make_steps
from tierwise.features.steps import LEARN, StepTable
from tierwise.router_model.graph import build_graph, serialize
from tierwise.router_model.runtime import PolicyGraph
from tierwise.training.fit import Fitted, fit

NEW, LIKE = 2, 1
CATALOGUE: list[Mapping[str, object]] = [
    {"name": "tier0", "price_in": 1.0, "price_out": 1.0},
    {"name": "tier1", "price_in": 2.0, "price_out": 2.0},
    {"name": "tier2", "price_in": 3.0, "price_out": 3.0, "like": "tier1", "prior_steps": 50.0},
]


def seen(answers: int, shift: float = 0.0) -> StepTable:
    """Return steps where the new tier answered the first `answers`, by `shift` unlike its like."""
    steps = make_steps(1_500).of_part(LEARN)
    quality, cost = steps.quality.copy(), steps.cost.copy()
    quality[:, NEW] = np.clip(quality[:, LIKE] + shift, 0, 1)
    quality[answers:, NEW] = np.nan
    cost[:, NEW] = np.nan
    return replace(steps, quality=quality, cost=cost, valid=np.full_like(quality, np.nan))


def fitted(steps: StepTable, catalogue: list[Mapping[str, object]] = CATALOGUE) -> Fitted:
    unknown = np.full(len(steps.tiers), np.nan)
    return fit(steps, COLUMNS, SMALL, unknown, np.random.default_rng(0), catalogue)


def newcomer(found: Fitted) -> dict[str, object]:
    notes = found.notes["newcomers"]
    assert isinstance(notes, dict)
    return dict(notes["tier2"])


def test_without_an_answer_it_is_estimated_as_the_tier_it_is_like() -> None:
    found = fitted(seen(0))
    np.testing.assert_allclose(found.quality[:, NEW], found.quality[:, LIKE])
    np.testing.assert_allclose(found.model.task[:, NEW], found.model.task[:, LIKE])
    np.testing.assert_array_equal(found.model.rows[:, NEW], found.model.rows[:, LIKE])
    assert newcomer(found)["own_share"] == 0


def test_without_a_known_cost_it_costs_by_its_prices() -> None:
    found = fitted(seen(0))
    np.testing.assert_allclose(found.total_cost[:, NEW], 1.5 * found.total_cost[:, LIKE])


def test_its_joining_changes_nothing_for_the_others() -> None:
    few, many = fitted(seen(0)), fitted(seen(200, -0.3))
    np.testing.assert_array_equal(few.quality[:, :NEW], many.quality[:, :NEW])
    np.testing.assert_array_equal(few.model.rows[:, :NEW], many.model.rows[:, :NEW])


@pytest.mark.parametrize("answers", [10, 50, 200])
def test_its_own_answers_move_it_by_their_share(answers: int) -> None:
    found = fitted(seen(answers, -0.3))
    moved = float((found.quality[:, NEW] - found.quality[:, LIKE]).mean())
    own = answers / (answers + 50)
    assert newcomer(found)["own_share"] == pytest.approx(own, abs=1e-3)
    assert moved == pytest.approx(-0.3 * own, abs=0.05)


def test_with_enough_answers_it_is_learned_for_itself() -> None:
    found = fitted(seen(900, -0.3))
    assert "newcomers" not in found.notes


def test_it_is_never_the_reference() -> None:
    assert fitted(seen(100, +0.5)).spec.reference != NEW


def test_answers_that_were_not_drawn_do_not_count() -> None:
    steps = seen(0)
    quality = steps.quality.copy()
    quality[:100] = np.nan
    quality[:100, NEW] = 0.1
    served = np.full(len(steps), -1)
    served[:100] = NEW
    logged = replace(steps, quality=quality, served=served, feedback="mixed")
    assert newcomer(fitted(logged))["effective_steps"] == 0


def test_the_graph_says_of_it_what_the_out_of_fold_estimates_do() -> None:
    steps = seen(200, -0.3)
    found = fitted(steps)
    lead = found.quality[:, LIKE].mean() - found.quality[:, NEW].mean()
    graph = PolicyGraph(serialize(build_graph(found.model, found.spec)))
    said = graph.estimates(steps.text, steps.context).quality
    assert float((said[:, LIKE] - said[:, NEW]).mean()) == pytest.approx(lead, abs=0.05)
