"""Do certification and the gate keep their promises: in worlds of known truth, on real tables?

    python tests/guarantees/run.py --share 0.1 --json guarantees.json --markdown guarantees.md

Exit code 1 if a floor is broken or a policy falsely promoted more often than promised, or too
little is saved or promoted where a good certifier or gate must, or if intervals from logged
feedback hold the truth less or more often than they say. The same seed gives the same bytes on any
number of workers.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import again
import promotion
import retries
from fleet import FRESH_STEPS, World, allowed, run_world
from off_policy import Coverage, as_table, off_policy_cells, run_off_policy
from tables import SAMPLES, TABLES, OnTable, as_lines, run_table
from threadpoolctl import threadpool_limits
from worlds import DELTA, POWER, UNITS, Outcome, cells, run_cell

WORLDS = 1_000  # a cell
END_TO_END = 100
PARTS = ("cells", "tables", "fleet", "promotion", "off_policy")


def run_all(share: float, workers: int, seed: int = 0) -> list[Outcome]:
    """Run every cell with `share` of its worlds."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # read by each worker when it imports numpy
    every = cells()
    worlds = max(1, round(WORLDS * share))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        seeds = [1_000 * seed + number for number in range(len(every))]
        return list(pool.map(run_cell, every, [worlds] * len(every), seeds))


def as_markdown(outcomes: list[Outcome]) -> str:
    """Return the outcomes as a table, one cell a line."""
    lines = [
        "| floor | steps a trace | traces | trace effect | quality | tiers | broken | allowed "
        "| saves nothing | saving kept | truth-knowing saving |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in outcomes:
        cell = one.cell
        flag = "" if one.holds else " BROKEN"
        weak = "" if one.powerful else " TOO LITTLE"
        lines.append(
            f"| {cell.kind} | {cell.steps} | {UNITS[cell.steps]} | {cell.effect:g} "
            f"| {'binary' if cell.binary else 'continuous'} | {cell.tiers} "
            f"| {one.broken:.3f}{flag} | {one.allowed:.3f} | {one.nothing:.3f} "
            f"| {one.kept:.2f}{weak} | {one.knowing:.2f} |"
        )
    return "\n".join(lines) + "\n"


def summary(outcomes: list[Outcome]) -> str:
    """Return one line a floor, and the verdict."""
    lines = [f"delta {DELTA:g}, {outcomes[0].worlds} worlds a cell, {len(outcomes)} cells"]
    for kind in ("retain", "miss", "absolute"):
        of_kind = [one for one in outcomes if one.cell.kind == kind]
        single = [one for one in of_kind if one.cell.steps == 1]
        lines.append(
            f"{kind}: broken at most {max(one.broken for one in of_kind):.3f} "
            f"(allowed {of_kind[0].allowed:.3f}); with independent steps, {UNITS[1]} of them, "
            f"saving kept {min(one.kept for one in single):.2f} "
            f"to {max(one.kept for one in single):.2f}"
        )
    broken = sum(not one.holds for one in outcomes)
    weak = sum(not one.powerful for one in outcomes)
    lines.append(f"{broken} cells broken; {weak} cells save less than {POWER:.0%} where asked")
    return "\n".join(lines)


def run_fleet(share: float, workers: int) -> tuple[list[World], float]:
    """Run the end-to-end worlds; return them and the share that may be broken."""
    worlds = max(4, round(END_TO_END * share))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return list(pool.map(run_world, range(worlds))), allowed(worlds)


def run_promotion(share: float, workers: int, seed: int = 0) -> list[promotion.Promoted]:
    """Ask the gate in worlds of logs, on both sides of its boundaries."""
    every = promotion.cases()
    worlds = max(20, round(promotion.WORLDS * share))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        seeds = [1_000 * seed + number for number in range(len(every))]
        return list(pool.map(promotion.run_case, every, [worlds] * len(every), seeds))


def run_coverage(share: float, workers: int, seed: int = 0) -> list[Coverage]:
    """Count how often intervals from logged feedback hold the truth."""
    every = off_policy_cells()
    worlds = max(20, round(WORLDS * share))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        seeds = [1_000 * seed + number for number in range(len(every))]
        return list(pool.map(run_off_policy, every, [worlds] * len(every), seeds))


def run_again_all(share: float, workers: int, seed: int = 0) -> list[again.Again]:
    """Ask of each form of floor how often a test part shows again what was certified."""
    worlds = max(20, round(again.WORLDS * share))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        seeds = [1_000 * seed + number for number in range(len(again.KINDS))]
        return list(pool.map(again.run_again, again.KINDS, [worlds] * len(seeds), seeds))


def tables(folder: Path, share: float) -> list[OnTable]:
    """Run the real tables that are found."""
    samples = max(20, round(SAMPLES * share))
    paths = [folder / f"{name}.parquet" for name in TABLES]
    with threadpool_limits(1):
        return [one for path in paths if path.exists() for one in run_table(path, samples)]


def main() -> int:
    """Run, print, write; 1 if a promise is broken or too little is saved."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="share of the full number of runs")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--only", choices=PARTS, action="append")
    args = parser.parse_args()
    parts = args.only or PARTS
    folder = Path(os.environ.get("TIERWISE_TABLES", "../shared/data"))
    lines: list[str] = []
    content: dict[str, object] = {}
    sound = True
    if "cells" in parts:
        outcomes = run_all(args.share, args.workers, args.seed)
        lines += [as_markdown(outcomes), summary(outcomes)]
        content["cells"] = [
            asdict(one) | {"holds": one.holds, "powerful": one.powerful} for one in outcomes
        ]
        sound &= all(one.holds and one.powerful for one in outcomes)
    if "tables" in parts:
        on_tables = tables(folder, args.share)
        lines += as_lines(on_tables) if on_tables else [f"no real tables found in {folder}"]
        content["tables"] = [asdict(one) | {"holds": one.holds} for one in on_tables]
        sound &= all(one.holds for one in on_tables)
    if "fleet" in parts:
        worlds, most = run_fleet(args.share, args.workers)
        broken = sum(one.broken for one in worlds) / len(worlds)
        certified = [one for one in worlds if one.certified]
        saved = sum(one.saved for one in certified) / max(len(certified), 1)
        lines.append(
            f"end to end: {len(worlds)} worlds, each judged on {FRESH_STEPS:,} fresh steps: floor "
            f"broken in {broken:.3f} (allowed {most:.3f}), certified in {len(certified)}, "
            f"mean saving there {saved:.2f}"
        )
        content["fleet"] = {"worlds": [asdict(one) for one in worlds], "allowed": most}
        sound &= broken <= most
    if "promotion" in parts:
        asked = run_promotion(args.share, args.workers, args.seed)
        told = run_again_all(args.share, args.workers, args.seed)
        lines += [*promotion.as_lines(asked), *again.as_lines(told)]
        content["promotion"] = [asdict(one) | {"holds": one.holds} for one in asked]
        content["again"] = [asdict(one) for one in told]
        sound &= all(one.holds for one in asked)
    if "off_policy" in parts:
        covered = run_coverage(args.share, args.workers, args.seed)
        pooled = retries.run_retries(max(4, round(retries.WORLDS * args.share)), args.seed)
        lines += [*as_table(covered), pooled.line()]
        content["off_policy"] = [asdict(one) | {"holds": one.holds} for one in covered]
        content["retries"] = asdict(pooled) | {"holds": pooled.holds}
        sound &= pooled.holds and all(one.holds for one in covered)
    print("\n".join(lines))
    if args.json:
        args.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if args.markdown:
        args.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0 if sound else 1


if __name__ == "__main__":
    raise SystemExit(main())
