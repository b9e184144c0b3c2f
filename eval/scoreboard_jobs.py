"""The scoreboard's pieces of work, each a function of one table; results are kept in the cache."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.eval.certified_saving import Certified, certified_saving
from tierwise.eval.few_steps import FewSteps, few_steps
from tierwise.eval.fitted_controls import CONTROLS, Said, fit_controls
from tierwise.eval.held_out import fit_params, held_out
from tierwise.eval.judged_table import Table, deal, read_table
from tierwise.eval.peers import PeerScores, peer_scores
from tierwise.eval.scoreboard_cache import JUDGES, Arrays, Cache, code_hash

Floats = NDArray[np.float64]
Kind = Literal["router", "controls", "certified", "few", "peers"]

HOME = "tierwise.eval"
CODE: dict[Kind, tuple[str, ...]] = {
    "router": (f"{HOME}.held_out",),
    "controls": (f"{HOME}.fitted_controls",),
    "certified": (f"{HOME}.certified_saving",),
    "few": (f"{HOME}.few_steps",),
    "peers": (),
}


@dataclass(frozen=True)
class Settings:
    """What a scoreboard is made with.

    Attributes
    ----------
    folds : int
    seeds : tuple of int
        Draws of the folds, and of the parts for certification.
    draws : int
        Of the bootstrap.
    few : int
        Draws of few steps; 0 leaves them out.
    cache : Path
        Folder.
    peers : bool
        Whether the peers that are installed are asked.
    """

    folds: int = 5
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    draws: int = 1_000
    few: int = 20
    cache: Path = Path("artifacts/scoreboard/cache")
    peers: bool = False


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Attributes
    ----------
    path : Path
        The table.
    kind : str
    seed : int
        Of the folds or parts; the number of the draw for `few`.
    fold : int
        The fold that is held out; -1 where there is none.
    """

    path: Path
    kind: Kind
    seed: int
    fold: int = -1

    def __str__(self) -> str:
        held = f" fold {self.fold}" if self.fold >= 0 else ""
        return f"{self.path.stem}: {self.kind}, seed {self.seed}{held}"


@dataclass(frozen=True)
class Done:
    """That a job's result is in the cache, and whether it was there before."""

    seconds: float
    kept: bool


@dataclass(frozen=True)
class Opened:
    """A table and the hash of its content."""

    table: Table
    content: str


@lru_cache(maxsize=2)  # one is judged while the next one is worked on
def opened(path: Path) -> Opened:
    """Read a table once for all jobs that follow each other on it."""
    table = read_table(path)
    return Opened(table, table.content())


def jobs_of(path: Path, settings: Settings) -> list[Job]:
    """Return the work on a table, in order."""
    folds = [
        Job(path, kind, seed, fold)
        for seed in settings.seeds
        for kind in ("router", "controls")
        for fold in range(settings.folds)
    ]
    asked = [Job(path, "peers", 0)] if settings.peers else []
    return [
        *asked,
        *folds,
        *(Job(path, "certified", seed) for seed in settings.seeds),
        *(Job(path, "few", draw) for draw in range(settings.few)),
    ]


def run_job(job: Job, settings: Settings) -> Done:
    """Do a piece of work unless its result is in the cache."""
    start = time.perf_counter()
    if job.kind == "peers":  # they keep their answers themselves
        installed_peers(job.path, settings)
        return Done(time.perf_counter() - start, kept=False)
    cache, (path, compute) = Cache(settings.cache), _plan(job, settings)
    kept = cache.load(path) is not None
    if not kept:
        cache.save(path, compute())
    return Done(time.perf_counter() - start, kept)


def result(job: Job, settings: Settings) -> Arrays:
    """Return the result of a job, from the cache where it is there."""
    cache, (path, compute) = Cache(settings.cache), _plan(job, settings)
    found = cache.load(path)
    if found is None:
        found = compute()
        cache.save(path, found)
    return found


def _plan(job: Job, settings: Settings) -> tuple[Path, Any]:
    """Return where a job's result is kept and the function that computes it."""
    one = opened(job.path)
    table, params = one.table, fit_params()
    code = code_hash(CODE[job.kind], JUDGES if job.kind == "controls" else ())
    depends: dict[str, Any] = {"content": one.content, "code": code}
    if job.kind != "controls":
        depends["fit"] = asdict(params)
    if job.fold < 0:
        depends["seed"] = job.seed
    else:
        fold = deal(table, settings.folds, job.seed)
        depends["held"] = hashlib.sha256(np.packbits(fold == job.fold).tobytes()).hexdigest()

    def compute() -> Mapping[str, NDArray[Any]]:
        if job.kind == "router":
            held = held_out(table, fold, job.fold)
            return {"quality": held.said.quality, "cost": held.said.total_cost}
        if job.kind == "controls":
            outcomes = table.outcomes
            said = fit_controls(outcomes.rows(fold != job.fold), outcomes.rows(fold == job.fold))
            return {"cost": said.cost, "quality": np.stack([said.quality[c] for c in CONTROLS])}
        try:
            if job.kind == "certified":
                return _as_arrays(certified_saving(table, job.seed, params))
            return _as_arrays(few_steps(table, job.seed, params))
        except BadInput:  # too small a table for this figure, which is then left out
            return {"values": np.zeros(0)}

    label = f"{job.kind}-{job.seed}" + (f"-{job.fold}" if job.fold >= 0 else "")
    return Cache(settings.cache).path(label, job.path.stem, **depends), compute


def _as_arrays(value: Certified | FewSteps) -> dict[str, NDArray[Any]]:
    return {"values": np.array(astuple(value), np.float64)}


def router_out_of_fold(path: Path, seed: int, settings: Settings) -> tuple[Floats, Floats]:
    """Return the router's pooled estimates of quality and cost, each (n_steps, n_tiers)."""
    table = opened(path).table
    fold = deal(table, settings.folds, seed)
    quality, cost = np.zeros(table.outcomes.quality.shape), np.zeros(table.outcomes.cost.shape)
    for k in range(settings.folds):
        found = result(Job(path, "router", seed, k), settings)
        quality[fold == k], cost[fold == k] = found["quality"], found["cost"]
    return quality, cost


def controls_out_of_fold(path: Path, seed: int, settings: Settings) -> Said:
    """Return the controls' pooled estimates."""
    table = opened(path).table
    fold = deal(table, settings.folds, seed)
    quality = np.zeros((len(CONTROLS), *table.outcomes.quality.shape))
    cost = np.zeros(table.outcomes.cost.shape)
    for k in range(settings.folds):
        found = result(Job(path, "controls", seed, k), settings)
        quality[:, fold == k], cost[fold == k] = found["quality"], found["cost"]
    return Said(dict(zip(CONTROLS, quality, strict=True)), cost)


def installed_peers(path: Path, settings: Settings) -> Mapping[str, PeerScores]:
    """Return what the peers that are installed say of every step; nothing where they fail."""
    if not settings.peers:
        return {}
    texts = [text.decode() for text in opened(path).table.outcomes.text]
    try:
        return peer_scores(texts, settings.cache)
    except BadInput as error:
        print(f"  {path.stem}: no peers: {error}", file=sys.stderr, flush=True)
        return {}


def certified_draws(path: Path, settings: Settings) -> list[Certified]:
    """Return what certification saved on each draw of the parts."""
    jobs = [Job(path, "certified", seed) for seed in settings.seeds]
    values = [result(job, settings)["values"] for job in jobs]
    return [Certified(*one) for one in values if one.size]


def few_draws(path: Path, settings: Settings) -> list[FewSteps]:
    """Return what router and task mean gained on each draw of few steps."""
    jobs = [Job(path, "few", draw) for draw in range(settings.few)]
    values = [result(job, settings)["values"] for job in jobs]
    return [FewSteps(*map(float, one)) for one in values if one.size]
