"""A router over the small policy of the bundle tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tierwise.router_model.bundle import write_bundle
from tierwise.router_model.golden import make_golden
from tierwise.router_model.runtime import PolicyGraph
from tierwise.serve import Router


def _small_policy() -> ModuleType:
    path = Path(__file__).parent.parent / "router_model" / "conftest.py"
    spec = importlib.util.spec_from_file_location("small_policy", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = _small_policy()
    model = small.tiny_model().SerializeToString()
    folder = tmp_path_factory.mktemp("bundle") / "policy"
    write_bundle(folder, model, small.tiny_manifest(), make_golden(PolicyGraph(model)))
    return folder


@pytest.fixture
def router(bundle_folder: Path) -> Router:
    return Router.load(bundle_folder)
