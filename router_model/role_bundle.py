"""A bundle of the role table alone: version 0 of a policy, with no logs at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tierwise.data.errors import BadInput
from tierwise.data.role_table import read_role_table
from tierwise.data.tiers import Catalogue, read_catalogue
from tierwise.features.columns import ContextColumn
from tierwise.router_model import layout
from tierwise.router_model.build import EXAMPLES, NO_PROMISE, example_contexts, role_table
from tierwise.router_model.bundle import write_bundle
from tierwise.router_model.golden import make_golden
from tierwise.router_model.graph import build_graph, serialize
from tierwise.router_model.manifest import Manifest
from tierwise.router_model.out_folder import check_out_folder
from tierwise.router_model.role_policy import fixed_tiers, role_model, role_spec
from tierwise.router_model.runtime import PolicyGraph
from tierwise.router_model.spec import PolicySpec


def write(roles: Path, tiers: Path, out: Path) -> Manifest:
    """Write the bundle of a role table.

    Parameters
    ----------
    roles : Path
        roles.yaml: a tier for each role.
    tiers : Path
        tiers.yaml: the catalogue.
    out : Path
        Folder of the bundle.

    Raises
    ------
    BadInput
        Where a file is missing or wrong, or `out` is there and no bundle.
    """
    check_out_folder(out)
    if not roles.exists():
        raise BadInput(f"no file {roles}", "a role table", "write one with `tierwise init`")
    table, catalogue = read_role_table(roles), read_catalogue(tiers)
    columns = (
        ContextColumn("role", "category", tuple(sorted(table.roles))),
        ContextColumn("task_type", "category"),
        ContextColumn("text_bytes", "number"),
        ContextColumn("context_tokens", "number"),
    )
    n_tiers = len(catalogue.tiers)
    fixed = fixed_tiers(table, columns[0].vocabulary, catalogue.names)
    spec = role_spec(fixed, catalogue.names, (*range(1, n_tiers), -1), columns)
    typical = [np.nan if t.latency_s is None else t.latency_s for t in catalogue.tiers]
    latency = np.tile(np.array(typical, np.float32), (len(fixed), 1))
    fill = np.array([len(columns[0].vocabulary), 0, 0, 0], np.float32)
    graph = serialize(build_graph(role_model(fixed, columns, fill, latency), spec))
    golden = make_golden(
        PolicyGraph(graph), [text.encode() for text in EXAMPLES], example_contexts(spec)
    )
    return write_bundle(out, graph, _manifest(spec, catalogue), golden)


def _manifest(spec: PolicySpec, catalogue: Catalogue) -> Manifest:
    return Manifest(
        policy_version="0",
        tiers=catalogue.tiers,
        context=spec.context,
        fallback=spec.tiers[spec.fixed_tier[-1]],
        bits=spec.bits,
        pair_bits=spec.pair_bits,
        outputs=layout.columns(len(spec.tiers)),
        role_table=role_table(spec),
        promise=NO_PROMISE,
    )
