"""What a context column is: its name, its kind and, for a category, its vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["category", "number", "flag"]


@dataclass(frozen=True)
class ContextColumn:
    """One column of the graph's `context` input.

    Attributes
    ----------
    name : str
        The column of the trace table.
    kind : {"category", "number", "flag"}
        A category is given as its index in `vocabulary`, a flag as 0 or 1; NaN is unknown.
    vocabulary : tuple of str
        Empty unless a category.
    """

    name: str
    kind: Kind
    vocabulary: tuple[str, ...] = ()
