"""The learn part as the members of the stack see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tierwise.features.columns import ContextColumn
from tierwise.features.steps import StepTable
from tierwise.training.tables import codes

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class LearnData:
    """Steps as the members see them.

    Attributes
    ----------
    quality : ndarray of shape (n_steps, n_tiers)
    task, role : ndarray of shape (n_steps,)
        Row numbers of the tables.
    sizes : tuple of int
        Numbers of tasks and roles.
    text : sparse matrix of shape (n_steps, n_tokens)
    vectors : ndarray of shape (n_steps, n_dims)
    inputs : ndarray of shape (n_steps, n_columns + n_dims)
        What trees and network look at: context, then the vector.
    numbers : ndarray of bool, shape (n_columns + n_dims,)
        Inputs whose values have an order: all but categories.
    """

    quality: Floats
    task: Ints
    role: Ints
    sizes: tuple[int, int]
    text: sp.csr_matrix
    vectors: Floats32
    inputs: Floats32
    numbers: NDArray[np.bool_]

    @property
    def n_context(self) -> int:
        """Number of context columns."""
        return int(self.inputs.shape[1] - self.vectors.shape[1])

    def rows(self, index: NDArray[np.bool_]) -> LearnData:
        """Return some of the steps."""
        return LearnData(
            self.quality[index], self.task[index], self.role[index], self.sizes,
            self.text[index], self.vectors[index], self.inputs[index], self.numbers,
        )  # fmt: skip


def learn_data(
    steps: StepTable,
    columns: tuple[ContextColumn, ...],
    fill: Floats32,
    text: sp.csr_matrix,
    vectors: Floats32,
) -> LearnData:
    """Gather what the members look at; `fill` stands for unknown context."""
    sizes = (len(columns[1].vocabulary), len(columns[0].vocabulary))
    ordered = [column.kind != "category" for column in columns]
    context = np.where(np.isnan(steps.context), fill, steps.context)
    return LearnData(
        quality=steps.quality,
        task=codes(steps.context[:, 1], sizes[0]),
        role=codes(steps.context[:, 0], sizes[1]),
        sizes=sizes,
        text=text,
        vectors=vectors,
        inputs=np.concatenate([context, vectors], axis=1).astype(np.float32),
        numbers=np.array([*ordered, *([True] * vectors.shape[1])]),
    )
