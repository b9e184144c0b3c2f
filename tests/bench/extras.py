"""What exploration, a budget and a log add to a decision, in multiples of an empty ONNX call.

    python tests/bench/extras.py artifacts/fleet/policy [--rounds 15]

One thread. The same texts are decided by a router alone, by one that explores every tenth step, by
one with budgets, and by one that logs; the log's own thread writes meanwhile.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from tierwise.eval.clock import Call, Case, quartiles, ratios
from tierwise.router_model.bundle import VerifiedBundle, verify_bundle
from tierwise.serve import Router
from tierwise.serve.decision_log import DecisionLog
from tierwise.serve.explore import Explorer

REPEATS = 200
TEXT = "Extract the date of the meeting and the names of all who were there from this note as JSON"


def calls(bundle: VerifiedBundle, log: DecisionLog) -> dict[Case, Call]:
    """Return the calls of every case."""
    cheap = bundle.manifest.tier_names[0]
    budgets = {
        "default": {"usd": 1e6, "usd_per_day": 1e6},
        "role_table": {"default": cheap, "roles": {}},
    }
    with_budgets = replace(bundle, manifest=replace(bundle.manifest, rules=({"budgets": budgets},)))
    explorer = Explorer(0.1, usd_per_day=math.inf, rng=np.random.default_rng(0))
    texts = [TEXT] * REPEATS
    routers = {
        "alone": Router(bundle),
        "exploring": Router(bundle, explore=explorer),
        "with budgets": Router(with_budgets),
        "logging": Router(bundle, log=log),
    }
    return {
        (name, ""): (partial(router.decide, tenant="acme"), texts)
        for name, router in routers.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("policy", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, DecisionLog(Path(folder) / "log.jsonl") as log:
        cases = calls(verify_bundle(args.policy), log)
        found, empty = ratios(cases, args.rounds, np.random.default_rng(0))
    print(f"empty ONNX Runtime call {empty:.2f} us; {log.lost:,} of the lines lost")
    for (name, _), values in found.items():
        print(f"{name:<22}{quartiles(values):>22}")


if __name__ == "__main__":
    main()
