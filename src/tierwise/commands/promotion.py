"""What may serve, and what does: `gate`, `promote`, `rollback`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tierwise.commands.output import AsJson, show


def gate(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    params: Annotated[Path, typer.Option(help="The parameters.")] = Path("params.yaml"),
    pull: Annotated[
        bool, typer.Option("--pull", help="First fetch the champion into the run's champion/.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask whether a bundle may serve. Exit code 1 means no.

    Example: tierwise gate artifacts/fleet --pull
    """
    from tierwise.eval import champion
    from tierwise.eval.gate import CHAMPION, gate, lines

    if pull:
        champion.pull(run, run / CHAMPION)
    verdict = gate(run, params)
    show(verdict.as_dict(), as_json, lines(verdict))
    if not verdict.passed:
        raise SystemExit(1)


def promote(
    asked: Annotated[
        str, typer.Argument(metavar="RUN|VERSION", help="A run's folder, or tierwise-fleet/3.")
    ],
    why: Annotated[str, typer.Option(help="The reason, kept with the version.")],
    params: Annotated[Path, typer.Option(help="The parameters.")] = Path("params.yaml"),
    despite_gate: Annotated[
        bool, typer.Option("--despite-gate", help="Also where the gate says no; is kept as a tag.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a bundle champion, if the gate lets it. Exit code 1 means no, and names the rules.

    Example: tierwise promote artifacts/fleet --why "cheaper since the prices of May"
    """
    from tierwise.eval.promote import promote, target

    run, version = target(asked)
    moved = promote(run, version, why, params=params, despite_gate=despite_gate)
    show(moved.as_dict(), as_json, moved.lines())
    if not moved.done:
        raise SystemExit(1)


def rollback(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    why: Annotated[str, typer.Option(help="The reason, kept with the version.")],
    to: Annotated[
        str | None, typer.Option(help="An earlier champion; the last one without.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the champion before the present one champion again. No gate is asked.

    Example: tierwise rollback artifacts/fleet --why "planner answers got worse"
    """
    from tierwise.eval.promote import rollback

    moved = rollback(run, to, why)
    show(moved.as_dict(), as_json, moved.lines())
