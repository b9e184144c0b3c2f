from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tierwise.data.ingest import IngestParams, ingest
from tierwise.data.summary import Summary

Row = dict[str, Any]


def make_log(n_steps: int = 200, tiers: Sequence[str] = ("small", "large")) -> list[Row]:
    """Every tier answers every step; the dearer tier costs more and fails less."""
    return [
        {
            "trace_id": f"t{step // 4:04d}",
            "step_id": str(step % 4),
            "text": f"question {step}",
            "tier": tier,
            "quality": float(step % 5 >= 2 - rank),
            "cost_usd": 0.001 * 10**rank,
        }
        for step in range(n_steps)
        for rank, tier in enumerate(tiers)
    ]


def write_lines(path: Path, rows: Sequence[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def log() -> Callable[..., list[Row]]:
    return make_log


@pytest.fixture
def lines() -> Callable[[Path, Sequence[Row]], Path]:
    return write_lines


class Run:
    """Ingests rows, written as JSON lines, into a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "run"
        self._source = folder / "log.jsonl"

    def __call__(self, rows: Sequence[Row], tiers: Path | None = None, **limits: Any) -> Summary:
        return self.read(write_lines(self._source, rows), tiers, **limits)

    def read(
        self,
        source: Path | str,
        tiers: Path | None = None,
        mapping: dict[str, str] | None = None,
        dry_run: bool = False,
        **limits: Any,
    ) -> Summary:
        params = IngestParams(**limits)
        return ingest(str(source), self.folder, tiers, mapping or {}, params, dry_run)

    @property
    def traces(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "traces.parquet")

    @property
    def rejects(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "rejects.parquet")

    @property
    def tiers(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.folder / "tiers.json").read_text("utf-8"))
        return value


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)
