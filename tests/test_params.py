"""params.yaml and the code agree: a section for each stage, and each key known to its stage."""

from __future__ import annotations

import ast
import dataclasses
import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tierwise.data.errors import BadInput
from tierwise.data.params import section

ROOT = Path(__file__).resolve().parent.parent
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))


def kinds() -> dict[str, Any]:
    """The dataclass with which the code reads each section: `section(path, "name", Kind)`."""
    found = {}
    for folder in ("data", "features", "training", "router_model", "eval"):
        for path in sorted((ROOT / folder).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(
                        func=ast.Name(id="section"),
                        args=[_, ast.Constant(value=str(name)), ast.Name(id=kind)],
                    ):
                        module = importlib.import_module(f"tierwise.{folder}.{path.stem}")
                        found[name] = getattr(module, kind)
    return found


KINDS = kinds()


def test_each_stage_and_the_fleet_have_a_section() -> None:
    assert set(PARAMS) == {*PIPELINE["stages"], "fleet"}


def test_each_section_is_read_by_some_stage() -> None:
    assert set(KINDS) == set(PARAMS)


@pytest.mark.parametrize("name", KINDS)
def test_a_section_shows_every_key_that_its_stage_knows(name: str) -> None:
    section(ROOT / "params.yaml", name, KINDS[name])
    assert set(PARAMS[name] or {}) == {field.name for field in dataclasses.fields(KINDS[name])}


@pytest.mark.parametrize("name", KINDS)
def test_an_unknown_key_is_refused_with_the_nearest_one(tmp_path: Path, name: str) -> None:
    known = next((field.name for field in dataclasses.fields(KINDS[name])), None)
    if known is None:
        pytest.skip(f"the section {name} has no keys")
    path = tmp_path / "params.yaml"
    path.write_text(f"{name}: {{{known}_: 1}}")
    with pytest.raises(BadInput, match=f"did you mean {name}.{known}"):
        section(path, name, KINDS[name])


@pytest.mark.parametrize("name", PIPELINE["stages"])
def test_a_stage_depends_on_its_own_section(name: str) -> None:
    assert name in PIPELINE["stages"][name]["params"]
