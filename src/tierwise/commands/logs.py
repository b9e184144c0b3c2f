"""What is known from logs alone: `ingest`, `audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tierwise.commands.output import AsJson, show


def ingest(
    path: Annotated[str, typer.Argument(help="A file, folder, glob or URL of traces.")],
    mapping: Annotated[
        str, typer.Option("--map", help="Other column names: text=prompt,tier=model.")
    ] = "",
    tiers: Annotated[str, typer.Option(help="A tier catalogue; inferred without one.")] = "",
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("artifacts/ingested"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all, write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read logs into the trace table. Says what was refused and which floors the rest can carry.

    Example: tierwise ingest traces.jsonl --map text=prompt,tier=model --dry-run
    """
    from tierwise.data.ingest import IngestParams, ingest
    from tierwise.data.mapping import parse_mapping
    from tierwise.data.params import section

    file = Path("params.yaml")
    params = section(file, "ingest", IngestParams) if file.exists() else IngestParams()
    summary = ingest(path, out, tiers, parse_mapping(mapping), params, dry_run)
    where = "nothing written" if dry_run else f"written to {out}"
    show(summary.as_dict(), as_json, [*summary.lines(), where])


def audit(
    traces: Annotated[Path, typer.Argument(help="A trace table, or the folder of a run.")],
    as_json: AsJson = False,
) -> None:
    """Say where the money goes. By role and tier, and where a cheaper tier is worth a trial.

    Example: tierwise audit artifacts/fleet
    """
    from tierwise.eval.audit import audit

    found = audit(traces / "traces.parquet" if traces.is_dir() else traces)
    show(found, as_json, found["lines"])
