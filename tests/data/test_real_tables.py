"""Public outcome tables go through with no special case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tierwise.data.errors import BadInput
from tierwise.data.split import SplitParams, split

EXPECTED = {  # feedback, tiers, rows, refused rows
    "routellm_mmlu": ("full", 2, 28_074, 0),
    "routellm_gsm8k": ("full", 2, 2_614, 0),
    "mmlu_pro": ("full", 5, 59_770, 0),
    "llmrouter_mixed": ("full", 3, 18_324, 0),
    "mint_episodes": ("full", 4, 2_344, 0),
    "intercode_steps": ("logged", 7, 89_682, 39),
    "tau2_steps": ("logged", 9, 9_314, 0),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_real_table_is_ingested_and_split(run: Any, tables: Path, name: str) -> None:
    summary = run.read(tables / f"{name}.parquet")
    found = (summary.feedback.kind, len(summary.tiers), summary.rows, summary.rejected)
    assert found == EXPECTED[name]
    split(run.folder, SplitParams())
    parts = pd.read_parquet(run.folder / "split.parquet")
    share = parts["part"].value_counts(normalize=True)
    assert len(parts) == summary.steps
    assert share.to_dict() == pytest.approx({"learn": 0.6, "certify": 0.2, "test": 0.2}, abs=0.02)


def test_a_table_of_144_steps_is_refused(run: Any, tables: Path) -> None:
    with pytest.raises(BadInput, match="144 steps"):
        run.read(tables / "routellm_mt_bench.parquet")
