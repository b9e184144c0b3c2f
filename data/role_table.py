"""A tier for each role, as a team writes it down before anything is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tierwise.data.errors import BadInput

RANKS = ("small", "mid", "frontier")
EXAMPLE = "a mapping like {default: mid, roles: {planner: frontier}}"


@dataclass(frozen=True)
class RoleTable:
    """A tier for each role.

    Attributes
    ----------
    roles : mapping of str to str
        Role in lower case -> small, mid, frontier or the name of a tier.
    default : str
        What every other role gets, and a step whose role is unknown.
    """

    roles: Mapping[str, str] = field(
        default_factory=lambda: {
            "planner": "frontier",
            "worker": "mid",
            "file": "small",
            "format": "small",
            "extract": "small",
        }
    )
    default: str = "mid"


def position(name: str, tiers: Sequence[str]) -> int:
    """Return the index of a tier by its name, or of small, mid or frontier among any number.

    small is the cheapest and frontier the dearest. mid is the middle, and of two middles the
    dearer: with two tiers it is the dearer one, because that error costs money, not quality.

    Raises
    ------
    BadInput
        Where the name is neither.
    """
    if name in tiers:
        return list(tiers).index(name)
    if name in RANKS:
        return {"small": 0, "mid": len(tiers) // 2, "frontier": len(tiers) - 1}[name]
    raise BadInput(
        f"tier {name!r} in the role table",
        f"one of {', '.join(dict.fromkeys([*RANKS, *tiers]))}",
        "mend the role table",
    )


def read_role_table(path: Path) -> RoleTable:
    """Read roles.yaml; a missing file is the default table.

    Raises
    ------
    BadInput
        Where the file is not the mapping that is expected.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return RoleTable()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not YAML ({error})", EXAMPLE, "mend the file") from None
    if not isinstance(content, dict) or not set(content) <= {"default", "roles"}:
        raise BadInput(f"{path} has other keys or none", EXAMPLE, "mend the file")
    roles: Any = content.get("roles") or {}
    default = content.get("default", "mid")
    if not isinstance(roles, dict) or not all(
        isinstance(v, str) for v in [*roles.values(), default]
    ):
        raise BadInput(f"{path} maps a role to something that is no name", EXAMPLE, "mend the file")
    return RoleTable({str(role).strip().lower(): tier for role, tier in roles.items()}, default)
