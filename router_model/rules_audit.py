"""A bundle's rules for whoever answers for them: each pin with its steps, tiers, why and cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tierwise.router_model.bundle import verify_bundle
from tierwise.router_model.rules import FLAGS, WORDS, Known, Pin
from tierwise.router_model.rules_conflicts import warnings
from tierwise.router_model.rules_read import manifest_rules


def audit(policy: Path, traces: Path | None = None) -> dict[str, Any]:
    """Return a bundle's rules and the list of its pins, as JSON values.

    Parameters
    ----------
    policy : Path
        The bundle.
    traces : Path, optional
        A trace table or a run, to say how many of its steps each pin holds for and what that
        costs over the role table.

    Raises
    ------
    BadInput
        Where the bundle, its rules or the table are not sound.
    """
    manifest = verify_bundle(policy).manifest
    rules, known = manifest_rules(manifest), Known.of(manifest)
    pins = [_audited(pin) for pin in rules.pins]
    if traces is not None:
        from tierwise.router_model.rules_cost import pin_costs, read_steps

        costs = pin_costs(rules, known, read_steps(traces))
        pins = [pin | cost for pin, cost in zip(pins, costs, strict=True)]
    return {
        "policy_version": manifest.policy_version,
        "pins": pins,
        "rules": {name: one for name, one in rules.to_json().items() if one and name != "pins"},
        "warnings": list(warnings(rules, known)),
    }


def _audited(pin: Pin) -> dict[str, Any]:
    words = [f"{key} {' or '.join(pin.when[key])}" for key in WORDS if key in pin.when]
    steps = " and ".join([*words, *(key for key in FLAGS if key in pin.when)])
    for key, spared in pin.unless.items():
        steps += f", unless {key} {' or '.join(spared)}"
    return {
        "name": pin.name,
        "steps": steps,
        "tier": pin.tier,
        "allowed": list(pin.allowed),
        "why": pin.why,
    }


def _in_words(pin: dict[str, Any]) -> str:
    if pin["steps_met"] is None:
        return "unknown: the table does not say which steps these are"
    met = f"on {pin['steps_met']:,} of the table's steps"
    if pin["least_usd"] is None:
        return f"unknown {met}: the tiers have no mean costs"
    least, most = f"{pin['least_usd']:+,.4g}", f"{pin['most_usd']:+,.4g}"
    return f"{least if least == most else f'{least} to {most}'} USD over the role table {met}"


def lines(found: dict[str, Any]) -> list[str]:
    """Return an audit as lines for people."""
    said = [f"policy {found['policy_version']}"]
    for pin in found["pins"]:
        others = [name for name in pin["allowed"] if name != pin["tier"]]
        tiers = f"{pin['tier']}" if pin["tier"] else f"the model's choice of {', '.join(others)}"
        if pin["tier"] and others:
            tiers += f"; if it is out: {', '.join(others)}"
        said += [f"pin {pin['name']}", f"  steps   {pin['steps']}", f"  tiers   {tiers}"]
        said += [f"  why     {pin['why'] or 'nobody says'}"]
        if "steps_met" in pin:
            said.append(f"  costs   {_in_words(pin)}")
    for name, one in found["rules"].items():
        if name != "version":
            said.append(f"{name}: {json.dumps(one, ensure_ascii=False)}")
    if len(said) == 1:
        said.append("no rules")
    return said + [f"warning: {one}" for one in found["warnings"]]
