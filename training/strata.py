"""Which steps share a certificate: roles with enough units stand alone, the rest is pooled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REST = "rest"


@dataclass(frozen=True)
class Part:
    """The steps of one stratum.

    Attributes
    ----------
    name : str
        The role, or `REST`.
    roles : tuple of str
        Roles that are in it, sorted; unknown roles ("") belong to the rest without being named.
    steps : ndarray of shape (n_steps,)
        Mask.
    """

    name: str
    roles: tuple[str, ...]
    steps: NDArray[np.bool_]


def split_roles(role: NDArray[np.str_], unit: NDArray[np.str_], min_units: int) -> tuple[Part, ...]:
    """Split steps by role; the rest comes first and is there even when no step is in it.

    A role never seen here is served under the rest's certificate.

    Parameters
    ----------
    role, unit : ndarray of shape (n_steps,)
        Role ("" unknown) and split unit of each step.
    min_units : int
        Units with at least one step of a role that the role needs to stand alone.
    """
    units: dict[str, set[str]] = {}
    for one_role, one_unit in zip(role.tolist(), unit.tolist(), strict=True):
        units.setdefault(one_role, set()).add(one_unit)
    alone = sorted(r for r, seen in units.items() if len(seen) >= min_units and r not in ("", REST))
    pooled = tuple(sorted(set(units) - set(alone) - {""}))
    rest = Part(REST, pooled, ~np.isin(role, alone))
    return (rest, *(Part(name, (name,), np.asarray(role == name)) for name in alone))
