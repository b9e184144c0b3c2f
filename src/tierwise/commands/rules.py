"""The rules that no score can break: `rules apply`, `rules show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tierwise.commands.output import AsJson, show
from tierwise.data.errors import BadInput


def rules_apply(
    policy: Annotated[Path, typer.Argument(help="The folder of a bundle.")],
    rules: Annotated[Path, typer.Argument(help="rules.yaml: all rules that are to hold.")],
    out: Annotated[
        Path | None, typer.Option(help="Where the new bundle goes; in place of the old without.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a new version of a bundle with these rules. The graph stays, nothing is trained.

    Example: tierwise rules apply artifacts/fleet/policy rules.yaml --out policy
    """
    from tierwise.router_model.rules_apply import apply_rules

    if not policy.is_dir():
        raise BadInput(f"no folder {policy}", "a bundle", "give the folder of manifest.json")
    manifest, warned = apply_rules(policy, rules, out)
    where, version = str(out or policy), manifest.policy_version
    lines = [f"{where}: policy {version}", *(f"warning: {one}" for one in warned)]
    show({"written": where, "policy_version": version, "warnings": warned}, as_json, lines)


def rules_show(
    policy: Annotated[Path, typer.Argument(help="The folder of a bundle.")],
    traces: Annotated[
        Path | None, typer.Option(help="A trace table or a run, to say what the pins cost on it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the rules of a bundle. Every pin with its steps, its tiers and why, then the rest.

    Example: tierwise rules show policy --traces artifacts/fleet
    """
    from tierwise.router_model.rules_audit import audit, lines

    if not policy.is_dir():
        raise BadInput(f"no folder {policy}", "a bundle", "give the folder of manifest.json")
    found = audit(policy, traces)
    show(found, as_json, lines(found))
