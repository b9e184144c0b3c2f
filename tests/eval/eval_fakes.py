"""Made-up runs: steps whose outcomes follow rules that the tests know."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.features.columns import ContextColumn
from tierwise.features.steps import StepTable, save_steps
from tierwise.router_model.rule import Path as RulePath
from tierwise.router_model.rule import fit_path
from tierwise.router_model.spec import PolicySpec

ROLES = ("planner", "worker", "<script>alert(1)</script>")
TIERS = ("small", "mid", "large")
PRICES = np.array([0.001, 0.004, 0.02])


@dataclass(frozen=True)
class FakeEstimates:
    quality: NDArray[np.float32]
    total_cost: NDArray[np.float32]
    ood: NDArray[np.float32]


def columns() -> tuple[ContextColumn, ...]:
    return (
        ContextColumn("role", "category", ROLES),
        ContextColumn("task_type", "category", ("extract", "reason")),
        ContextColumn("text_bytes", "number"),
        ContextColumn("context_tokens", "number"),
        ContextColumn("input_complexity", "number"),
        ContextColumn("requires_judgment", "flag"),
    )


def chances(difficulty: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chance that each tier is ok: the small one on easy steps only."""
    strength = np.array([0.35, 0.75, 1.1])
    return np.asarray(np.clip(1.0 - 1.5 * (difficulty[:, None] - strength + 0.1), 0.03, 0.97))


def make_steps(n: int = 1500, seed: int = 0, feedback: Any = "full") -> StepTable:
    """Three tiers, three roles, difficulty told by role and complexity; units of three steps."""
    rng = np.random.default_rng(seed)
    role, task = rng.integers(0, 3, n), rng.integers(0, 2, n)
    difficulty = np.clip(0.25 * role + 0.3 * task + 0.3 * rng.random(n), 0, 1)
    quality = (rng.random((n, 3)) < chances(difficulty)).astype(np.float64)
    cost = PRICES * (0.5 + rng.random((n, 1)))
    context = np.stack(
        [role, task, np.full(n, 9.0), np.full(n, np.nan), 1 + 9 * difficulty, rng.random(n) < 0.3],
        axis=1,
    )
    unit = np.array([f"u{i // 3}" for i in range(n)])
    part = np.array([0, 0, 0, 1, 2], np.int8)[(np.arange(n) // 3) % 5]
    served = np.full(n, -1)
    if feedback != "full":
        served = rng.integers(0, 3, n)
        hidden = np.arange(3)[None, :] != served[:, None]
        quality = np.where(hidden, np.nan, quality)
        cost = np.where(hidden, np.nan, cost)
    if feedback == "none":
        quality = np.full((n, 3), np.nan)
    return StepTable(
        tiers=TIERS,
        step=np.array([f"t/{i}" for i in range(n)]),
        unit=unit,
        part=part,
        text=tuple(
            f"words of {ROLES[r][:7]} {t} {i % 7}".encode()
            for i, (r, t) in enumerate(zip(role, task, strict=True))
        ),
        text_bytes=np.full(n, 9),
        context=context.astype(np.float32),
        quality=quality,
        cost=cost,
        latency=np.tile([1.0, 2.0, 4.0], (n, 1)),
        valid=np.full((n, 3), np.nan),
        served=served,
        propensity=np.full(n, np.nan),
        propensities=np.full((n, 3), np.nan),
        ladder_cost=np.full(n, np.nan),
        feedback=feedback,
    )


def estimates_for(context: NDArray[np.float32]) -> FakeEstimates:
    """What a good graph would say: the true chances, and the tiers' mean costs."""
    difficulty = (context[:, 4].astype(np.float64) - 1) / 9
    cost = np.tile(PRICES, (len(context), 1))
    known = np.zeros(len(context), np.float32)
    return FakeEstimates(chances(difficulty).astype(np.float32), cost.astype(np.float32), known)


class FakeGraph:
    """Stands where a graph of real weights would: same estimates whatever its bytes."""

    def __init__(self, model: bytes) -> None:
        assert model == b"graph"

    def estimates(self, texts: Any, context: NDArray[np.float32]) -> FakeEstimates:
        assert len(texts) == len(context)
        return estimates_for(context)


def make_spec(table: StepTable, fixed: tuple[int, ...] = ()) -> PolicySpec:
    estimates = estimates_for(table.context)
    relative = estimates.total_cost / np.float32(PRICES[2])
    path: RulePath = fit_path(estimates.quality, relative, 2, 24)
    return PolicySpec(
        tiers=TIERS,
        reference=2,
        mean_reference_cost=float(PRICES[2]),
        path=path,
        ladder=(1, 2, -1),
        context=columns(),
        bits=10,
        pair_bits=10,
        fixed_tier=fixed,
    )


def make_certificate(point: int) -> dict[str, Any]:
    rest = {"name": "rest", "roles": ["planner", ROLES[2]], "points": [point], "units": 60}
    worker = {"name": "worker", "roles": ["worker"], "points": [-1], "units": 60}
    return {
        "floor": {"kind": "retain", "level": 0.9},
        "delta": 0.1,
        "levels": [0.9],
        "strata": [rest, worker],
        "chosen": {"rest": point, "worker": -1},
        "promise": "Promised & <b>kept</b>.",
        "certified_nothing": point < 1,
    }


def write_run(run: Path, table: StepTable, point: int = 8) -> None:
    run.mkdir(parents=True)
    save_steps(run / "steps.npz", table)
    (run / "graph.onnx").write_bytes(b"graph")
    (run / "model.json").write_text(json.dumps({"notes": {}}))
    (run / "spec.json").write_text(json.dumps(make_spec(table).as_dict()))
    (run / "certificate.json").write_text(json.dumps(make_certificate(point)))
    (run / "params.yaml").write_text("evaluate: {draws: 200}\n")
