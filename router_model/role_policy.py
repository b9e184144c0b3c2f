"""A policy that is a role table: what serves before anything is learned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tierwise.data.role_table import RoleTable, position
from tierwise.features.columns import ContextColumn
from tierwise.router_model.model import Model, no_rows
from tierwise.router_model.rule import Path
from tierwise.router_model.spec import PolicySpec

BITS = 16

Float32 = NDArray[np.float32]


def fixed_tiers(
    table: RoleTable, roles: tuple[str, ...], tiers: tuple[str, ...]
) -> tuple[int, ...]:
    """Return the tier of each role and, last, of an unknown one.

    Raises
    ------
    BadInput
        Where the table names a tier that there is not.
    """
    places = {role: position(tier, tiers) for role, tier in table.roles.items()}
    default = position(table.default, tiers)
    return (*(places.get(role.strip().lower(), default) for role in roles), default)


def preference(fixed: tuple[int, ...], n_tiers: int) -> Float32:
    """Order the tiers of each role, shape (n_roles + 1, n_tiers): greatest first.

    The role's own tier, then dearer ones from the nearest on, then cheaper ones: where an outage
    or a rule takes the role's tier away, the error should cost money, not quality.
    """
    tier, own = np.arange(n_tiers)[None, :], np.array(fixed)[:, None]
    dearer = 1.0 - (tier - own) / (4.0 * n_tiers)
    cheaper = 0.5 - (own - tier) / (4.0 * n_tiers)
    return np.where(tier >= own, dearer, cheaper).astype(np.float32)


def role_spec(
    fixed: tuple[int, ...],
    tiers: tuple[str, ...],
    ladder: tuple[int, ...],
    columns: tuple[ContextColumn, ...],
) -> PolicySpec:
    """Return the spec of a role table; the dearest tier stands as the reference."""
    point = Path(np.zeros(1, np.float32), np.zeros(1, np.float32))
    return PolicySpec(tiers, len(tiers) - 1, 1.0, point, ladder, columns, BITS, BITS, fixed)


def role_model(
    fixed: tuple[int, ...],
    columns: tuple[ContextColumn, ...],
    fill: Float32,
    latency: Float32,
) -> Model:
    """Return the weights of a role table whose costs are unknown.

    Parameters
    ----------
    fixed : tuple of int
        As from `fixed_tiers`.
    columns : tuple of ContextColumn
    fill : ndarray of shape (n_columns,)
        What stands for unknown context.
    latency : ndarray of shape (n_roles + 1, n_tiers)
        Seconds; NaN is unknown.
    """
    n_tiers, n_roles = latency.shape[1], len(fixed) - 1
    unknown = np.full((n_roles + 1, n_tiers), np.nan, np.float32)
    text = no_rows(n_tiers + 1, n_tiers + 1)
    return Model(
        rows=text.rows,
        scale=text.scale,
        pair_rows=text.pair_rows,
        pair_scale=text.pair_scale,
        task=np.zeros((len(columns[1].vocabulary) + 1, 2 * n_tiers), np.float32),
        role=np.concatenate([preference(fixed, n_tiers), unknown], axis=1),
        cost_slope=np.zeros((2, n_tiers), np.float32),
        fill=fill,
        checked=np.zeros(n_tiers, np.float32),
        least_cost=np.zeros(n_tiers, np.float32),
        latency=latency,
        retry=np.tile(np.eye(n_tiers, dtype=np.float32), (n_roles + 1, 1, 1)),
        trees=None,
        network=None,
    )
