"""The router as it ships beside every control, out of fold, on every full-feedback table at hand.

The command is `tierwise scoreboard`. Work is done in processes of one thread each; what is done is
kept, so that a run that was broken off goes on where it stopped. docs/scoreboard.md says what the
figures mean.
"""

from __future__ import annotations

import math
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tierwise.data.errors import BadInput
from tierwise.data.files import write_bytes, write_json
from tierwise.eval.bootstrap import central
from tierwise.eval.given_scores import read_scores
from tierwise.eval.peers import find_peers
from tierwise.eval.scoreboard_jobs import Done, Job, Settings, jobs_of, opened
from tierwise.eval.scoreboard_judge import Judged
from tierwise.eval.scoreboard_page import as_html, as_markdown
from tierwise.eval.scoreboard_workers import Work, Workers

DEFAULT_OUT = Path("artifacts/scoreboard/scoreboard.json")


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line.

    Attributes
    ----------
    folder : Path
        Of trace tables, *.parquet.
    tables : tuple of str
        Names of tables without .parquet; empty: all that have full feedback.
    settings : Settings
    jobs : int
        Processes; 1 works in this one.
    out : Path
        The JSON; Markdown and HTML are written beside it.
    scores : Path or None
        Scores of other routers; see `given_scores`.
    """

    folder: Path
    tables: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)
    jobs: int = 2
    out: Path = DEFAULT_OUT
    scores: Path | None = None


def default_folder() -> Path:
    """Return the folder of tables where none is named."""
    return Path(os.environ.get("TIERWISE_TABLES", "../shared/data"))


def scoreboard(wanted: Wanted) -> dict[str, Any]:
    """Judge every table, write JSON, Markdown and HTML, and return the figures.

    Raises
    ------
    BadInput
        Where no table can be judged.
    """
    found: dict[str, Judged] = {}
    skipped: dict[str, str] = {}
    for path, outcome in _judged(paths_of(wanted), wanted):
        if isinstance(outcome, Judged):
            found[path.stem] = outcome
            print(headline(path.stem, outcome.figures), flush=True)
        else:
            skipped[path.stem] = outcome
            print(f"{path.stem}: skipped: {outcome}", flush=True)
    if not found:
        raise BadInput(
            f"no table to judge in {wanted.folder} ({len(skipped)} skipped)",
            "a trace table with the outcome of every tier on 300 steps or more",
            "name another folder",
        )
    figures: dict[str, Any] = _known(_summary(found, skipped, wanted))
    write_json(wanted.out, figures)
    write_bytes(wanted.out.with_suffix(".md"), as_markdown(figures).encode())
    write_bytes(wanted.out.with_suffix(".html"), as_html(figures).encode())
    return figures


def paths_of(wanted: Wanted) -> list[Path]:
    """Return the tables to look at, by name.

    Raises
    ------
    BadInput
        Where the folder or a named table is missing.
    """
    paths = {path.stem: path for path in sorted(wanted.folder.glob("*.parquet"))}
    if not paths:
        raise BadInput(
            f"no *.parquet in {wanted.folder}", "a folder of trace tables", "name a folder"
        )
    missing = [name for name in wanted.tables if name not in paths]
    if missing:
        raise BadInput(
            f"no table {', '.join(missing)} in {wanted.folder}",
            f"names of {', '.join(paths)}",
            "mend --tables",
        )
    return [path for name, path in paths.items() if not wanted.tables or name in wanted.tables]


def _judged(paths: list[Path], wanted: Wanted) -> Iterator[tuple[Path, Judged | str]]:
    """Yield each table's figures, or why it was skipped, as soon as its work is done."""
    skipped: list[tuple[Path, str]] = []
    progress = Progress()
    with threadpool_limits(1), Workers(wanted.jobs, wanted.settings) as workers:
        for event in workers.run(_works(paths, wanted, skipped)):
            if isinstance(event.outcome, Done):
                progress.tell(event.work, event.job, event.outcome)
            elif isinstance(event.outcome, Judged):
                yield event.work.path, event.outcome
            else:
                yield event.work.path, str(event.outcome)
    yield from skipped


def _works(paths: list[Path], wanted: Wanted, skipped: list[tuple[Path, str]]) -> Iterator[Work]:
    """Yield the work on each table that can be judged; put the others into `skipped`."""
    for path in paths:
        try:
            table = opened(path).table
            scores = read_scores(wanted.scores, table.outcomes.text)
        except BadInput as error:
            skipped.append((path, str(error)))
            continue
        jobs = jobs_of(path, wanted.settings)
        left_out = f" ({table.left_out:,} left out)" if table.left_out else ""
        print(
            f"{path.stem}: {len(table.outcomes):,} steps{left_out}, {len(jobs)} pieces of work",
            flush=True,
        )
        yield Work(path, jobs, scores)


class Progress:
    """Lines that say how far the work on each table is."""

    def __init__(self) -> None:
        self.counts: dict[Path, int] = {}
        self.kept: dict[Path, int] = {}
        self.start: dict[Path, float] = {}

    def tell(self, work: Work, job: Job | None, done: Done) -> None:
        """Print a line for work that was done, and one for all that was in the cache."""
        path, total = work.path, len(work.jobs)
        self.start.setdefault(path, time.monotonic() - done.seconds)
        number = self.counts[path] = self.counts.get(path, 0) + 1
        kept = self.kept[path] = self.kept.get(path, 0) + done.kept
        if not done.kept:
            left = (time.monotonic() - self.start[path]) / (number - kept) * (total - number)
            print(
                f"  {number}/{total} {job} ({done.seconds:.0f} s), "
                f"about {left / 60:.0f} min left on this table",
                flush=True,
            )
        if number == total and kept:
            print(f"  {path.stem}: {kept} of {total} were in the cache", flush=True)


def _summary(
    found: Mapping[str, Judged], skipped: Mapping[str, str], wanted: Wanted
) -> dict[str, Any]:
    """Add means over tables: their draws are independent, so that they are averaged as they come.

    Tables where there is nothing to route have no gain and are left out of the means.
    """
    routed = [one for one in found.values() if np.isfinite(one.gain[0])]
    means = {
        name: np.mean([getattr(one, name) for one in routed], axis=0) if routed else None
        for name in ("gain", "to_blend")
    }
    whole = {
        name: asdict(central(float(mean[0]), mean[1:])) if mean is not None else None
        for name, mean in means.items()
    }
    settings = wanted.settings
    return {
        "tables": {name: one.figures for name, one in found.items()},
        "skipped": dict(skipped),
        "mean_routing_gain": whole["gain"]["value"] if whole["gain"] else None,
        "mean_routing_gain_interval": whole["gain"],
        "difference_to_blend": whole["to_blend"],
        "folds": settings.folds,
        "seeds": list(settings.seeds),
        "draws": settings.draws,
        "command": command(wanted),
        "commit": commit(),
    }


def command(wanted: Wanted) -> str:
    """Return the command line that makes these figures again."""
    settings = wanted.settings
    words = ["tierwise", "scoreboard", str(wanted.folder)]
    words += ["--tables", ",".join(wanted.tables)] if wanted.tables else []
    words += ["--folds", str(settings.folds), "--seed", str(settings.seeds[0])]
    words += ["--seeds", str(len(settings.seeds))]
    words += ["--peers"] if wanted.settings.peers else []
    words += ["--scores", str(wanted.scores)] if wanted.scores else []
    return shlex.join(words)


def commit() -> str | None:
    """Return the commit of the working tree, with "+" where files differ; None outside of one."""
    try:
        head, changed = (
            subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.strip() + ("+" if changed.strip() else "")


def _known(value: Any) -> Any:
    """Return a JSON value in which a number that is not known is null."""
    if isinstance(value, Mapping):
        return {name: _known(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_known(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def headline(name: str, figures: Mapping[str, Any]) -> str:
    """Return one line of a table's result."""
    gain = figures["routing_gain"]["value"]
    if not np.isfinite(gain):
        return f"{name}: nothing to route: the cheapest tier is the best, or none costs more"
    beside = ", ".join(
        f"{control} {one['routing_gain']['value']:.3f} ({one['difference']['value']:+.3f})"
        for control, one in figures["controls"].items()
    )
    return f"{name}: routing gain {gain:.4f}; {beside}"


def settings_of(
    folds: int, seed: int, seeds: int, draws: int = 1_000, few: int = 20, **more: Any
) -> Settings:
    """Return settings after a look at the numbers.

    Raises
    ------
    BadInput
        For fewer than two folds, no seed or no draw.
    """
    if folds < 2 or seeds < 1 or draws < 1 or few < 0 or seed < 0:
        raise BadInput(
            f"folds {folds}, seed {seed}, seeds {seeds}, draws {draws}, few {few}",
            "two folds, one seed and one draw at least, nothing below 0",
            "mend the numbers",
        )
    return Settings(folds, tuple(range(seed, seed + seeds)), draws, few, **more)


def run_command(
    folder: Path | None,
    out: Path,
    tables: str,
    folds: int,
    seed: int,
    seeds: int,
    jobs: int,
    peers: bool,
    scores: Path | None,
) -> None:
    """Make the scoreboard that a command line asks for and print it as Markdown.

    Raises
    ------
    BadInput
        For numbers out of range, or where no table can be judged.
    """
    if jobs < 1:
        raise BadInput(f"--jobs {jobs}", "1 at least", "mend --jobs")
    installed = find_peers() is not None
    if peers and not installed:
        print("no peers are installed here, so none are asked: make peers")
    settings = settings_of(folds, seed, seeds, peers=peers and installed)
    names = tuple(name for name in tables.split(",") if name)
    wanted = Wanted(folder or default_folder(), names, settings, jobs, out, scores)
    sys.stdout.write(as_markdown(scoreboard(wanted)))
