"""What can be had from logs without quality: a role table that knows what calls cost."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from tierwise.data.role_table import RoleTable
from tierwise.features.columns import ContextColumn
from tierwise.features.steps import StepTable
from tierwise.router_model.model import Model
from tierwise.router_model.role_policy import fixed_tiers, role_model, role_spec
from tierwise.router_model.spec import PolicySpec
from tierwise.training.cost import fit_cost, retry_table, role_latency
from tierwise.training.tables import codes

Floats = NDArray[np.float64]


def fit_role_table(
    learn: StepTable,
    columns: tuple[ContextColumn, ...],
    table: RoleTable,
    fill: NDArray[np.float32],
    typical_latency: Floats,
    ladder: tuple[int, ...],
) -> tuple[Model, PolicySpec]:
    """Return the role table as a policy, with costs and latencies as logged.

    Parameters
    ----------
    learn : StepTable
        Steps without a known quality.
    columns : tuple of ContextColumn
    table : RoleTable
    fill : ndarray of shape (n_columns,)
        What stands for unknown context.
    typical_latency : ndarray of shape (n_tiers,)
        Seconds; NaN is unknown.
    ladder : tuple of int
        The next tier after a failed check, -1 where none.
    """
    n_roles, n_tasks = len(columns[0].vocabulary), len(columns[1].vocabulary)
    role, task = codes(learn.context[:, 0], n_roles), codes(learn.context[:, 1], n_tasks)
    lengths = np.where(np.isnan(learn.context), fill, learn.context)[:, 2:4].astype(np.float64)
    cost = fit_cost(learn.cost, task, role, (n_tasks, n_roles), lengths)
    latency = role_latency(learn.latency, role, n_roles, typical_latency).astype(np.float32)
    fixed = fixed_tiers(table, columns[0].vocabulary, learn.tiers)
    plain = role_model(fixed, columns, fill, latency)
    n_tiers = len(learn.tiers)
    of_role = np.concatenate([plain.role[:, :n_tiers], cost.tables.role], axis=1)
    of_task = np.concatenate([plain.task[:, :n_tiers], cost.tables.task], axis=1)
    model = dataclasses.replace(
        plain,
        role=of_role.astype(np.float32),
        task=of_task.astype(np.float32),
        cost_slope=cost.slope.astype(np.float32),
        least_cost=cost.least.astype(np.float32),
        retry=retry_table(learn.valid, learn.called, role, n_roles, ladder).astype(np.float32),
    )
    return model, role_spec(fixed, learn.tiers, ladder, columns)
