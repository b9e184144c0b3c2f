"""Stage: any log of model calls becomes a trace table, with the reason for each row left out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet

from tierwise.data.errors import run_stage
from tierwise.data.files import replacing, write_json
from tierwise.data.intake import Intake
from tierwise.data.mapping import check_mapping, parse_mapping
from tierwise.data.params import section
from tierwise.data.readers import Batch, read_batches
from tierwise.data.schema import ARROW, ARROW_REJECTS, to_arrow
from tierwise.data.summary import Summary, summarize
from tierwise.data.tiers import Catalogue, read_catalogue

FLEET = "fleet"
"""The source that is simulated instead of read."""


@dataclass(frozen=True)
class IngestParams:
    """Section `ingest` of params.yaml.

    Attributes
    ----------
    map : str
        `text=prompt,tier=model`: column of the trace table = column of the source.
    max_reject_share : float
        The stage fails where a greater share of the rows is refused, 0..1.
    min_steps : int
        The stage fails for fewer steps.
    ok_at : float
        Quality from which a step counts as ok, 0..1.
    """

    map: str = ""
    max_reject_share: float = 0.05
    min_steps: int = 200
    ok_at: float = 0.5


def ingest(
    source: str,
    run: Path,
    tiers: str | Path | None,
    mapping: Mapping[str, str],
    params: IngestParams,
    dry_run: bool = False,
) -> Summary:
    """Read a log and write traces.parquet, rejects.parquet, tiers.json and ingest.json.

    Parameters
    ----------
    source : str
        File, folder, glob or URL of Parquet, JSON lines or CSV.
    run : Path
        Folder for the results; all four are written or none.
    tiers : path or None
        Tier catalogue in YAML; without one, or with an empty path, tiers are inferred.
    mapping : mapping of str to str
        Column of the trace table -> column of the source; it goes before that of `params`.
    params : IngestParams
        Limits.
    dry_run : bool
        Write nothing.

    Returns
    -------
    Summary
        What the table holds.

    Raises
    ------
    BadInput
        For a fault of the whole input: unreadable, a required column absent, too many bad rows,
        one tier only, too few steps, no cost known, retries that pass for full feedback.
    """
    mapping = parse_mapping(params.map) | dict(mapping)
    check_mapping(mapping)
    intake = Intake(read_catalogue(Path(tiers)) if tiers else None, mapping, params.ok_at)
    with ExitStack() as stack:
        keep: Callable[[pd.DataFrame], None] = _forget
        refuse: Callable[[pd.DataFrame], None] = _forget
        if not dry_run:
            keep = stack.enter_context(_writing(run / "traces.parquet", ARROW))
            refuse = stack.enter_context(_writing(run / "rejects.parquet", ARROW_REJECTS))
        for batch in _shown(read_batches(source)):
            good, bad = intake.take(batch)
            keep(good)
            refuse(bad)
        catalogue, summary = summarize(intake, source, params.max_reject_share, params.min_steps)
        if not dry_run:  # before the tables get their names: a failure leaves none of the four
            _write_json(run, catalogue, summary)
    return summary


def fleet_source(run: Path, params: Path) -> tuple[str, Path]:
    """Simulate the fleet into the run's folder; give its traces and its tier catalogue."""
    from tierwise.data.fleet import write  # not at the top: a log of one's own needs no simulator

    traces = write(run, params)
    return str(traces), traces.with_name("fleet_tiers.yaml")


def _write_json(run: Path, catalogue: Catalogue, summary: Summary) -> None:
    write_json(run / "tiers.json", catalogue.to_dict())
    write_json(run / "ingest.json", summary.as_dict())


@contextmanager
def _writing(path: Path, schema: pyarrow.Schema) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Yield a function that appends rows to a Parquet file, which appears when all went well."""
    with (
        replacing(path) as part,
        pyarrow.parquet.ParquetWriter(part, schema, compression="zstd") as writer,
    ):

        def append(frame: pd.DataFrame) -> None:
            if len(frame):
                writer.write_table(to_arrow(frame, schema))

        yield append


def _forget(frame: pd.DataFrame) -> None:
    """Take the place of a file in a dry run."""


def _shown(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Count rows on a terminal; say nothing elsewhere."""
    if not sys.stderr.isatty():
        yield from batches
        return
    from rich.console import Console  # only where somebody looks

    rows = 0
    with Console(stderr=True).status("reading") as status:
        for batch in batches:
            rows += len(batch.rows) + len(batch.broken)
            status.update(f"{batch.file}: {rows:,} rows so far")
            yield batch


def main() -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--source", required=True, help="path, folder, glob or URL; or fleet")
    parser.add_argument("--tiers", default="", help="tier catalogue in YAML; none: inferred")
    parser.add_argument("--map", default="", help="text=prompt,tier=model,quality=score")
    parser.add_argument("--dry-run", action="store_true", help="say what is there, write nothing")
    given = parser.parse_args()
    params = section(given.params, "ingest", IngestParams)
    source, tiers = given.source, given.tiers
    if source == FLEET:
        source, simulated = fleet_source(given.run, given.params)
        tiers = tiers or simulated
    summary = ingest(source, given.run, tiers, parse_mapping(given.map), params, given.dry_run)
    print("\n".join(summary.lines()))


if __name__ == "__main__":
    run_stage(main)
