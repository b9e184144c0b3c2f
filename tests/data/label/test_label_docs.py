"""The worked example of docs/labels.md does what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


def test_the_worked_example_prints_what_the_page_shows(root: Path, tmp_path: Path) -> None:
    page = (root / "docs" / "labels.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(yaml|python|sh|text)\n(.*?)```", page, re.DOTALL)
    files = {"yaml": "params.yaml", "python": "mock_models.py"}
    commands, shown = [], []
    for kind, content in blocks:
        if kind in files:
            (tmp_path / files[kind]).write_text(content)
        else:
            (commands if kind == "sh" else shown).append(content)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command, expected in zip(commands, shown, strict=True):
        done = subprocess.run(
            ["bash", "-ec", command], cwd=tmp_path, env=os.environ | {"PATH": path},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.stderr, done.stdout) == ("", expected)
