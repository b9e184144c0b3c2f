"""The vectors beside the examples are what this version computes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def kit(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("kit", root / "examples/conformance/write.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["texts", "contexts"])
def test_the_vectors_in_the_folder_are_those_of_this_version(
    kit: ModuleType, root: Path, name: str
) -> None:
    made: list[dict[str, Any]] = getattr(kit, name)()
    folder = root / "examples" / "conformance"
    assert (folder / f"{name}.jsonl").read_text(encoding="ascii") == kit.jsonl(made)


def test_every_rule_of_a_text_has_its_vector(root: Path) -> None:
    """An empty one, one that is cut, one of broken UTF-16, one with parts, one of text alone."""
    lines = (root / "examples/conformance/texts.jsonl").read_text(encoding="ascii").splitlines()
    vectors = [json.loads(line) for line in lines]
    sizes = {one["text_bytes"] for one in vectors}
    assert {0, 4096, 4097} <= sizes
    assert any(isinstance(one["messages"], str) for one in vectors)
    assert any("\\ud800" in line for line in lines)
