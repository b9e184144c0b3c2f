"""rules.yaml -> the rules of a manifest: the one way in, for `rules apply` and the bundle stage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from tierwise.data.errors import BadInput
from tierwise.router_model.manifest import Manifest
from tierwise.router_model.rules import Known, Rules
from tierwise.router_model.rules_conflicts import warnings
from tierwise.router_model.rules_read import read_rules

_MARK = "+rules."
_DIGITS = 8
_MERGE = "tag:yaml.org,2002:merge"


def apply_file(manifest: Manifest, path: Path) -> tuple[Manifest, list[str]]:
    """Return a manifest with the rules of a file in place of all that it had.

    Parameters
    ----------
    manifest : Manifest
        Says which tiers, vendors, roles and task types rules may name.
    path : Path
        rules.yaml.

    Returns
    -------
    manifest : Manifest
        Its version tells the rules apart.
    warned : list of str
        What can be honored and is likely not meant.

    Raises
    ------
    BadInput
        Where the file is missing, is no YAML, or holds no rules that can all hold.
    """
    known = Known.of(manifest)
    rules = read_file(path, known)
    return with_rules(manifest, rules), list(warnings(rules, known))


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
