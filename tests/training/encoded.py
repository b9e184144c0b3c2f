"""Fits of the made-up steps with the tiny encoder, imitated and served."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.training.fits import COLUMNS, SMALL, fit_steps, make_steps
from tierwise.data.tiers import Tier
from tierwise.features.steps import StepTable
from tierwise.router_model.bundle import write_bundle
from tierwise.router_model.encoder import Encoder
from tierwise.router_model.golden import make_golden
from tierwise.router_model.graph import build_graph, serialize
from tierwise.router_model.manifest import Manifest
from tierwise.router_model.runtime import PolicyGraph
from tierwise.training import reading
from tierwise.training.fit import FitParams, Fitted


@dataclass(frozen=True)
class EncodedFit:
    steps: StepTable
    fitted: Fitted
    graph: bytes
    encoder: Encoder | None


def params(folder: Path, use: str) -> FitParams:
    return dataclasses.replace(SMALL, encoder=str(folder), encoder_use=use)


@cache
def encoded_fit(folder: Path, use: str) -> EncodedFit:
    """The one fit of each use that tests share; embeddings are kept beside the encoder."""
    steps = make_steps()
    before = reading.CACHE
    reading.CACHE = folder.parent / "embeddings"
    try:
        fitted = fit_steps(steps, params(folder, use))
    finally:
        reading.CACHE = before
    encoder = Encoder(fitted.encoder) if fitted.encoder else None
    return EncodedFit(steps, fitted, serialize(build_graph(fitted.model, fitted.spec)), encoder)


def write_served_bundle(found: EncodedFit, folder: Path) -> Path:
    """Write the bundle of a fit whose encoder is served."""
    spec = found.fitted.spec
    manifest = Manifest(
        policy_version="v1",
        tiers=tuple(Tier(name) for name in spec.tiers),
        context=COLUMNS,
        fallback=spec.tiers[-1],
        bits=spec.bits,
        pair_bits=spec.pair_bits,
        promise="In words.",
    )
    graph = PolicyGraph(found.graph, found.encoder)
    golden = make_golden(graph, found.steps.text[:4], found.steps.context[:4])
    write_bundle(folder, found.graph, manifest, golden, found.fitted.encoder)
    return folder
