"""rules.yaml -> a new version of a bundle: the manifest changes, no other byte does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from tierwise.data.errors import BadInput
from tierwise.router_model.bundle import DIGEST, MANIFEST, BundleError, verify_bundle
from tierwise.router_model.manifest import Manifest
from tierwise.router_model.out_folder import check_out_folder
from tierwise.router_model.rules import FLAGS, WORDS, Known, Pin, Rules
from tierwise.router_model.rules_conflicts import warnings
from tierwise.router_model.rules_read import manifest_rules, read_rules
from tierwise.router_model.swap import write_folder

_MARK = "+rules."
_DIGITS = 8
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice: YAML would keep the last and drop the other in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        own = [key for key, _ in node.value if key.tag != _MERGE]
        keys = [self.construct_object(key, deep=True) for key in own]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"{twice} stands twice in the mapping from line {line} on")
        return super().construct_mapping(node, deep)


def read_file(path: Path, known: Known) -> Rules:
    """Read rules that a person wrote.

    Parameters
    ----------
    path : Path
        YAML, see docs/rules.md.
    known : Known
        What they may name.

    Raises
    ------
    BadInput
        Where it is no YAML, or no rules that can all hold.
    """
    example = "keys like pins, floors, fixed_roles"
    try:
        text = Path(path).read_text(encoding="utf-8")
        content = yaml.load(text, Loader=_Loader)
    except FileNotFoundError:
        raise BadInput(f"no file {path}", "rules in YAML", "mend the path") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise BadInput(f"{path} is not YAML ({error})"[:300], example, "mend the file") from None
    return read_rules({} if content is None else content, known, str(path))


def apply_rules(policy: Path, path: Path, out: Path | None = None) -> tuple[Manifest, list[str]]:
    """Write a bundle with other rules: same graph, same examples, a new version.

    Parameters
    ----------
    policy : Path
        The bundle.
    path : Path
        rules.yaml; its rules take the place of all that the bundle had.
    out : Path, optional
        Where the new bundle goes; the old one's place where left out. Whole or not at all.

    Returns
    -------
    manifest : Manifest
        As written. A signature is not: the new manifest has to be signed anew.
    warned : list of str
        What can be honored and is likely not meant.

    Raises
    ------
    BadInput
        Where the bundle is not sound, or the rules are not, or `out` is a folder of other things.
    """
    target = Path(out or policy)
    check_out_folder(target)
    verified = verify_bundle(policy)
    known = Known.of(verified.manifest)
    rules = read_file(path, known)
    manifest = with_rules(verified.manifest, rules)
    text = manifest.to_bytes()
    files = {one.name: (Path(policy) / one.name).read_bytes() for one in manifest.files}
    for one in manifest.files:
        if hashlib.sha256(files[one.name]).hexdigest() != one.sha256:
            raise BundleError("a bundle that changed meanwhile", "one at rest", "apply it again")
    digest = hashlib.sha256(text).hexdigest() + "\n"
    write_folder(target, {**files, MANIFEST: text, DIGEST: digest.encode()})
    return manifest, list(warnings(rules, known))


def with_rules(manifest: Manifest, rules: Rules) -> Manifest:
    """Return a manifest with these rules and no others; its version tells them apart.

    Without any rule it is the version that the policy had when it was built.
    """
    base = manifest.policy_version.partition(_MARK)[0]
    if rules == Rules():
        return replace(manifest, policy_version=base, rules=())
    compiled = rules.to_json()
    text = json.dumps(compiled, sort_keys=True, ensure_ascii=False)
    mark = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    return replace(manifest, policy_version=f"{base}{_MARK}{mark}", rules=(compiled,))


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
