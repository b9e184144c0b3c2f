"""Context as numbers: which columns, which vocabulary, and unknown is NaN."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tierwise.features.columns import ContextColumn, Kind
from tierwise.features.context import FIRST, ContextParams, encode, fit_columns

DEFAULTS = ContextParams()


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(columns)


def vocabulary(values: list[str | None], params: ContextParams = DEFAULTS) -> list[str]:
    return list(fit_columns(frame(role=values), params)[0].vocabulary)


def encoded(values: object, kind: Kind, words: tuple[str, ...] = ()) -> list[float]:
    column = ContextColumn("depth", kind, words)
    rows = frame(depth=values)
    return encode(rows, np.zeros(len(rows), np.int64), (column,))[:, 0].tolist()


def test_a_table_without_role_and_task_type_still_has_the_first_four_columns() -> None:
    columns = fit_columns(frame(text=["a", "b"]), ContextParams())
    assert tuple(c.name for c in columns) == FIRST
    assert [c.kind for c in columns] == ["category", "category", "number", "number"]
    assert columns[0].vocabulary == columns[1].vocabulary == ()


def test_a_column_that_never_varies_or_is_never_known_is_left_out() -> None:
    rows = frame(n_tools=[3, 3, None], n_sources=[None, None, None], depth=[1, 2, None])
    assert [c.name for c in fit_columns(rows, ContextParams())][4:] == ["depth"]


def test_a_vocabulary_is_in_order_of_frequency_then_of_the_alphabet() -> None:
    assert vocabulary(["b", "c", "a", "c", "b", "c", "a"]) == ["c", "a", "b"]


def test_a_value_seen_too_rarely_is_left_out_of_the_vocabulary() -> None:
    assert vocabulary(["a", "a", "b", None, None]) == ["a"]


def test_a_vocabulary_keeps_the_most_frequent_values() -> None:
    many = ["a"] * 2 + ["b"] * 4 + ["c"] * 3
    assert vocabulary(many, ContextParams(vocabulary=2)) == ["b", "c"]


def test_a_category_is_its_index_and_what_the_vocabulary_lacks_is_nan() -> None:
    values = encoded(["b", "a", "z", None], "category", ("a", "b"))
    np.testing.assert_array_equal(values, [1.0, 0.0, np.nan, np.nan])


@pytest.mark.parametrize("dtype", ["category", "string", "object"])
def test_a_category_reads_alike_from_every_type_of_column(dtype: str) -> None:
    values = pd.Series(["b", None, "a"]).astype(dtype)
    np.testing.assert_array_equal(encoded(values, "category", ("a", "b")), [1.0, np.nan, 0.0])


@pytest.mark.parametrize("dtype", ["boolean", "object"])
def test_a_flag_is_0_or_1_and_unknown_is_not_0(dtype: str) -> None:
    values = pd.Series([True, None, False], dtype=dtype)
    np.testing.assert_array_equal(encoded(values, "flag"), [1.0, np.nan, 0.0])


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "float64", "object"])
def test_an_unknown_number_is_nan_and_not_0(dtype: str) -> None:
    values = pd.Series([7, None, 0], dtype=dtype)
    np.testing.assert_array_equal(encoded(values, "number"), [7.0, np.nan, 0.0])


def test_a_column_that_the_table_lacks_is_unknown_everywhere() -> None:
    column = ContextColumn("workload", "category", ("batch",))
    assert np.isnan(encode(frame(role=["a", "b"]), np.zeros(2, np.int64), (column,))).all()


def test_text_bytes_is_the_given_length_whatever_the_table_says() -> None:
    columns = (ContextColumn("text_bytes", "number"),)
    out = encode(frame(text_bytes=[1, 1]), np.array([10, 5000]), columns)
    assert out[:, 0].tolist() == [10.0, 5000.0]
    assert out.dtype == np.float32
