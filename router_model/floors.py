"""A certificate as the graph's floor table."""

from __future__ import annotations

from typing import Any

import numpy as np

from tierwise.router_model.graph import FloorTable, empty_floors
from tierwise.router_model.spec import PolicySpec

REST = "rest"  # the certificate's name for the roles that share a stratum


def floor_table(certificate: dict[str, Any], spec: PolicySpec) -> FloorTable:
    """Turn "how far each level may go" into "the strictest level at each point".

    Parameters
    ----------
    certificate : dict
        The content of certificate.json.
    spec : PolicySpec

    Returns
    -------
    FloorTable
        A role that the certificate does not name has the pooled rest's row.
    """
    table = empty_floors(spec)
    levels = certificate["levels"]
    rows = {s["name"]: np.array(s["points"]) for s in certificate["strata"]}
    for row, role in enumerate([*spec.roles, REST]):
        points = rows.get(role, rows.get(REST))
        if points is None:
            continue
        for level, reached in zip(levels, points, strict=True):  # ascending: the last one wins
            if reached > 0:
                table.strictest[row, 1 : reached + 1] = level
        table.default[row] = certificate["floor"]["level"]
    return table
