"""A bundle as it lies in its folder: `export`, `verify`, `sign`, `table`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tierwise.commands.output import AsJson, show
from tierwise.data.errors import BadInput


def export(
    role_table: Annotated[Path, typer.Option("--role-table", help="roles.yaml")],
    tiers: Annotated[Path, typer.Option(help="The tier catalogue.")],
    out: Annotated[Path, typer.Option(help="The folder of the bundle.")],
    as_json: AsJson = False,
) -> None:
    """Write a bundle of the role table alone. Version 0 of a policy, before anything is learned.

    Example: tierwise export --role-table roles.yaml --tiers tiers.yaml --out policy
    """
    from tierwise.router_model import role_bundle

    role_bundle.write(role_table, tiers, out)
    show({"written": str(out)}, as_json)


def verify(
    policy: Annotated[Path, typer.Argument(help="The folder of a bundle.")],
    public_key: Annotated[
        Path | None, typer.Option(help="An ed25519 key in PEM that has to have signed it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a bundle. Hashes, operators, golden decisions; exit code 1 where one of them is wrong.

    Example: tierwise verify artifacts/fleet/policy --public-key release.pub
    """
    from tierwise.router_model.bundle import verify_bundle
    from tierwise.router_model.manifest import BundleError

    if not policy.is_dir():
        raise BadInput(f"no folder {policy}", "a bundle", "give the folder of manifest.json")
    try:
        verify_bundle(policy, public_key=public_key)
    except BundleError as error:
        show({"sound": False, "fault": str(error)}, as_json)
        raise SystemExit(1) from None
    how = f"sound, signed by {public_key}" if public_key else "sound"
    show({"sound": True, "fault": None}, as_json, [f"{policy}: {how}"])


def sign(
    policy: Annotated[Path, typer.Argument(help="The folder of a bundle.")],
    key: Annotated[Path, typer.Option(help="An ed25519 private key in PEM, without a password.")],
    as_json: AsJson = False,
) -> None:
    """Sign a bundle that is sound. Writes manifest.sig beside its manifest.

    Example: tierwise sign artifacts/fleet/policy --key release.pem
    """
    from tierwise.router_model.sign import sign_bundle

    if not policy.is_dir():
        raise BadInput(f"no folder {policy}", "a bundle", "give the folder of manifest.json")
    digest = sign_bundle(policy, key)
    show({"signed": digest}, as_json, [f"{policy}: signed, manifest {digest}"])


def table(
    policy: Annotated[Path, typer.Argument(help="The folder of a bundle.")],
    traces: Annotated[
        Path | None, typer.Argument(help="A trace table or a run; the policy's own run without.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a policy as a table. Usual tier, quality kept and cost by role and task, money first.

    Example: tierwise table artifacts/fleet/policy
    """
    import numpy as np

    from tierwise.eval.policy_lines import lines
    from tierwise.eval.policy_table import policy_table

    found = policy_table(policy, traces, np.random.default_rng(0))
    show(found, as_json, lines(found))
