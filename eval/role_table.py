"""What a team would write down without data, served: a tier for each role, or a rule of thumb.

Both are controls: a learned policy that is no better than these is not worth its upkeep.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tierwise.data.role_table import RANKS, RoleTable, position

SIMPLE_TASKS = frozenset({"extract", "format", "classify", "route"})
SIMPLE_UP_TO = 6  # input_complexity, on a scale of 1 to 10


def serve_by_role(
    table: RoleTable, role: NDArray[np.str_], tiers: Sequence[str]
) -> NDArray[np.int64]:
    """Return the tier the role table serves, shape (n_steps,)."""
    places = {name: position(tier, tiers) for name, tier in table.roles.items()}
    default = position(table.default, tiers)
    names, inverse = np.unique(role, return_inverse=True)
    by_name = [places.get(str(name).strip().lower(), default) for name in names]
    return np.array(by_name, dtype=np.int64)[inverse]


def serve_by_rule(
    task: NDArray[np.str_],
    input_complexity: NDArray[np.float64],
    requires_judgment: NDArray[np.float64],
    n_tiers: int,
) -> NDArray[np.int64]:
    """Return the tier the rule of thumb serves, shape (n_steps,).

    Extracting, formatting, classifying and routing without judgment go to small; other steps of
    input_complexity up to 6 without judgment to mid; the rest to frontier. What is unknown: a
    step counts as needing judgment only where that is recorded (>= .5), and as simple only where
    its complexity is recorded, so a step about which nothing is known goes to frontier.

    Parameters
    ----------
    task : ndarray of str, shape (n_steps,)
        Empty where unknown.
    input_complexity, requires_judgment : ndarray of shape (n_steps,)
        1 to 10 and 0 or 1; NaN where unknown.
    n_tiers : int
        At least 2.
    """
    ranks = [str(index) for index in range(n_tiers)]
    small, mid, frontier = (position(name, ranks) for name in RANKS)
    calm = ~(np.nan_to_num(requires_judgment, nan=0.0) >= 0.5)
    names = np.char.lower(np.char.strip(np.asarray(task, dtype=np.str_)))
    plain = np.isin(names, sorted(SIMPLE_TASKS)) & calm
    simple = np.nan_to_num(input_complexity, nan=np.inf) <= SIMPLE_UP_TO
    return np.where(plain, small, np.where(simple & calm, mid, frontier)).astype(np.int64)
