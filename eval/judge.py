"""What the policy's decisions were worth on steps whose outcome is known for every tier."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.data.role_table import RoleTable
from tierwise.eval import controls
from tierwise.eval.bootstrap import Interval, gain_difference, mean_difference, ratio, unit_codes
from tierwise.eval.calibration import Bin, expected_error, reliability
from tierwise.eval.metrics import Floats, curve, reachable, routing_gain, saved_at, sweep
from tierwise.eval.role_table import serve_by_role, serve_by_rule

Points = tuple[Floats, Floats]
GAIN_DRAWS = 200  # a draw of the gain rebuilds three hulls: 3 ms


@dataclass(frozen=True)
class Facts:
    """Steps of one part, outcomes complete.

    Attributes
    ----------
    text : tuple of bytes
    role, task : ndarray of str, shape (n_steps,)
        Empty where unknown.
    unit : ndarray of str, shape (n_steps,)
        Split units.
    complexity, judgment : ndarray of shape (n_steps,)
        NaN where unknown.
    quality, cost, latency : ndarray of shape (n_steps, n_tiers)
        Quality 0..1 of the first answer; USD and seconds, retries included; latency may be NaN.
    """

    text: tuple[bytes, ...]
    role: NDArray[np.str_]
    task: NDArray[np.str_]
    unit: NDArray[Any]
    complexity: Floats
    judgment: Floats
    quality: Floats
    cost: Floats
    latency: Floats

    @property
    def key(self) -> NDArray[np.str_]:
        """Role and task as one word: what a table written by hand could look at."""
        return np.char.add(np.char.add(self.role, "\x1f"), self.task)


@dataclass(frozen=True)
class Draws:
    """How intervals are drawn."""

    count: int
    level: float
    rng: np.random.Generator


def value(facts: Facts, tier: NDArray[np.int64], reference: int, draws: Draws) -> dict[str, Any]:
    """Return mean quality, mean cost and what is kept and saved against the reference tier."""
    rows, unit = np.arange(len(tier)), unit_codes(facts.unit)
    quality, cost = facts.quality[rows, tier], facts.cost[rows, tier]
    usual, dear = facts.quality[:, reference], facts.cost[:, reference]
    drawn = (unit, draws.count, draws.rng, draws.level)
    result: dict[str, Any] = {
        "quality": float(quality.mean()),
        "cost_usd": float(cost.mean()),
        "reference_quality": float(usual.mean()),
        "reference_cost_usd": float(dear.mean()),
        "quality_kept": asdict(ratio(quality, usual, *drawn)),
        "miss": asdict(mean_difference(np.maximum(usual - quality, 0.0), 0 * usual, *drawn)),
        "quality_interval": asdict(mean_difference(quality, 0 * usual, *drawn)),
        "cost_saved": asdict(saved(ratio(cost, dear, *drawn))),
        "cost_difference_usd": asdict(mean_difference(cost, dear, *drawn)),
    }
    time, usual_time = facts.latency[rows, tier], facts.latency[:, reference]
    known = np.isfinite(time) & np.isfinite(usual_time)
    if known.any():
        part = (unit_codes(facts.unit[known]), *drawn[1:])
        result["time_saved"] = asdict(saved(ratio(time[known], usual_time[known], *part)))
        result["time_known_share"] = float(known.mean())
    return result


def saved(share: Interval) -> Interval:
    """Return 1 - share, ends in order."""
    return Interval(1 - share.value, 1 - share.high, 1 - share.low)


def shares(tier: NDArray[np.int64], tiers: Sequence[str]) -> dict[str, float]:
    """Return the share of steps each tier serves."""
    counts = np.bincount(tier, minlength=len(tiers)) / max(len(tier), 1)
    return {name: float(share) for name, share in zip(tiers, counts, strict=True)}


def fixed_controls(
    facts: Facts, tiers: Sequence[str], table: RoleTable, rng: np.random.Generator
) -> dict[str, NDArray[np.int64]]:
    """Return the controls that serve one tier a step: their choices, each of shape (n_steps,)."""
    n_steps, n_tiers = facts.quality.shape
    return {
        **{f"always {name}": controls.always(i, n_steps) for i, name in enumerate(tiers)},
        "role table": serve_by_role(table, facts.role, tiers),
        "rule of thumb": serve_by_rule(facts.task, facts.complexity, facts.judgment, n_tiers),
        "random": controls.at_random(n_steps, n_tiers, rng),
    }


def swept_controls(learn: Facts, test: Facts, most: int) -> dict[str, NDArray[np.int8]]:
    """Return the controls that are swept: choices of shape (n_points, n_steps).

    Parameters
    ----------
    learn, test : Facts
        Fitted on the first, applied to the second.
    most : int
        Learn steps that nearest texts are looked for among, evenly spaced: searching is slow.
    """
    cost_hat = controls.task_mean(learn.key, learn.cost, test.key)
    by_task = controls.task_mean(learn.key, learn.quality, test.key)
    some = np.unique(np.linspace(0, len(learn.text) - 1, min(most, len(learn.text))).astype(int))
    texts = [learn.text[i] for i in some]
    by_words = controls.nearest_texts(texts, learn.quality[some], test.text)
    return {
        "task mean": sweep(by_task, cost_hat),
        "nearest texts": sweep(by_words, cost_hat),
        "oracle": sweep(test.quality, test.cost),
    }


def compare(
    facts: Facts, policy: Mapping[str, Any], reference: int, fixed: Mapping[str, NDArray[np.int64]]
) -> dict[str, dict[str, float]]:
    """Return mean quality and cost of fixed controls and of the best mixture of tiers."""
    rows, found = np.arange(len(facts.quality)), {}
    usual, dear = facts.quality[:, reference].mean(), facts.cost[:, reference].mean()
    for name, tier in fixed.items():
        found[name] = {
            "quality": float(facts.quality[rows, tier].mean()),
            "cost_usd": float(facts.cost[rows, tier].mean()),
        }
    mixed = controls.best_mixture(facts.quality, facts.cost, policy["cost_usd"])
    found["best mixture"] = {"quality": mixed, "cost_usd": policy["cost_usd"]}
    for one in found.values():
        one["quality_kept"] = float(one["quality"] / usual) if usual > 0 else math.nan
        one["cost_saved"] = float(1 - one["cost_usd"] / dear) if dear > 0 else math.nan
    return found


def swept(
    facts: Facts,
    path: NDArray[np.int8],
    others: Mapping[str, NDArray[np.int8]],
    at_cost: float,
    draws: Draws,
) -> tuple[dict[str, Any], dict[str, Points]]:
    """Return routing gains and savings of swept policies, and the points of their curves.

    `others` holds the swept controls, the oracle among them. Each control's point is picked on
    the judged steps themselves, which the policy's is not: the comparison favors the controls.
    """
    quality, cost = facts.quality, facts.cost
    points = {name: curve(c, quality, cost) for name, c in {"router": path, **others}.items()}
    found: dict[str, Any] = {}
    for name, one in points.items():
        found[name] = {
            "routing_gain": routing_gain(*one, quality, cost),
            "quality_at_policy_cost": float(reachable(*one, np.array([at_cost]))[0]),
            **{f"saved_at_{r}": saved_at(one, quality, cost, r / 100) for r in (100, 98, 95)},
        }
    found["router"]["gain_over_task_mean"] = asdict(
        gain_difference(
            path,
            others["task mean"],
            others["oracle"],
            quality,
            cost,
            unit_codes(facts.unit),
            min(draws.count, GAIN_DRAWS),
            draws.rng,
            draws.level,
        )
    )
    return found, points


def calibration(
    estimate: Floats, quality: Floats, tiers: Sequence[str], n_bins: int
) -> dict[str, tuple[Bin, ...]]:
    """Return the reliability bins of each tier."""
    return {
        name: reliability(estimate[:, i], quality[:, i], n_bins) for i, name in enumerate(tiers)
    }


def calibration_numbers(bins: Mapping[str, tuple[Bin, ...]]) -> dict[str, dict[str, float]]:
    """Return the expected calibration error and both means of each tier."""
    found = {}
    for name, ones in bins.items():
        steps = max(sum(one.steps for one in ones), 1)
        found[name] = {
            "ece": expected_error(ones),
            "mean_estimate": sum(one.estimate * one.steps for one in ones) / steps,
            "mean_outcome": sum(one.outcome * one.steps for one in ones) / steps,
        }
    return found


def slices(
    facts: Facts,
    tier: NDArray[np.int64],
    reference: int,
    least: int,
    most: int,
    draws: Draws,
) -> dict[str, dict[str, Any]]:
    """Return the slices by role and by task that keep least quality, worst first.

    Only slices of at least `least` steps, at most `most` of them. They are picked for being bad,
    so that some of what they show is chance; no promise is made for any of them.
    """
    rows = np.arange(len(tier))
    served, usual = facts.quality[rows, tier], facts.quality[:, reference]
    paid, dear = facts.cost[rows, tier], facts.cost[:, reference]
    masks = {
        f"{kind} {name or 'unknown'}": values == name
        for kind, values in (("role", facts.role), ("task", facts.task))
        for name in np.unique(values).tolist()
    }
    judged = {
        name: mask for name, mask in masks.items() if mask.sum() >= least and usual[mask].sum() > 0
    }
    kept = {name: float(served[mask].sum() / usual[mask].sum()) for name, mask in judged.items()}
    found = {}
    for rank, name in enumerate(sorted(judged, key=lambda key: (kept[key], key))[:most], start=1):
        mask, unit = judged[name], unit_codes(facts.unit[judged[name]])
        found[name] = {
            "rank": rank,
            "steps": int(mask.sum()),
            "units": int(unit.max()) + 1,
            "quality_kept": asdict(
                ratio(
                    served[mask], usual[mask], unit, min(draws.count, 500), draws.rng, draws.level
                )
            ),
            "cost_saved": float(1 - paid[mask].sum() / max(dear[mask].sum(), 1e-300)),
        }
    return found
