"""Print what the default fleet measures: shares of variance, tiers, and how far routers can get.

python -m tierwise.data.fleet_figures [--params params.yaml]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import run_stage
from tierwise.data.fleet_draw import Fleet, draw
from tierwise.data.fleet_params import FleetParams
from tierwise.data.fleet_world import World, make_world, parts
from tierwise.data.params import section

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LAMBDAS = np.concatenate([[0.0], np.geomspace(1e-3, 1e3, 200)])  # quality per mean dearest cost
SHRINK = 20.0  # pseudo-steps with which a task's mean is drawn towards the tier's


def routing_gain(estimate: Floats, price: Floats, quality: Floats, cost: Floats) -> float:
    """Return (AUC - AUC of fixed tiers) / (AUC of the oracle - AUC of fixed tiers).

    AUC is the area under the upper concave hull of (mean cost, mean quality) between the mean costs
    of the cheapest and of the best tier, the router being swept over argmax(estimate - l price).

    Parameters
    ----------
    estimate, price : ndarray of shape (n_steps, n_tiers)
        What the router believes of quality and of cost in USD.
    quality, cost : ndarray of shape (n_steps, n_tiers)
        What came of each tier.
    """
    fixed = np.stack([cost.mean(axis=0), quality.mean(axis=0)], axis=1)
    low, high = fixed[:, 0].min(), fixed[fixed[:, 1].argmax(), 0]
    constant = _area(fixed, low, high)
    router = _area(np.concatenate([fixed, _sweep(estimate, price, quality, cost)]), low, high)
    oracle = _area(np.concatenate([fixed, _sweep(quality, cost, quality, cost)]), low, high)
    return float((router - constant) / (oracle - constant))


def saved(estimate: Floats, price: Floats, quality: Floats, cost: Floats, level: float) -> float:
    """Return the cost saved against the best tier where the router keeps `level` of its quality."""
    best = quality.mean(axis=0).argmax()
    points = _sweep(estimate, price, quality, cost)
    points = np.concatenate([points, [[cost[:, best].mean(), quality[:, best].mean()]]])
    enough = points[points[:, 1] >= level * quality[:, best].mean()]
    return float(1 - enough[:, 0].min() / cost[:, best].mean())


def task_table(task: Ints, learn: NDArray[np.bool_], value: Floats) -> Floats:
    """Return each tier's mean of `value` per task type, learned on `learn`, for all steps."""
    overall = value[learn].mean(axis=0)
    sums = np.zeros((task.max() + 1, value.shape[1]))
    np.add.at(sums, task[learn], value[learn])
    counts = np.bincount(task[learn], minlength=len(sums))[:, None]
    means: Floats = ((sums + SHRINK * overall) / (counts + SHRINK))[task]
    return means


def text_residual(fleet: Fleet, learn: NDArray[np.bool_], table: Floats) -> Floats:
    """Return the table plus a ridge on hashed words and word pairs for what it leaves over."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.linear_model import Ridge

    hashed = HashingVectorizer(n_features=2**17, ngram_range=(1, 2), norm=None, binary=True)
    counts = hashed.transform(fleet.steps["text"])
    words = TfidfTransformer().fit(counts[learn]).transform(counts)
    model = Ridge(alpha=10.0, solver="sparse_cg").fit(words[learn], (fleet.quality - table)[learn])
    result: Floats = table + model.predict(words)
    return result


def variance_shares(world: World, fleet: Fleet) -> dict[str, float]:
    """Return each part's share of the variance of the difficulty over the fleet's steps."""
    found = parts(world, fleet.plan)
    total = np.var(sum(found.values(), np.zeros(len(fleet.plan))))
    return {name: float(np.var(part) / total) for name, part in found.items()}


def report(params: FleetParams, n_traces: int) -> list[str]:
    """Return the lines of the report for a fleet of `n_traces` traces, half of them learned on."""
    world_rng, fleet_rng = np.random.default_rng(params.seed).spawn(3)[:2]
    world = make_world(params, world_rng)
    fleet = draw(world, n_traces, fleet_rng)
    quality, cost = fleet.quality, fleet.cost
    learn = fleet.plan.trace < n_traces // 2
    test = ~learn
    table = task_table(fleet.plan.task, learn, quality)
    price = task_table(fleet.plan.task, learn, cost)
    routers = {
        "task table": (table, price),
        "task table + text ridge": (text_residual(fleet, learn, table), price),
        "true quality and cost": (fleet.true_quality, fleet.true_cost),
    }
    lines = [f"{n_traces} traces, {len(quality)} steps"]
    lines += [f"share of variance  {k:6} {v:.3f}" for k, v in variance_shares(world, fleet).items()]
    lines += _tier_lines(fleet)
    for name, (estimate, believed) in routers.items():
        at = [saved(estimate[test], believed[test], quality[test], cost[test], r) for r in LEVELS]
        gain = routing_gain(estimate[test], believed[test], quality[test], cost[test])
        kept = "  ".join(f"saved@{100 * r:.0f} {s:.2f}" for r, s in zip(LEVELS, at, strict=True))
        lines.append(f"{name:24} routing gain {gain:.3f}  {kept}")
    return lines


LEVELS = (1.0, 0.98, 0.95, 0.90)


def _tier_lines(fleet: Fleet) -> list[str]:
    quality, cost, latency = fleet.quality, fleet.cost, fleet.latency
    ok = quality >= 0.5
    cheapest = np.where(ok.any(axis=1), ok.argmax(axis=1), -1)
    lines = []
    for k, tier in enumerate(fleet.world.tiers):
        lines.append(
            f"{tier.name:12} quality {quality[:, k].mean():.3f}  cost {1e3 * cost[:, k].mean():.3f}"
            f" USD/1000  latency {np.median(latency[:, k]):.2f} s  "
            f"cheapest ok on {np.mean(cheapest == k):.3f} of the steps"
        )
    lines.append(f"no tier ok on {np.mean(cheapest < 0):.3f}")
    dearest = ok[:, -1] & ~ok[:, 0]
    lines.append(f"last ok and first not: {dearest.mean():.3f}")
    invalid = np.nanmean(fleet.valid == 0, axis=0)
    lines.append("check fails, by tier: " + " ".join(f"{v:.3f}" for v in invalid))
    return lines


def _sweep(estimate: Floats, price: Floats, quality: Floats, cost: Floats) -> Floats:
    """Return (mean cost, mean quality) at every weight of cost, (n_lambdas, 2)."""
    rows, scale = np.arange(len(quality)), cost.mean(axis=0).max()
    picks = [(estimate - weight * price / scale).argmax(axis=1) for weight in LAMBDAS]
    return np.array([[cost[rows, k].mean(), quality[rows, k].mean()] for k in picks])


def _area(points: Floats, low: float, high: float) -> float:
    """Return the area under the upper concave hull of the points over low..high."""
    grid = np.linspace(low, high, 400)
    best = points[:, 1].max()
    points = np.concatenate([points, [[high, -np.inf], [max(high, points[:, 0].max()), best]]])
    points = points[np.isfinite(points[:, 1])]
    hull: list[Floats] = []
    for point in points[np.lexsort((points[:, 1], points[:, 0]))]:
        while len(hull) > 1 and _turns_left(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    corners = np.array(hull)
    return float(np.trapezoid(np.interp(grid, corners[:, 0], corners[:, 1]), grid))


def _turns_left(a: Floats, b: Floats, c: Floats) -> bool:
    return bool((b[0] - a[0]) * (c[1] - a[1]) >= (b[1] - a[1]) * (c[0] - a[0]))


def main() -> None:
    """Print the report for `--params` and `--traces`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--traces", type=int, default=3000)
    options = parser.parse_args()
    params = section(options.params, "fleet", FleetParams)
    print("\n".join(report(params, options.traces)))


if __name__ == "__main__":
    run_stage(main)
