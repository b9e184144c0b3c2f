"""What a decision costs, as a multiple of an empty ONNX Runtime call of the same run.

    python tests/bench/decide.py artifacts/fleet/policy [--rounds 15] [--json OUT]

One thread, from `str`, through `Router.decide`. Each round times the empty call and every length in
a random order, on texts that differ; a ratio is that of a round's medians, and the median and the
quartiles over rounds are printed. Then texts from 0 bytes to 1 MB are decided again and again, and
the growth of the process's memory is printed.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from tierwise.data.fleet import FleetParams, draw, make_world
from tierwise.serve import Router

CALLS = 100  # a round and length
LENGTHS = {"0 words": 0, "20 words": 20, "200 words": 200, "2,000 words": 2_000}


def empty_session() -> onnxruntime.InferenceSession:
    """Return a session that does nothing: Identity on float32 [1, 16]."""
    one = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 16]) for n in ("x", "y")]
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "empty", one[:1], one[1:])
    opset = helper.make_opsetid("", 21)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def texts(n_words: int, rng: np.random.Generator) -> list[str]:
    """Return texts of so many words, all different, from the fleet's own steps."""
    fleet = draw(make_world(FleetParams(), rng), 400, rng)
    words = " ".join(fleet.steps["text"]).split()
    starts = rng.integers(0, len(words) - 2_000, CALLS)
    return [" ".join(words[s : s + n_words]) for s in starts]


def median_us(call: Callable[[int], object]) -> float:
    """Return the median time of a call, in microseconds."""
    taken = []
    for i in range(CALLS):
        began = time.perf_counter_ns()
        call(i)
        taken.append(time.perf_counter_ns() - began)
    return float(np.median(taken)) / 1e3


def ratios(router: Router, rounds: int, rng: np.random.Generator) -> dict[str, list[float]]:
    """Return each round's time over the empty call's, by length."""
    session, nothing = empty_session(), {"x": np.zeros((1, 16), np.float32)}
    by_length = {name: texts(n, rng) for name, n in LENGTHS.items()}
    found: dict[str, list[float]] = {name: [] for name in by_length}
    gc.disable()
    for _ in range(rounds):
        base = median_us(lambda _: session.run(None, nothing))
        for name in rng.permutation(list(by_length)):
            chosen = by_length[str(name)]
            took = median_us(lambda i, t=chosen: router.decide(t[i], role="worker"))  # type: ignore[misc]
            found[str(name)].append(took / base)
        found.setdefault("empty, us", []).append(base)
    gc.enable()
    return found


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("policy", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    router = Router.load(args.policy)
    rng = np.random.default_rng(0)
    found = ratios(router, args.rounds, rng)
    empty = float(np.median(found.pop("empty, us")))
    print(f"policy.onnx {(args.policy / 'policy.onnx').stat().st_size / 1e6:.2f} MB")
    print(f"empty ONNX Runtime call {empty:.2f} us")
    for name, values in found.items():
        low, middle, high = np.percentile(values, [25, 50, 75])
        print(f"{name:>12}: {middle:5.1f} x empty ({low:.1f} to {high:.1f})")
    grown = growth_mb(router, rng)
    print(f"memory grown over 50 passes from 0 bytes to 1 MB: {grown:.2f} MB")
    if args.json:
        content = {"empty_us": empty, "ratios": found, "grown_mb": grown}
        args.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
