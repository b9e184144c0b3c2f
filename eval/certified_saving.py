"""What certification lets a table save: learn, certify and test are three disjoint parts.

The saving that a swept curve reads off picks its point on the judged steps; this one is picked
without them, by the code that certifies a policy before it ships.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tierwise.data.split import assign
from tierwise.eval.held_out import Held, shipped
from tierwise.eval.judged_table import Table
from tierwise.features.steps import StepTable
from tierwise.router_model.rule import choose, guarded
from tierwise.router_model.runtime import Estimates
from tierwise.training.certificate import Certificate
from tierwise.training.certify import CertifyParams, certify_steps, role_names
from tierwise.training.fit import FitParams

Floats = NDArray[np.float64]

LEVELS = (0.95, 0.98)
SHARES = (0.6, 0.2, 0.2)


@dataclass(frozen=True)
class Certified:
    """One draw of the parts; arrays over `LEVELS`.

    Attributes
    ----------
    saved : ndarray of shape (n_levels,)
        1 - cost of the test part / the reference's; 0 where nothing was certified.
    kept : ndarray of shape (n_levels,)
        Quality of the test part / the reference's.
    swept : ndarray of shape (n_levels,)
        The most that a point of the same path saves on the test part while it keeps the level
        there: what knowing the test part would have allowed.
    """

    saved: Floats
    kept: Floats
    swept: Floats


def certified_saving(table: Table, seed: int, fit: FitParams) -> Certified:
    """Fit on 60 % of the units, certify on 20 %, judge on 20 %.

    Parameters
    ----------
    table : Table
    seed : int
        Of the parts.
    fit : FitParams

    Raises
    ------
    BadInput
        For fewer units than parts.
    """
    ids = [np.array(table.split[c].to_list(), np.str_) for c in ("trace_id", "group")]
    _, part = assign(ids[0], ids[1], None, SHARES, np.random.default_rng(seed))
    held = shipped(table, part == 0, part > 0, fit)
    third = part[part > 0] == 2
    certify, test = _rows(held, ~third), _rows(held, third)
    outcomes = table.outcomes.rows(part == 2)
    found = []
    for level in LEVELS:
        params = CertifyParams(floor="retain", level=level)
        certificate = certify_steps(certify.steps, certify.said, held.spec, params)
        found.append(_judged(test, certificate, outcomes.quality, outcomes.cost, level))
    saved, kept, swept = np.array(found, np.float64).T
    return Certified(saved, kept, swept)


def _rows(held: Held, index: NDArray[np.bool_]) -> Held:
    steps: StepTable = held.steps.rows(index)
    return replace(held, steps=steps, said=Estimates(*(block[index] for block in held.said)))


def _judged(
    test: Held, certificate: Certificate, quality: Floats, cost: Floats, level: float
) -> tuple[float, float, float]:
    """Return cost saved, quality kept and the saving of the best point of the path."""
    spec, said = test.spec, test.said
    relative = said.total_cost * (np.float32(1) / np.float32(spec.mean_reference_cost))
    tiers = choose(said.quality, relative, spec.reference, spec.path)
    tiers = guarded(tiers, said.ood, spec.guard, spec.reference)
    point_of = {
        role: certificate.chosen()[one.name] for one in certificate.strata for role in one.roles
    }
    rest = certificate.chosen().get("rest", -1)
    points = np.array([point_of.get(role, rest) for role in role_names(test.steps, spec)])
    rows = np.arange(len(points))
    served = np.where(points >= 0, tiers[np.maximum(points, 0), rows], spec.reference)
    whole, best = cost[:, spec.reference].sum(), quality[:, spec.reference].sum()
    if whole <= 0 or best <= 0:
        return (float("nan"),) * 3
    every = [(cost[rows, t].sum() / whole, quality[rows, t].sum() / best) for t in tiers]
    swept = max((1 - c for c, q in every if q >= level), default=0.0)
    saved = 1 - float(cost[rows, served].sum() / whole)
    return saved, float(quality[rows, served].sum() / best), swept


def as_dict(draws: list[Certified]) -> dict[str, dict[str, float | int]] | None:
    """Return means over draws of the parts, for each level; None without a draw.

    `broken` is the share of draws whose test part kept less than the level; with a promise of
    probability .9 and a test part that is itself a sample, it may be above .1.
    """
    if not draws:
        return None
    saved, kept, swept = (
        np.stack([getattr(d, n) for d in draws]) for n in ("saved", "kept", "swept")
    )
    return {
        f"{100 * level:.0f}": {
            "saved": float(saved[:, i].mean()),
            "saved_low": float(saved[:, i].min()),
            "saved_high": float(saved[:, i].max()),
            "kept": float(kept[:, i].mean()),
            "broken": float((kept[:, i] < level).mean()),
            "swept": float(swept[:, i].mean()),
            "draws": len(draws),
        }
        for i, level in enumerate(LEVELS)
    }
