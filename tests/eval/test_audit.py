"""Where the money goes, from logs alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tierwise.data.errors import BadInput
from tierwise.eval.audit import audit, spend


def calls() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "tier": ["small", "large", "large", "small"],
            "role": ["worker", "worker", "planner", None],
            "cost_usd": [1.0, 5.0, 4.0, np.nan],
            "quality": [np.nan, 1.0, 0.0, np.nan],
        }
    )


def test_shares_are_of_the_known_spend_and_unknown_costs_are_counted() -> None:
    found = spend(calls())
    assert (found["calls"], found["cost_usd"], found["unknown_costs"]) == (4, 10.0, 1)
    worker = found["by_role"]["worker"]
    assert list(worker) == ["small", "large"], "cheap to dear"
    assert worker["large"] == {"calls": 1, "cost_usd": 5.0, "share": 0.5, "quality": 1.0}
    assert worker["small"]["quality"] is None
    assert found["by_role"]["unknown"]["small"]["calls"] == 1


def test_the_dearest_role_is_named_first() -> None:
    lines = spend(calls())["lines"]
    assert lines[0] == "4 calls cost 10 USD without 1 calls of unknown cost"
    assert lines[1].startswith("worker: 60.0% of the spend")


@pytest.mark.parametrize(("chance", "flags"), [(0.88, 1), (0.6, 0)])
def test_a_dear_tier_that_does_no_better_is_hinted_at(chance: float, flags: int) -> None:
    rng = np.random.default_rng(0)
    quality = np.concatenate([rng.random(2000) < chance, rng.random(2000) < 0.88])
    rows = {"tier": np.repeat(["a", "b"], 2000), "role": "worker", "quality": quality}
    found = spend(pd.DataFrame({**rows, "cost_usd": np.repeat([1.0, 9.0], 2000)}))
    assert len(found["flags"]) == flags
    assert all("worth a trial" in flag for flag in found["flags"])


def test_few_calls_give_no_hint() -> None:
    rows = {"tier": ["a", "b"] * 20, "role": "worker", "quality": 1.0, "cost_usd": [1.0, 9.0] * 20}
    assert spend(pd.DataFrame(rows))["flags"] == []


def test_a_table_without_roles_costs_or_quality_is_still_counted(tmp_path: Path) -> None:
    path = tmp_path / "traces.parquet"
    pd.DataFrame({"tier": ["a", "a", "b"]}).to_parquet(path)
    found = audit(path, ["b", "a"])
    assert found["calls"] == found["unknown_costs"] == 3
    assert list(found["by_role"]["unknown"]) == ["b", "a"]


def test_a_file_that_is_no_trace_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "traces.parquet"
    with pytest.raises(BadInput, match="cannot read"):
        audit(path)
    path.write_bytes(b"no parquet")
    with pytest.raises(BadInput, match="cannot read"):
        audit(path)
    pd.DataFrame({"model": ["a"]}).to_parquet(path)
    with pytest.raises(BadInput, match="no column tier"):
        audit(path)
