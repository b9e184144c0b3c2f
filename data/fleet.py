"""The embedded data set: a seeded fleet of agents whose true expected quality and cost are known.

    world = make_world(params, rng)
    fleet = draw(world, n_traces, rng)
    traces = to_traces(fleet, "full", 0.0, rng)

docs/fleet.md says where the constants come from and what the default world measures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow.parquet
import yaml

from tierwise.data.errors import run_stage
from tierwise.data.files import replacing, write_bytes
from tierwise.data.fleet_draw import Fleet, draw
from tierwise.data.fleet_outcomes import Outcomes, outcomes
from tierwise.data.fleet_params import FleetParams
from tierwise.data.fleet_plan import Plan
from tierwise.data.fleet_tiers import Tier
from tierwise.data.fleet_traces import to_traces
from tierwise.data.fleet_world import Truth, World, make_world, parts, truth
from tierwise.data.params import section
from tierwise.data.schema import ARROW, to_arrow

__all__ = [
    "Fleet",
    "FleetParams",
    "Outcomes",
    "Plan",
    "Truth",
    "World",
    "catalogue",
    "draw",
    "make_world",
    "outcomes",
    "parts",
    "to_traces",
    "truth",
    "write",
]

TRACES = "fleet_traces.parquet"
TIERS = "fleet_tiers.yaml"
TYPICAL_TOKENS = 200  # answer of a typical step, for the catalogue's latency


def write(run: Path, params_file: Path) -> Path:
    """Write the fleet that the parameters ask for, and its tier catalogue.

    Parameters
    ----------
    run : Path
        Folder of the run.
    params_file : Path
        YAML with the section `fleet`.

    Returns
    -------
    Path
        The trace table; the catalogue lies beside it. The same parameters give the same bytes.

    Raises
    ------
    BadInput
        For a missing file, an unknown key or a value out of range.
    """
    params = section(params_file, "fleet", FleetParams)
    world_rng, fleet_rng, log_rng = np.random.default_rng(params.seed).spawn(3)
    world = make_world(params, world_rng)
    fleet = draw(world, params.traces, fleet_rng)
    traces = to_traces(fleet, params.feedback, params.exploration, log_rng)
    write_bytes(run / TIERS, yaml.safe_dump(catalogue(world), sort_keys=False).encode())
    with replacing(run / TRACES) as part:
        pyarrow.parquet.write_table(to_arrow(traces, ARROW), part, compression="zstd")
    return run / TRACES


def catalogue(world: World) -> dict[str, list[dict[str, object]]]:
    """Return the tiers, cheap to dear, as a catalogue file lists them."""
    return {"tiers": [_entry(tier) for tier in world.tiers]}


def _entry(tier: Tier) -> dict[str, object]:
    tokens = TYPICAL_TOKENS * (1 + tier.reasoning)
    return {
        "name": tier.name,
        "models": list(tier.models),
        "effort": tier.effort,
        "price_in": tier.price_in,
        "price_cached": tier.price_cached,
        "price_out": tier.price_out,
        "latency_s": round(tier.first_token_s + tier.token_s * tokens, 3),
        "procurement": "api",
        "vendor": tier.vendor,
    }


def main() -> None:
    """Write the fleet of `--params` into the folder `--run`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    options = parser.parse_args()
    print(write(options.run, options.params))


if __name__ == "__main__":
    run_stage(main)
