"""What a caller says about a step -> one row of the graph's `context` input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

TEXT_BYTES = "text_bytes"
_NUMBERS = (float, int, np.bool_, Real)  # the common ones first
_LARGEST = 3.0e38  # just inside float32


class Column(Protocol):
    """A context column of the manifest."""

    @property
    def name(self) -> str:
        """Name in the trace table."""

    @property
    def kind(self) -> str:
        """One of number, category, flag."""

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Values of a category."""


class ContextRow:
    """Makes rows; what cannot be read is unknown (NaN) and counted, never an error.

    Parameters
    ----------
    columns : sequence of context columns
        In the graph's order.
    count : callable
        Told `unknown_column`, `unknown_category` or `bad_value` for each value left out.
    """

    def __init__(self, columns: Sequence[Column], count: Callable[[str], None]) -> None:
        self._unknown = np.full((1, len(columns)), np.nan, np.float32)
        self._count = count
        self._categories: dict[str, tuple[int, dict[str, int]]] = {}
        self._numbers: dict[str, tuple[int, float]] = {}
        for place, column in enumerate(columns):
            if column.name == TEXT_BYTES:
                self._text_bytes = place
            elif column.kind == "category":
                indices = {word: index for index, word in enumerate(column.vocabulary)}
                self._categories[column.name] = place, indices
            else:
                largest = 1.0 if column.kind == "flag" else _LARGEST
                self._numbers[column.name] = place, largest

    def row(
        self, text_bytes: int, given: Mapping[str, Any]
    ) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """Return the context of one step, shape (1, n_columns), and the names left out.

        Parameters
        ----------
        text_bytes : int
            Length of the text before it was cut.
        given : mapping
            Values by column name; None is unknown.
        """
        row = self._unknown.copy()
        row[0, self._text_bytes] = text_bytes
        left_out: tuple[str, ...] = ()
        for name, value in given.items():
            if value is None:
                continue
            if name in self._numbers:
                place, largest = self._numbers[name]
                number = _number(value)
                if number is not None and -largest <= number <= largest:
                    row[0, place] = number
                elif number == number:  # a caller's NaN is a plain unknown
                    self._count("bad_value")
                    left_out += (name,)
            elif name in self._categories:
                place, indices = self._categories[name]
                index = indices.get(value) if isinstance(value, str) else None
                if index is None:
                    self._count("unknown_category")
                    left_out += (name,)
                else:
                    row[0, place] = index
            else:
                self._count("unknown_column")
                left_out += (name,)
        return row, left_out


def _number(value: Any) -> float | None:
    if isinstance(value, _NUMBERS):
        try:
            return float(value)
        except OverflowError:
            return None
    return None
