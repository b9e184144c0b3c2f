"""What rules cost a decision, as a multiple of an empty ONNX Runtime call of the same run.

    python tests/bench/rules.py artifacts/fleet/policy [--rounds 15]

One thread. Timed are a step that a pin settles, one whose role has a fixed tier, and one of 19
words that the model decides without rules, and under rules that look at it and leave it alone.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tierwise.eval.clock import Call, Case, quartiles, ratios
from tierwise.router_model.bundle import VerifiedBundle, verify_bundle
from tierwise.serve import Router

REPEATS = 200
TEXT = "Extract the date of the meeting and the names of all who were there from this note as JSON"


def ruled(bundle: VerifiedBundle, rules: dict[str, Any]) -> Router:
    """Return a router of this bundle under these rules."""
    return Router(replace(bundle, manifest=replace(bundle.manifest, rules=(rules,))))


def calls(bundle: VerifiedBundle) -> dict[Case, Call]:
    """Return the calls of every case."""
    first, second = bundle.manifest.context[0].vocabulary[:2]
    cheap, dear = bundle.manifest.tier_names[0], bundle.manifest.tier_names[-1]
    rules = {
        "pins": [
            {"role": first, "tier": dear},
            {"tenant": "acme", "allowed": [cheap, dear]},
            {"data_class": "personal", "task_type": "mail", "allowed": [cheap, dear]},
        ],
        "fixed_roles": {second: cheap},
        "frontier_only_for": ["user_visible"],
    }
    plain, router = Router(bundle), ruled(bundle, rules)
    texts = [TEXT] * REPEATS
    return {
        ("a pin", ""): ((lambda text: router.decide(text, role=first, tenant="t")), texts),
        ("a fixed role", ""): ((lambda text: router.decide(text, role=second)), texts),
        ("the model, no rules", ""): ((lambda text: plain.decide(text, user_visible=True)), texts),
        ("the model, rules", ""): ((lambda text: router.decide(text, user_visible=True)), texts),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("policy", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    cases = calls(verify_bundle(args.policy))
    found, empty = ratios(cases, args.rounds, np.random.default_rng(0))
    print(f"empty ONNX Runtime call {empty:.2f} us")
    for (name, _), values in found.items():
        print(f"{name:<22}{quartiles(values):>22}")


if __name__ == "__main__":
    main()
