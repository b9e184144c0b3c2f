"""A run as the gate finds it: a real small bundle, and test steps whose outcomes a test chooses."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.training.fits import make_steps, names, small_fit
from tierwise.data.tiers import Catalogue, Tier
from tierwise.features.steps import TEST, StepTable, save_steps
from tierwise.router_model import build

POINT = 9  # of the path: well towards cheap
TIERS = names(3)
SIMPLE = {
    "controls": {"always tier0": {"quality": 0.5, "cost_usd": 0.001}},
    "curves": {"task mean": {"quality_at_policy_cost": 0.5}},
}


def certificate(kind: str = "retain", level: float = 0.9, point: int = POINT) -> dict[str, Any]:
    return {
        "floor": {"kind": kind, "level": level},
        "levels": [level],
        "strata": [{"name": "rest", "roles": [], "points": [point]}],
        "chosen": {"rest": point},
        "certified_nothing": point < 1,
        "promise": "In words.",
    }


def metrics(quality: float = 0.9) -> dict[str, Any]:
    return {"policy": {"quality": quality, "cost_usd": 0.002}, **SIMPLE}


@cache
def even_steps() -> StepTable:
    """Steps of the test part, complete and all alike good: what is cheaper is better."""
    steps = make_steps(900, seed=3)
    even = np.full(steps.quality.shape, 0.9)
    cost = np.array([0.001, 0.002, 0.004]) * np.ones(steps.quality.shape)
    alone = np.array([f"v{i // 3}" for i in range(len(steps))])
    return replace(
        steps,
        part=np.full(len(steps), TEST, np.int8),
        quality=even,
        cost=cost,
        valid=np.ones(steps.quality.shape),
        unit=alone,
    )


def with_quality(quality: NDArray[np.float64]) -> StepTable:
    return replace(even_steps(), quality=quality)


def write_run(
    run: Path,
    steps: StepTable | None = None,
    promised: dict[str, Any] | None = None,
    tiers: tuple[str, ...] = TIERS,
    rules: str = "# none\n",
) -> Path:
    """Write what the gate reads; the bundle is built by its own stage."""
    run.mkdir(parents=True, exist_ok=True)
    small = small_fit()
    spec = replace(small.fitted.spec, tiers=tiers)
    (run / "graph.onnx").write_bytes(small.graph)
    catalogue = Catalogue(tuple(Tier(name, price_in=1.0) for name in tiers))
    contents = {
        "spec": spec.as_dict(),
        "tiers": catalogue.to_dict(),
        "certificate": promised or certificate(),
        "metrics": metrics(),
    }
    for name, value in contents.items():
        (run / f"{name}.json").write_text(json.dumps(value))
    save_steps(run / "steps.npz", replace(steps or even_steps(), tiers=tiers))
    (run / "traces.parquet").write_bytes(b"a table")
    (run / "params.yaml").write_text("bundle: {}\ngate: {}\n")
    (run / "rules.yaml").write_text(rules)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(run)
        patch.setattr(sys, "argv", ["bundle", "--run", str(run)])
        build.main()
    return run
