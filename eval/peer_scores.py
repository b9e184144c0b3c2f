"""Let installed routers say how hard texts are. Run by the environment that `make peers` makes.

.venv-peers/bin/python -I eval/peer_scores.py TEXTS.jsonl OUT.json
.venv-peers/bin/python -I eval/peer_scores.py --versions
.venv-peers/bin/python -I eval/peer_scores.py --clock  < one JSON list of texts a line

TEXTS.jsonl holds one JSON string a line. Nothing of tierwise is imported, nothing goes over the
network: an attempt is refused and written down. One process, one thread, one text a call.

The peers, each as it comes, asked through its public entry points:

litellm_heuristic     LiteLLM's complexity router, classifier_type heuristic: its weighted score
litellm_heuristic_v2  the same with heuristic_v2: 1 - its forecast that the SIMPLE tier succeeds
uncommon_route        UncommonRoute's route(): the complexity of the decision, of four values
uncommon_route_classify  its classify(), the text model inside: complexity 0..1

UncommonRoute's embedding vote needs model weights that it fetches on first use. They are used
where an earlier download left them in the cache; elsewhere that vote abstains, and `note` says so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import statistics
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

NETWORK = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
WARM_UP = 20  # texts asked before the clock counts: caches of compiled patterns, lazy imports
DISTRIBUTION = {
    "litellm_heuristic": "litellm",
    "litellm_heuristic_v2": "litellm",
    "uncommon_route": "uncommon-route",
    "uncommon_route_classify": "uncommon-route",
}
LITELLM_CLASSES = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
UNCOMMON_CLASSES = ("SIMPLE", "MEDIUM", "COMPLEX")

Ask = Callable[[str], Awaitable[tuple[float, str]]]


def versions() -> dict[str, str]:
    """Return the installed version behind each peer, without importing any."""
    return {peer: version(distribution) for peer, distribution in DISTRIBUTION.items()}


def refuse_network(attempts: list[str]) -> None:
    """Make every use of a socket to another machine raise, and note it in `attempts`."""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in NETWORK:
            attempts.append(f"{event} {args[1:] if event == 'socket.connect' else args}")
            raise OSError("peers are asked without a network")

    sys.addaudithook(hook)


def stay_local(data: str) -> None:
    """Set what the libraries read at import: bundled prices, cached weights, no telemetry."""
    os.environ.update(
        LITELLM_LOCAL_MODEL_COST_MAP="True",
        LITELLM_MODE="PRODUCTION",  # it would read a .env file otherwise
        LITELLM_TELEMETRY="False",
        HF_HUB_OFFLINE="1",
        DO_NOT_TRACK="1",
        UNCOMMON_ROUTE_TELEMETRY="off",
        # It would fetch a leaderboard in the background: priors for its choice among models,
        # which neither complexity nor tier looks at.
        UNCOMMON_ROUTE_BENCHMARK_AUTO_REFRESH="0",
        UNCOMMON_ROUTE_DATA_DIR=data,
        TOKENIZERS_PARALLELISM="false",
    )
    warnings.simplefilter("ignore")  # of pickles made by another scikit-learn
    logging.disable(logging.ERROR)


def litellm_asks() -> dict[str, Ask]:
    """Return LiteLLM's two local classifiers at their default thresholds."""
    import litellm
    from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter

    def build(kind: str) -> Any:
        config = {"classifier_type": kind}
        return ComplexityRouter("auto", litellm.Router(model_list=[]), config)

    first, second = build("heuristic"), build("heuristic_v2")

    async def heuristic(text: str) -> tuple[float, str]:
        said = await first.aclassify(text)
        return float(said.score), str(said.tier.value)

    async def heuristic_v2(text: str) -> tuple[float, str]:
        said = await second.aclassify(text)
        return 1.0 - float(said.heuristic_v2_forecast["probabilities"]["SIMPLE"]), said.tier.value

    return {"litellm_heuristic": heuristic, "litellm_heuristic_v2": heuristic_v2}


def uncommon_asks() -> tuple[dict[str, Ask], str]:
    """Return UncommonRoute's decision and its text model, and what is missing of the former."""
    import uncommon_route

    async def route(text: str) -> tuple[float, str]:
        said = uncommon_route.route(text, record_lifecycle=False)
        return float(said.complexity), str(said.tier.value)

    async def classify(text: str) -> tuple[float, str]:
        said = uncommon_route.classify(text)
        # No tier: it is not sure. Its own ensemble then serves the middle one.
        return float(said.complexity), str(said.tier.value) if said.tier else "MEDIUM"

    votes = uncommon_route.route("Which vote is missing?", record_lifecycle=False).reasoning
    note = "embedding vote abstains: no weights in the cache" if "embedding=None" in votes else ""
    return {"uncommon_route": route, "uncommon_route_classify": classify}, note


async def ask_all(ask: Ask, texts: list[str]) -> dict[str, Any]:
    """Ask for every text; return scores, choices and the quartiles of microseconds a call.

    The clock is the thread's own processor time: no peer waits for anything, so on an idle
    machine that is the time a caller waits, and on a busy one other programs do not count.
    """
    for text in texts[:WARM_UP]:
        await ask(text)
    said, spent = [], []
    for text in texts:
        start = time.thread_time_ns()
        said.append(await ask(text))
        spent.append((time.thread_time_ns() - start) / 1000)
    return {
        "score": [score for score, _ in said],
        "choice": [choice for _, choice in said],
        "microseconds": statistics.quantiles(spent, n=4) if len(spent) > 1 else spent * 3,
    }


def score(texts: list[str]) -> dict[str, Any]:
    """Return what every peer says of the texts, by its name."""
    attempts: list[str] = []
    refuse_network(attempts)
    with tempfile.TemporaryDirectory() as data:
        stay_local(data)
        uncommon, note = uncommon_asks()
        asks, found = {**litellm_asks(), **uncommon}, {}
        for peer, ask in asks.items():
            ours = peer in uncommon
            found[peer] = {
                "version": versions()[peer],
                "classes": UNCOMMON_CLASSES if ours else LITELLM_CLASSES,
                "note": note if peer == "uncommon_route" else "",
                **asyncio.run(ask_all(ask, texts)),
            }
    return {"peers": found, "network_attempts": attempts}


def clock() -> None:
    """Answer each line, a JSON list of texts, by the median microseconds of LiteLLM's heuristic."""
    refuse_network([])
    with tempfile.TemporaryDirectory() as data:
        stay_local(data)
        ask = litellm_asks()["litellm_heuristic"]
        for line in sys.stdin:
            said = asyncio.run(ask_all(ask, json.loads(line)))
            print(json.dumps(said["microseconds"][1]), flush=True)


def main() -> None:
    """Score the texts of a file, answer lines of texts, or print the versions."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("texts", nargs="?", type=Path)
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--versions", action="store_true")
    parser.add_argument("--clock", action="store_true")
    wanted = parser.parse_args()
    if wanted.clock:
        clock()
        return
    if wanted.versions:
        print(json.dumps(versions()))
        return
    if wanted.out is None:
        parser.error("give TEXTS.jsonl and OUT.json")
    with wanted.texts.open(encoding="utf-8") as lines:
        texts = [json.loads(line) for line in lines]
    wanted.out.write_text(json.dumps(score(texts)), encoding="utf-8")


if __name__ == "__main__":
    code = 0
    try:
        main()
    except Exception:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    # At a normal exit LiteLLM's HTTP client imports a module while it is torn down, and the
    # interpreter waits for that import's lock forever.
    os._exit(code)
