"""Does certification keep its promise in 108 kinds of simulated worlds, 1,000 worlds each?

    python tests/guarantees/run.py --share 0.1 --json guarantees.json --markdown guarantees.md

Exit code 1 if a floor is broken more often than promised, or too little is saved where a good
certifier must save. The same seed gives the same bytes on any number of workers.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from worlds import DELTA, POWER, UNITS, Outcome, cells, run_cell

WORLDS = 1_000


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


def main() -> int:
    """Run, print, write; 1 if a cell is broken or saves too little."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="share of the 1,000 worlds")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    args = parser.parse_args()
    outcomes = run_all(args.share, args.workers, args.seed)
    print(as_markdown(outcomes))
    print(summary(outcomes))
    if args.json:
        content = [asdict(one) | {"holds": one.holds, "powerful": one.powerful} for one in outcomes]
        args.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if args.markdown:
        args.markdown.write_text(as_markdown(outcomes), encoding="utf-8")
    return 0 if all(one.holds and one.powerful for one in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
