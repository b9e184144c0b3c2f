"""Fixtures that every folder of tests may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def tables() -> Path:
    """The folder of real outcome tables; a test that asks for it is skipped where there is none."""
    folder = Path(os.environ.get("TIERWISE_TABLES", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real tables in {folder}: set TIERWISE_TABLES to their folder")
    return folder
