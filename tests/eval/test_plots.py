"""Plots take any name and are the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tierwise.eval.calibration import Bin
from tierwise.eval.plots import write_plots

NAMES = ["$\\broken{", "a, b", "_hidden"]


def write(folder: Path) -> None:
    write_plots(
        folder,
        {"router": (np.array([1.0, 2.0]), np.array([0.5, 0.9]))},
        (1.5, 0.8),
        {name: {"cost_usd": 1.0 + i, "quality": 0.5} for i, name in enumerate(NAMES)},
        {name: (Bin(0.2, 0.3, 5),) for name in NAMES},
        {name: dict.fromkeys(NAMES, 1 / 3) for name in NAMES},
    )


def test_names_that_look_like_formulas_or_columns_are_names(tmp_path: Path) -> None:
    write(tmp_path)
    assert '1,0.5,$\\broken{\n2,0.5,"a, b"\n' in (tmp_path / "curve.csv").read_text()
    assert '"a, b",$\\broken{,0.333333' in (tmp_path / "mix.csv").read_text()
    for name in ("curve", "calibration", "mix"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_hold_no_time_and_no_version(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b")
    for path in (tmp_path / "a").glob("*.png"):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
        assert b"Matplotlib" not in path.read_bytes()
