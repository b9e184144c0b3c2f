"""Write what the router decides under rules, for a loader in another language to be checked with.

    python examples/conformance/rules.py artifacts/fleet/policy --sets 200 > rules.jsonl
    node examples/node/conformance.mjs artifacts/fleet/policy examples/conformance rules.jsonl

A line is a set of rules: `tiers` and `rules` take the place of the manifest's, `outages` are the
vendors that are out, and each of `steps` has `step`, what is `asked` (the arguments of
`Router.decide`) and the `decision`. The first line has the bundle's own rules, unless they have
budgets or exploration, which depend on what happened before; the others are made here.
docs/gateways.md has their meaning.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tierwise.data.errors import BadInput
from tierwise.data.tiers import Tier
from tierwise.router_model.bundle import VerifiedBundle, verify_bundle
from tierwise.router_model.manifest import Manifest
from tierwise.router_model.rules import FLAGS, WORDS, WORKLOADS, Known
from tierwise.router_model.rules_read import read_rules
from tierwise.serve import Router

DECIDED = ("tier", "reason", "rule", "next_tier", "allowed", "ignored")
TENANTS, CLASSES, NEW_ROLE = ("acme", "globex", "initech"), ("personal", "health"), "auditor"
VENDORS = ("vendor-a", "vendor-b", "vendor-c", None)
TEXTS: tuple[Any, ...] = (
    "Extract the invoice date and the total as JSON.",
    "Plan the migration of the billing service to the new database, step by step.",
    "Compare the medical reports. Cite the line that supports each statement.",
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "And now?"}],
    "",
)
UNREADABLE = 7  # a fault, unless a rule settles the step without looking


class Draw:
    """Random values, all of them from one generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def hit(self, share: float) -> bool:
        """Return True in this share of the calls."""
        return bool(self._rng.random() < share)

    def one(self, values: Sequence[Any]) -> Any:
        """Return one of the values."""
        return values[self._rng.integers(len(values))]

    def some(self, values: Sequence[Any], least: int = 0) -> list[Any]:
        """Return some of the values, in any order."""
        size = self._rng.integers(least, len(values) + 1)
        return [values[place] for place in self._rng.permutation(len(values))[:size]]


def sets(bundle: VerifiedBundle, rng: np.random.Generator, n_sets: int, n_steps: int) -> Lines:
    """Yield the lines.

    Parameters
    ----------
    bundle : VerifiedBundle
        Its graph decides where no rule does.
    rng : Generator
        Draws rules, outages and steps.
    n_sets, n_steps : int
        Sets of rules, beside the bundle's own and `corners`; steps under each.
    """
    draw, manifest = Draw(rng), bundle.manifest
    if not any(rules.get("budgets") or rules.get("explore") for rules in manifest.rules):
        yield _line(bundle, draw, n_steps)
    for rules in corners(manifest):
        vendors = tuple(f"of-{name}" for name in manifest.tier_names)
        yield _line(replace(bundle, manifest=_with(manifest, vendors, rules)), draw, n_steps)
    for _ in range(n_sets):
        yield _line(replace(bundle, manifest=_drawn(manifest, draw)), draw, n_steps)


def corners(manifest: Manifest) -> list[dict[str, Any]]:
    """Return rules that chance seldom draws, for a catalogue of which each tier has a vendor."""
    roles, names = list(manifest.context[0].vocabulary), manifest.tier_names
    three = [names[0], names[len(names) // 2], names[-1]]
    in_pairs = [  # any two of them share a tier, all three share none
        {"name": "not cheap", "irreversible": True, "allowed": three[1:]},
        {"name": "ends", "user_visible": True, "allowed": three[::2]},
        {"name": "not dear", "role": roles or ["worker"], "allowed": three[:2]},
    ]
    fixed = {role: names[0] for role in roles}
    taken_over = {f"of-{names[0]}": [f"of-{names[-1]}"]}  # in an outage only
    found = [{"pins": in_pairs}] if len(set(three)) == 3 else []
    return [*found, {"fixed_roles": fixed, "failover": taken_over}]


Lines = Iterator[dict[str, Any]]


def _line(bundle: VerifiedBundle, draw: Draw, n_steps: int) -> dict[str, Any]:
    manifest, router = bundle.manifest, Router(bundle)
    outages = draw.some(Known.of(manifest).vendors)[:2] if draw.hit(0.5) else []
    for vendor in outages:
        router.set_outage(vendor)
    steps = []
    for _ in range(n_steps):
        step = UNREADABLE if draw.hit(0.03) else draw.one(TEXTS)
        asked = _asked(manifest, draw)
        made = router.decide(step, **asked)
        decision = {name: getattr(made, name) for name in DECIDED}
        steps.append({"step": step, "asked": asked, "decision": decision})
    tiers = [{"name": tier.name, "vendor": tier.vendor} for tier in manifest.tiers]
    return {"tiers": tiers, "rules": list(manifest.rules), "outages": outages, "steps": steps}


def _drawn(manifest: Manifest, draw: Draw) -> Manifest:
    """Return the manifest with other vendors, and with rules that do not contradict each other."""
    vendors = tuple(draw.one(VENDORS) for _ in manifest.tiers)
    known = Known.of(_with(manifest, vendors, {}))
    while True:
        try:
            return _with(manifest, vendors, _rules(known, draw))
        except BadInput:  # a contradiction
            continue


def _with(manifest: Manifest, vendors: Sequence[str | None], rules: dict[str, Any]) -> Manifest:
    """Return the manifest with other vendors of its tiers, and with these rules, compiled."""
    named = zip(manifest.tier_names, vendors, strict=True)
    tiers = tuple(Tier(name, vendor=vendor) for name, vendor in named)
    compiled = read_rules(rules, Known.of(replace(manifest, tiers=tiers)), "rules").to_json()
    return replace(manifest, tiers=tiers, rules=(compiled,))


def _rules(known: Known, draw: Draw) -> dict[str, Any]:
    roles, vendors, names = (*known.roles, NEW_ROLE), known.vendors, known.tier_names
    found: dict[str, Any] = {"new_roles": [NEW_ROLE]}
    found["pins"] = [_pin(number, known, draw) for number in range(draw.one(range(4)))]
    if vendors and draw.hit(0.3):
        found["forbidden_vendors"] = [draw.one(vendors)]
    if draw.hit(0.5):
        found["floors"] = {role: draw.one([0.8, 0.9, 0.99]) for role in draw.some(roles)}
    if draw.hit(0.5):
        found["latency_s"] = {one: draw.one([0.5, 2.0, 5.0]) for one in draw.some(WORKLOADS)}
    if draw.hit(0.7):
        found["failover"] = {one: draw.some(vendors) for one in draw.some(vendors)}
    if draw.hit(0.3):
        found["frontier_only_for"] = draw.some(FLAGS, 1)
    if draw.hit(0.5):
        found["fixed_roles"] = {role: draw.one(names) for role in draw.some(roles)[:2]}
    return found


def _pin(number: int, known: Known, draw: Draw) -> dict[str, Any]:
    words = _words(known.roles, known.task_types)
    keys = draw.some(WORDS)[:2]
    flags = draw.some(FLAGS)[:1] if not keys or draw.hit(0.2) else []
    pin: dict[str, Any] = {key: draw.some(words[key], 1)[:2] for key in keys}
    pin |= {key: True for key in flags or (() if keys else FLAGS[:1])}
    if draw.hit(0.3):
        pin["unless"] = {key: draw.some(words[key], 1)[:2] for key in draw.some(WORDS)[:1]}
    pin["allowed"] = draw.some(known.tier_names, 1)
    if draw.hit(0.5):
        pin["tier"] = draw.one(pin["allowed"])
    return pin | {"name": f"pin {number}"}


def _words(roles: Sequence[str], task_types: Sequence[str]) -> dict[str, Sequence[str]]:
    kinds = (*roles[:2], NEW_ROLE), TENANTS, CLASSES, task_types[:2] or ("pay",)
    return dict(zip(WORDS, kinds, strict=True))


def _asked(manifest: Manifest, draw: Draw) -> dict[str, Any]:
    """Return what a caller says; now and then something that cannot be read."""
    roles, task_types = (column.vocabulary for column in manifest.context[:2])
    words, names = _words(roles, task_types), manifest.tier_names
    values: dict[str, tuple[float, Sequence[Any]]] = {
        "role": (0.8, [*words["role"], *roles, "stranger", 3]),
        "tenant": (0.6, [*TENANTS, "other", 3]),
        "data_class": (0.5, [*CLASSES, "public"]),
        "task_type": (0.6, [*words["task_type"], "stranger"]),
        "irreversible": (0.4, [True, False, 1, 0, "yes"]),
        "user_visible": (0.4, [True, False, 2, "no"]),
        "workload": (0.5, [*WORKLOADS, "nightly"]),
        "has_schema": (0.3, [True, False, "x"]),
        "pin": (0.15, names),
        "allowed": (0.3, [draw.one(names), draw.some((*names, "huge"), 1), draw.some(names, 2)]),
        "floor": (0.2, [0.5, 0.85, 0.95]),
        "max_latency_s": (0.2, [0.2, 3.0, 30.0]),
        "mood": (0.1, ["good"]),
    }
    asked = {name: draw.one(one) for name, (share, one) in values.items() if draw.hit(share)}
    strange = {"pin": "huge", "allowed": UNREADABLE, "floor": "high", "max_latency_s": "soon"}
    return asked | (
        {name: strange[name] for name in [draw.one([*strange])]} if draw.hit(0.05) else {}
    )


def main() -> None:
    """Write the lines to the standard output."""
    parser = argparse.ArgumentParser(description="decisions under rules, a line a set of rules")
    parser.add_argument("bundle", type=Path, help="folder of a bundle")
    parser.add_argument("--sets", type=int, default=200, help="random sets of rules, default 200")
    parser.add_argument("--steps", type=int, default=50, help="steps under each, default 50")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn, default 0")
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    for line in sets(verify_bundle(chosen.bundle), rng, chosen.sets, chosen.steps):
        print(json.dumps(line, allow_nan=False))


if __name__ == "__main__":
    main()
