"""Bundles of small policies that each favor one tier, so that a decision shows who made it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from tests.router_model.conftest import QUALITY, tiny_manifest, tiny_model
from tierwise.router_model.bundle import write_bundle
from tierwise.router_model.golden import Golden, make_golden
from tierwise.router_model.runtime import PolicyGraph

TIERS = ("small", "medium", "large")


@cache
def model_for(tier: str) -> tuple[bytes, tuple[Golden, ...]]:
    """Return a graph that serves `tier` wherever it may, and its examples."""
    model = tiny_model()
    better = np.array([QUALITY], np.float32)
    better[0, TIERS.index(tier)] = 0.97
    for tensor in model.graph.initializer:
        if np.array_equal(numpy_helper.to_array(tensor), np.array([QUALITY], np.float32)):
            tensor.CopyFrom(numpy_helper.from_array(better, tensor.name))
    for node in model.graph.node:  # has_schema moves nothing here
        if node.op_type == "MatMul":
            node.input[0] = zero_like(model, node.input[0])
    content: bytes = model.SerializeToString()
    return content, make_golden(PolicyGraph(content))


def zero_like(model: onnx.ModelProto, name: str) -> str:
    """Store zeros of the context's shape."""
    n_context = len(tiny_manifest().context)
    zeros = numpy_helper.from_array(np.zeros((1, n_context), np.float32), f"no_{name}")
    model.graph.initializer.append(zeros)
    return zeros.name


def write(
    folder: Path,
    tier: str,
    sequence: int = 0,
    version: str = "",
    vendors: tuple[str, ...] = (),
    rules: dict[str, Any] | None = None,
) -> str:
    """Write the bundle of such a policy; return its digest."""
    model, examples = model_for(tier)
    manifest = replace(
        tiny_manifest(),
        policy_version=version or tier,
        sequence=sequence,
        rules=() if rules is None else (rules,),
    )
    if vendors:
        named = zip(manifest.tiers, vendors, strict=True)
        manifest = replace(manifest, tiers=tuple(replace(t, vendor=v) for t, v in named))
    write_bundle(folder, model, manifest, examples)
    return (folder / "manifest.sha256").read_text().strip()


def rehash(folder: Path, name: str = "", content: bytes = b"") -> None:
    """Replace a file, or none, and make manifest and digest agree: what a forger would do."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    if name:
        (folder / name).write_bytes(content)
    for one in manifest["files"]:
        present = (folder / one["name"]).read_bytes()
        one.update(size=len(present), sha256=hashlib.sha256(present).hexdigest())
    seal(folder, json.dumps(manifest).encode())


def seal(folder: Path, manifest: bytes) -> None:
    """Write a manifest and the digest of it."""
    (folder / "manifest.json").write_bytes(manifest)
    (folder / "manifest.sha256").write_text(hashlib.sha256(manifest).hexdigest() + "\n")
