"""A bundle's decisions on steps that were laid out for another one: matched by name."""

from __future__ import annotations

import numpy as np

from tierwise.eval.champion_steps import translated
from tierwise.features.columns import ContextColumn

ROLE = ContextColumn("role", "category", ("planner", "worker", "critic"))
DEPTH = ContextColumn("depth", "number")


def test_words_get_the_wanted_vocabularys_codes() -> None:
    wanted = ContextColumn("role", "category", ("worker", "judge", "planner"))
    have = np.array([[0], [1], [2], [np.nan]], np.float32)
    found = translated(have, [ROLE], [wanted])
    assert np.array_equal(found, [[2], [0], [np.nan], [np.nan]], equal_nan=True)


def test_columns_are_found_by_name_whatever_their_order() -> None:
    have = np.array([[1, 5], [0, np.nan]], np.float32)
    found = translated(have, [ROLE, DEPTH], [DEPTH, ROLE])
    assert np.array_equal(found, [[5, 1], [np.nan, 0]], equal_nan=True)
    assert found.dtype == np.float32


def test_a_column_that_nobody_has_is_unknown_and_one_that_is_not_wanted_is_left_out() -> None:
    found = translated(np.ones((2, 1), np.float32), [DEPTH], [ContextColumn("has_schema", "flag")])
    assert found.shape == (2, 1)
    assert np.isnan(found).all()


def test_a_column_of_another_kind_is_unknown() -> None:
    wanted = ContextColumn("depth", "category", ("1", "2"))
    assert np.isnan(translated(np.ones((2, 1), np.float32), [DEPTH], [wanted])).all()
    assert np.isnan(
        translated(np.ones((2, 1), np.float32), [ROLE], [ContextColumn("role", "number")])
    ).all()
