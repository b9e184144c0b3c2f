"""Routers of graphs that tests make, with the manifest a build would give them."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from tierwise.data.tiers import Tier
from tierwise.router_model.build import rule
from tierwise.router_model.bundle import VerifiedBundle
from tierwise.router_model.floors import floor_table
from tierwise.router_model.graph import set_floors
from tierwise.router_model.manifest import Manifest
from tierwise.router_model.runtime import PolicyGraph
from tierwise.router_model.spec import PolicySpec
from tierwise.serve import Router


def router_of(
    graph: bytes, spec: PolicySpec, floors: dict[str, Any], left_out: Container[str] = ()
) -> Router:
    """Fill the floors in; some of the manifest's rule may be left out."""
    return Router(bundle_of(graph, spec, floors, left_out))


def bundle_of(
    graph: bytes, spec: PolicySpec, floors: dict[str, Any], left_out: Container[str] = ()
) -> VerifiedBundle:
    """Return what a router of that graph is made of."""
    graph = set_floors(graph, floor_table(floors, spec))
    manifest = Manifest(
        policy_version="v1",
        tiers=tuple(Tier(name) for name in spec.tiers),
        context=spec.context,
        fallback=spec.tiers[spec.reference],
        bits=spec.bits,
        pair_bits=spec.pair_bits,
        rule={name: value for name, value in rule(spec).items() if name not in left_out},
        floors=floors,
    )
    return VerifiedBundle(manifest, graph, (), PolicyGraph(graph), "")
