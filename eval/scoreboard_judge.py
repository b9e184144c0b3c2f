"""From out-of-fold estimates of router and controls to the figures of one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.eval import certified_saving, few_steps
from tierwise.eval.aiq import aiq
from tierwise.eval.fitted_controls import CONTROLS
from tierwise.eval.metrics import oracle_points
from tierwise.eval.paired import (
    RATIOS,
    Bench,
    Figures,
    by_threshold,
    interval,
    judge,
    make_bench,
    swept,
)
from tierwise.eval.peers import PeerScores, judge_peer
from tierwise.eval.routellm import RouteLlm, beside, routellm
from tierwise.eval.scoreboard_jobs import (
    Settings,
    certified_draws,
    controls_out_of_fold,
    few_draws,
    installed_peers,
    opened,
    router_out_of_fold,
)

Floats = NDArray[np.float64]

BLEND = CONTROLS[-1]


@dataclass(frozen=True)
class Judged:
    """The figures of one table.

    Attributes
    ----------
    figures : dict
        As in the JSON; NaN where there is nothing to route.
    gain, to_blend : ndarray of shape (1 + draws,)
        Routing gain and its difference to the stacked blend, row 0 on the table, the others on
        the draws: tables are independent, so that draws of several can be averaged.
    """

    figures: dict[str, Any]
    gain: Floats
    to_blend: Floats


def judge_table(
    path: Path, settings: Settings, peer_scores: Mapping[str, Floats] | None = None
) -> Judged:
    """Judge router, controls and peers on one table.

    Parameters
    ----------
    path : Path
    settings : Settings
    peer_scores : mapping of str to ndarray of shape (n_steps,), optional
        Difficulty of each step as a peer scores it, in the order of `read_table(path).split`;
        judged by a threshold that is swept between the cheapest and the best tier.
    """
    table = opened(path).table
    known = table.outcomes
    rng = np.random.default_rng(0)
    bench = make_bench(known.quality, known.cost, known.unit, settings.draws, rng)
    two = len(table.tiers) == 2
    router: list[Figures] = []
    controls: dict[str, list[Figures]] = {name: [] for name in CONTROLS}
    called: dict[str, list[RouteLlm]] = {name: [] for name in ("router", *CONTROLS)}
    for seed in settings.seeds:
        quality, cost = router_out_of_fold(path, seed, settings)
        router.append(judge(bench, swept(quality, cost, bench.best)))
        said = controls_out_of_fold(path, seed, settings)
        for name, estimate in said.quality.items():
            controls[name].append(judge(bench, swept(estimate, said.cost, bench.best)))
        if two:
            for name, estimate in {"router": quality, **said.quality}.items():
                score = estimate[:, 1] - estimate[:, 0]
                called[name].append(routellm(score, known.quality, np.random.default_rng(seed)))
    installed = installed_peers(path, settings)
    scores = {name: one.score for name, one in installed.items()} | dict(peer_scores or {})
    peers = {
        name: [judge(bench, by_threshold(score, _cheapest(bench), bench.best))]
        for name, score in scores.items()
    }
    figures = {
        "steps": len(known),
        "left_out": table.left_out,
        "units": len(np.unique(known.unit)),
        "tiers": list(table.tiers),
        **_own(router),
        "controls": {name: _beside(router, one) for name, one in controls.items()},
        "peers": {
            name: _as_it_comes(installed.get(name), bench) | _beside(router, one)
            for name, one in peers.items()
        },
        "aiq": _aiq(bench, {"router": router, **controls, **peers}),
        "routellm": _routellm(called, known.quality) if two else None,
        "certified": certified_saving.as_dict(certified_draws(path, settings)),
        "few_steps": few_steps.as_dict(few_draws(path, settings)),
    }
    gain, blend = (
        np.mean([one.gain for one in seeds], axis=0) for seeds in (router, controls[BLEND])
    )
    return Judged(figures, gain, gain - blend)


def _cheapest(bench: Bench) -> int:
    return int(bench.cost.mean(axis=0).argmin())


def _as_it_comes(peer: PeerScores | None, bench: Bench) -> dict[str, Any]:
    """Return an installed peer's version, speed and what it does at its own thresholds."""
    if peer is None:
        return {}
    told = {name: getattr(peer, name) for name in ("version", "microseconds", "note")}
    if bench.best_cost[0] <= 0:  # there is no share of nothing
        return told
    return told | asdict(judge_peer(peer, bench.quality, bench.cost))


def _own(seeds: list[Figures]) -> dict[str, Any]:
    gain = interval([one.gain for one in seeds])
    return {
        "routing_gain": {**asdict(gain), "seeds": [float(one.gain[0]) for one in seeds]},
        "saved": {
            _percent(ratio): float(np.mean([one.saved[i, 0] for one in seeds]))
            for i, ratio in enumerate(RATIOS)
        },
    }


def _beside(router: list[Figures], others: list[Figures]) -> dict[str, Any]:
    """Return a policy's own figures and what the router is ahead of it, on the same draws."""
    others = others * (len(router) // len(others))
    pairs = list(zip(router, others, strict=True))
    return {
        **_own(others),
        "difference": asdict(interval([a.gain - b.gain for a, b in pairs])),
        "saved_difference": {
            _percent(ratio): asdict(interval([a.saved[i] - b.saved[i] for a, b in pairs]))
            for i, ratio in enumerate(RATIOS)
        },
    }


def _aiq(bench: Bench, policies: Mapping[str, list[Figures]]) -> dict[str, float]:
    found = {
        name: float(np.mean([aiq(one.points, bench.cost) for one in seeds]))
        for name, seeds in policies.items()
    }
    fixed = (bench.cost.mean(axis=0), bench.quality.mean(axis=0))
    oracle = oracle_points(bench.quality, bench.cost)
    return found | {"fixed tiers": aiq(fixed, bench.cost), "oracle": aiq(oracle, bench.cost)}


def _routellm(called: Mapping[str, list[RouteLlm]], quality: Floats) -> dict[str, Any]:
    ends = {n: [one] for n, one in beside(quality, np.random.default_rng(0)).items()}
    return {
        name: {
            "apgr": float(np.mean([one.apgr for one in seeds])),
            **{f"cpt_{p}": float(np.mean([one.cpt[p] for one in seeds])) for p in seeds[0].cpt},
        }
        for name, seeds in {**called, **ends}.items()
    }


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.0f}"
