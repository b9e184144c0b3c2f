"""What was computed once is kept: arrays in .npz files, named by all that they depend on."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tierwise.data.files import replacing

Arrays = dict[str, NDArray[Any]]
PACKAGE = "tierwise"
LIBRARIES = ("numpy", "scipy", "scikit-learn", "lightgbm", "onnxruntime")
# They say how good an estimate is, never what it is: a cache of estimates outlives their changes.
JUDGES = ("tierwise.eval.metrics",)


@dataclass(frozen=True)
class Cache:
    """A folder of results.

    Attributes
    ----------
    folder : Path
        Made where missing.
    """

    folder: Path

    def path(self, kind: str, table: str, **depends: Any) -> Path:
        """Return the file of a result: a readable name and a hash of what it depends on."""
        text = json.dumps(depends, sort_keys=True, default=str)
        return self.folder / f"{table}-{kind}-{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"

    def load(self, path: Path) -> Arrays | None:
        """Return the arrays of a file; None where it is missing or damaged."""
        try:
            with path.open("rb") as archive, np.load(archive, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None

    def save(self, path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write arrays, whole or not at all."""
        with replacing(path) as part, part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)


@cache
def code_hash(starts: tuple[str, ...], without: tuple[str, ...] = ()) -> str:
    """Return the SHA-256 of modules' source with all of this package that they import.

    Imports inside functions count, and so do the versions of `LIBRARIES`.

    Parameters
    ----------
    starts : tuple of str
        Names of modules, for example "tierwise.eval.fitted_controls".
    without : tuple of str
        Modules that are not followed.
    """
    found: dict[str, str] = {}
    left = list(starts)
    while left:
        name = left.pop()
        if name in found or name in without:
            continue
        source = _source(name)
        if source is None:
            continue
        found[name] = hashlib.sha256(source).hexdigest()
        left.extend(_imports(source))
    libraries = {name: version(name) for name in LIBRARIES}
    text = json.dumps([found, libraries], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _source(name: str) -> bytes | None:
    """Return the source of a module; None where the name is no module of this package."""
    parent = name.rpartition(".")[0]
    if not name.startswith(f"{PACKAGE}.") or find_spec(parent) is None:
        return None
    if getattr(find_spec(parent), "submodule_search_locations", None) is None:
        return None  # a name within a module
    spec = find_spec(name)
    return Path(spec.origin).read_bytes() if spec and spec.origin else None


def _imports(source: bytes) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in names if name.startswith(f"{PACKAGE}.")}
