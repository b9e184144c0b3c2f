"""A tier that has just joined: taken for one that it is said to be like, until it is known itself.

With no answer of its own it is estimated as that tier; each answer it gives moves the estimate, by
as much as `prior_steps` steps of prior leave it (Efron and Morris 1975, "Data analysis using
Stein's estimator and its generalizations": shrinkage towards a guess). The other tiers are learned
as if it were not there, so that joining changes nothing for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tierwise.features.steps import StepTable
from tierwise.router_model.model import TokenRows
from tierwise.training.components import LEAST_COMPLETE
from tierwise.training.cost import CostModel
from tierwise.training.logged import drawn_steps, effective
from tierwise.training.quality import Quality
from tierwise.training.tables import Tables, fit_tables

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KNOWN_STEPS = 300.0  # effective steps from which a tier is learned for itself
PRIOR_STEPS = 50.0
LEAST_COSTS = 20  # known costs from which a tier's cost is its own


@dataclass(frozen=True)
class Newcomer:
    """A tier that is estimated by another.

    Attributes
    ----------
    tier, like : int
        Their places among all tiers.
    prior_steps : float
        Steps of its own that the likeness is worth.
    price_ratio : float
        What a call costs, over that of the other tier; NaN is unknown.
    steps : float
        Effective steps of its own so far.
    """

    tier: int
    like: int
    prior_steps: float
    price_ratio: float
    steps: float

    @property
    def own_share(self) -> float:
        """How far its own answers are heeded, 0..1."""
        return self.steps / (self.steps + self.prior_steps)


def newcomers(
    tiers: list[Mapping[str, object]], learn: StepTable, known: StepTable
) -> tuple[Newcomer, ...]:
    """Return the tiers that the catalogue says are like another and that are not known yet.

    Parameters
    ----------
    tiers : list of mapping
        The content of tiers.json: `name`, `like`, `prior_steps`, prices.
    learn, known : StepTable
        As logged, and with pseudo-outcomes.
    """
    place = {name: at for at, name in enumerate(learn.tiers)}
    own = effective(_evidence(learn)[1])
    share = (~np.isnan(known.quality)).mean(axis=0) if len(known) else np.zeros(len(place))
    found = []
    for entry in tiers:
        at = place[str(entry["name"])]
        if entry.get("like") is None or (own[at] >= KNOWN_STEPS and share[at] >= LEAST_COMPLETE):
            continue
        like = place[str(entry["like"])]
        prior = float(str(entry.get("prior_steps") or PRIOR_STEPS))
        ratio = _price(entry) / _price(tiers[like])
        found.append(Newcomer(at, like, prior, ratio, float(own[at])))
    return tuple(found)


def without(steps: StepTable, new: tuple[Newcomer, ...]) -> StepTable:
    """Return the steps as if these tiers had never been there, whatever was served."""
    keep = kept(len(steps.tiers), new)
    return replace(
        steps,
        tiers=tuple(steps.tiers[k] for k in keep),
        quality=steps.quality[:, keep],
        cost=steps.cost[:, keep],
        latency=steps.latency[:, keep],
        valid=steps.valid[:, keep],
        propensities=steps.propensities[:, keep],
        served=np.full(len(steps), -1),
        propensity=np.full(len(steps), np.nan),
    )


def kept(n_tiers: int, new: tuple[Newcomer, ...]) -> Ints:
    """Return the places of the other tiers."""
    return np.setdiff1d(np.arange(n_tiers), [one.tier for one in new])


def adopt(
    quality: Quality, learn: StepTable, task: Ints, role: Ints, new: tuple[Newcomer, ...]
) -> Quality:
    """Return what was learned without the newcomers with a column for each of them.

    Parameters
    ----------
    quality : Quality
        Of the other tiers.
    learn : StepTable
        As logged, all tiers.
    task, role : ndarray of shape (n_steps,)
        Row numbers of the tables.
    new : tuple of Newcomer
    """
    source = _source(len(learn.tiers), new)
    n_known = len(set(source.tolist()))
    text = quality.rows
    wide, pair_wide = (
        np.concatenate([source, np.arange(n_known, len(s))]) for s in (text.scale, text.pair_scale)
    )
    rows = TokenRows(
        text.rows[:, wide], text.scale[wide],
        text.pair_rows[:, pair_wide], text.pair_scale[pair_wide],
    )  # fmt: skip
    out = replace(
        quality,
        task=quality.task[:, source],
        role=quality.role[:, source],
        rows=rows,
        out_of_fold=quality.out_of_fold[:, source],
    )
    if out.trees is not None:
        out = replace(out, trees=replace(out.trees, mixing=out.trees.mixing[:, source]))
    if out.network is not None:
        out = replace(out, network=replace(out.network, out=out.network.out[:, source]))
    if out.projection is not None:
        columns = wide[:-1]
        projection = replace(
            out.projection,
            weight=out.projection.weight[:, columns],
            bias=out.projection.bias[columns],
        )
        out = replace(out, projection=projection)
    for one in new:
        own = _own_tables(out, learn, task, role, one)
        out.task[:, one.tier] += own.task[:, 0]
        out.role[:, one.tier] += own.role[:, 0]
        moved = out.out_of_fold[:, one.tier] + own.predict(task, role)[:, 0]
        out.out_of_fold[:, one.tier] = np.clip(moved, 0.0, 1.0)
    return out


def adopt_cost(cost: CostModel, known: Floats, new: tuple[Newcomer, ...]) -> CostModel:
    """Return the cost model where a newcomer of few known costs costs as its prices say.

    Parameters
    ----------
    cost : CostModel
        Of all tiers.
    known : ndarray of shape (n_steps, n_tiers)
        USD; NaN is unknown.
    new : tuple of Newcomer
        Where its prices are unknown too, it stays as dear as the dearest.
    """
    task, role = cost.tables.task.copy(), cost.tables.role.copy()
    slope, least = cost.slope.copy(), cost.least.copy()
    for one in new:
        if (~np.isnan(known[:, one.tier])).sum() >= LEAST_COSTS or np.isnan(one.price_ratio):
            continue
        for array in (task, role, slope):
            array[:, one.tier] = one.price_ratio * array[:, one.like]
        least[one.tier] = one.price_ratio * least[one.like]
    return CostModel(Tables(task, role), slope, least)


def _source(n_tiers: int, new: tuple[Newcomer, ...]) -> Ints:
    """Return, for each tier, whose column among the kept ones stands for it."""
    like = {one.tier: one.like for one in new}
    place = {int(tier): at for at, tier in enumerate(kept(n_tiers, new))}
    return np.array([place[like.get(tier, tier)] for tier in range(n_tiers)])


def _own_tables(
    quality: Quality, learn: StepTable, task: Ints, role: Ints, one: Newcomer
) -> Tables:
    """Return what the newcomer's answers add to the likeness, shrunk towards nothing."""
    outcome, weight = (array[:, [one.tier]] for array in _evidence(learn))
    rest = outcome - quality.out_of_fold[:, [one.tier]]
    sizes = len(quality.task) - 1, len(quality.role) - 1
    tables = fit_tables(rest, task, role, *sizes, one.prior_steps, weight)
    mean = tables.task[-1]  # the row of an unknown task holds the mean alone
    return Tables(tables.task - (1 - one.own_share) * mean, tables.role)


def _evidence(learn: StepTable) -> tuple[Floats, Floats]:
    """Return answers that are a fair sample, and their weights, each (n_steps, n_tiers).

    A served answer counts by 1 / propensity and only where it was drawn; one of a tier that ran
    beside the served one counts as one.
    """
    tier = np.arange(len(learn.tiers))
    chosen = (learn.served >= 0)[:, None] & (learn.served[:, None] == tier)
    drawn = chosen & drawn_steps(learn)[:, None]
    outcome = np.where(chosen & ~drawn, np.nan, learn.quality)
    inverse = 1.0 / np.where(drawn, learn.propensity[:, None], 1.0)
    return outcome, np.where(np.isnan(outcome), 0.0, inverse)


def _price(entry: Mapping[str, object]) -> float:
    """Return USD per million tokens in and out together; NaN where one is unknown."""
    prices = [entry.get("price_in"), entry.get("price_out")]
    return float("nan") if None in prices else sum(float(str(price)) for price in prices)
