"""What a decision costs, as a multiple of an empty ONNX Runtime call of the same run.

    python tests/bench/decide.py artifacts/fleet/policy [--rounds 15] [--table TABLE] [--sizes]

One thread, on texts that all differ: of 0, 20, 200 and 2,000 words of the simulated fleet, and of a
table if one is named. Two figures each: the graph alone, its inputs prepared, and from `str`
through `Router.decide`. Each round times every case in random order, and the empty call just before
and just after it; printed are the median and the quartiles, over rounds, of the ratio of medians.
Where the fitted model lies beside the policy, graphs without some of their members are timed in the
same turns; with --sizes, graphs of fewer trees and of other networks too. Then texts from 0 bytes
to 1 MB are decided again and again, and the growth of the process's memory is printed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
from members import sized_graphs, smaller_graphs

from tierwise.data.messages import cap, utf8
from tierwise.eval.bench_texts import TEXTS, fleet_texts
from tierwise.eval.clock import Call, Case, quartiles, ratios
from tierwise.router_model.runtime import open_session
from tierwise.serve import Router

WHOLE, ROUTER = "graph", "Router.decide"


def table_texts(path: Path, rng: np.random.Generator) -> list[str]:
    """Return texts of a trace table, drawn at random."""
    texts = pq.read_table(path, columns=["text"])["text"].drop_null().to_pylist()
    return [texts[i] for i in rng.permutation(len(texts))[:TEXTS]]


def feeds(session: onnxruntime.InferenceSession, texts: list[str]) -> list[dict[str, Any]]:
    """Return the graph's inputs for each text, ready to run: only the text's bytes are known."""
    shapes = {one.name: one.shape for one in session.get_inputs()}
    found: list[dict[str, Any]] = []
    for text in texts:
        content = utf8(text)
        context = np.full(shapes["context"], np.nan, np.float32)
        context[0, :3] = 0, 0, len(content)
        feed: dict[str, Any] = {"context": context}
        if "text" in shapes:
            feed["text"] = np.frombuffer(cap(content), np.uint8)
        else:
            feed["embedding"] = np.zeros(shapes["embedding"], np.float32)
        found.append(feed)
    return found


def graph_call(model: bytes, texts: list[str]) -> Call:
    """Return the call of a graph alone, its inputs prepared."""
    session = open_session(model)
    return (lambda feed: session.run(["decision"], feed)), feeds(session, texts)


def all_calls(
    graphs: dict[str, bytes], router: Router, by_length: dict[str, list[str]]
) -> dict[Case, Call]:
    """Return the calls of every case."""
    calls: dict[Case, Call] = {}
    for length, texts in by_length.items():
        calls[ROUTER, length] = (lambda text: router.decide(text, role="worker")), texts
        for name, model in graphs.items():
            calls[name, length] = graph_call(model, texts)
    return calls


def growth_mb(router: Router, rng: np.random.Generator) -> float:
    """Return how much the process's memory grows while it decides 0 bytes to 1 MB, MB.

    Counted from the second pass on: in the first, buffers reach their size.
    """
    lengths = [0, *(2 ** np.arange(0, 21)).tolist()]
    some = [rng.integers(97, 123, n, dtype=np.uint8).tobytes().decode() for n in lengths]
    _all(router, some)
    before = _rss_mb()
    for _ in range(50):
        _all(router, some)
    return _rss_mb() - before


def _all(router: Router, some: list[str]) -> None:
    for text in some:
        router.decide(text)


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


def show(found: dict[Case, tuple[float, ...]]) -> None:
    """Print a row for each thing timed and a column for each length."""
    names, lengths = (list(dict.fromkeys(parts)) for parts in zip(*found, strict=True))
    print(f"{'x empty, median (quartiles)':<28}" + "".join(f"{name:>22}" for name in lengths))
    for name in names:
        cells = [quartiles(found[name, length]) for length in lengths]
        print(f"{name:<28}" + "".join(f"{cell:>22}" for cell in cells))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("policy", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--table", type=Path, help="a Parquet table whose texts are timed too")
    parser.add_argument("--sizes", action="store_true", help="vary trees and hidden units too")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    router = Router.load(args.policy)
    rng = np.random.default_rng(0)
    by_length = fleet_texts(rng)
    if args.table:
        by_length[args.table.stem] = table_texts(args.table, rng)
    graphs = {WHOLE: (args.policy / "policy.onnx").read_bytes()}
    graphs |= smaller_graphs(args.policy.parent)
    if args.sizes:
        graphs |= sized_graphs(args.policy.parent, rng)
    found, empty = ratios(all_calls(graphs, router, by_length), args.rounds, rng)
    print(f"policy.onnx {(args.policy / 'policy.onnx').stat().st_size / 1e6:.2f} MB")
    print(f"empty ONNX Runtime call {empty:.2f} us")
    for name, texts in by_length.items():
        print(f"{name}: {np.median([len(utf8(text)) for text in texts]):,.0f} bytes, median")
    show(found)
    grown = growth_mb(router, rng)
    print(f"memory grown over 50 passes from 0 bytes to 1 MB: {grown:.2f} MB")
    if args.json:
        by_name = {": ".join(case): values for case, values in found.items()}
        content = {"empty_us": empty, "ratios": by_name, "grown_mb": grown}
        args.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
