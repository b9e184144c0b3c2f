"""What people can install today, beside the router: their difficulty scores, judged alike.

The peers live in an environment of their own (`make peers`) and are asked by eval/peer_scores.py
in a process of their own. None of them has seen an outcome of the table it is judged on; nothing
is fitted here either, so no fold is needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.files import read_json, write_json
from tierwise.data.messages import utf8
from tierwise.eval.metrics import Floats, constants, curve, reachable, routing_gain, saved_at

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = Path(__file__).resolve().with_name("peer_scores.py")
POINTS = 400  # thresholds at most, as finely as the router's own path is swept
RATIOS = (1.0, 0.98, 0.95)
SECONDS, SECONDS_A_TEXT = 300.0, 0.2  # a peer that takes longer hangs


@dataclass(frozen=True)
class PeerScores:
    """What a peer says of each text.

    Attributes
    ----------
    name, version : str
    score : ndarray of shape (n_steps,)
        Difficulty, higher is harder; only its order counts.
    choice : ndarray of str, shape (n_steps,)
        The class it chooses at its own default thresholds.
    microseconds : tuple of float
        Quartiles (low, median, high) of one call, in processor time of its own thread.
    classes : tuple of str
        All classes, easy to hard.
    note : str
        What was missing when it was asked; empty for nothing.
    """

    name: str
    version: str
    score: Floats
    choice: NDArray[np.str_]
    microseconds: tuple[float, float, float]
    classes: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class PeerVerdict:
    """How a peer routes a table.

    Attributes
    ----------
    gain : float
        Routing gain of a threshold on the score, swept between the cheapest tier and the best.
    gain_any_pair : float
        The same between every two tiers, mixed with hindsight: no use of the score by one
        threshold does better. At least 0; above `gain` where tiers between are worth having.
    saved : dict of str to float
        Of the sweep of `gain`: share of the best tier's cost saved at 100, 98, 95 % of its quality.
    default_cost, default_quality : float
        Mean of a step at the peer's own thresholds, USD and 0..1; see `default_tiers`.
    default_saved, default_kept : float
        Share of the best tier's cost saved there (negative: dearer), of its quality kept.
    default_lead : float
        `default_quality` less what mixing fixed tiers by a coin reaches at the same mean cost.
    """

    gain: float
    gain_any_pair: float
    saved: dict[str, float]
    default_cost: float
    default_quality: float
    default_saved: float
    default_kept: float
    default_lead: float


def find_peers(root: Path = ROOT) -> Path | None:
    """Return the python of the peers' environment below `root`, None where there is none."""
    python = root / ".venv-peers" / "bin" / "python"
    return python if python.is_file() else None


def peer_scores(texts: Sequence[str], cache: Path, root: Path = ROOT) -> Mapping[str, PeerScores]:
    """Ask every installed peer how hard each text is.

    Parameters
    ----------
    texts : sequence of str, length n_steps
        Whole texts, not cut; unpaired surrogates are asked as U+FFFD.
    cache : Path
        Folder of earlier answers, by hash of the texts, the peers' versions and the script.
    root : Path
        Where `.venv-peers` is looked for: the checkout.

    Raises
    ------
    BadInput
        Where the environment is missing or a peer fails.
    """
    python = find_peers(root)
    if python is None:
        raise BadInput(
            f"no peers' environment in {root}", ".venv-peers with the peers", "run make peers"
        )
    clean = [utf8(text).decode() for text in texts]
    versions = _run([str(python), "-I", str(SCRIPT), "--versions"], SECONDS)
    asked = json.dumps([versions, SCRIPT.read_text(encoding="utf-8"), clean]).encode()
    path = cache / f"peers-{hashlib.sha256(asked).hexdigest()[:20]}.json"
    if not path.is_file():
        write_json(path, _ask(python, clean))
    return {name: _scores(name, said) for name, said in read_json(path)["peers"].items()}


def _ask(python: Path, texts: list[str]) -> dict[str, Any]:
    """Run the script on the texts and return what it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        asked, said = Path(folder) / "texts.jsonl", Path(folder) / "said.json"
        asked.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
        limit = SECONDS + SECONDS_A_TEXT * len(texts)
        _run([str(python), "-I", str(SCRIPT), str(asked), str(said)], limit, folder)
        answer: dict[str, Any] = read_json(said)
    if answer["network_attempts"]:
        raise BadInput(
            f"a peer reached for the network: {answer['network_attempts'][0]}",
            "local answers",
            "keep the versions that the extra peers pins, run make peers",
        )
    return answer


def _run(command: list[str], limit: float, folder: str | None = None) -> str:
    """Run a command of the peers' environment, return its output; one thread, `limit` seconds."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, env=env, cwd=folder, timeout=limit, capture_output=True, text=True, check=True
        )
    except subprocess.TimeoutExpired:
        said = f"no answer in {limit:.0f} s"
    except subprocess.CalledProcessError as error:
        said = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
    else:
        return done.stdout
    raise BadInput(f"asking the peers failed ({said})", "scores", "run make peers again")


def _scores(name: str, said: dict[str, Any]) -> PeerScores:
    """Read one peer's part of the script's answer."""
    low, median, high = said["microseconds"]
    return PeerScores(
        name=name,
        version=said["version"],
        score=np.array(said["score"], np.float64),
        choice=np.array(said["choice"], np.str_),
        microseconds=(low, median, high),
        classes=tuple(said["classes"]),
        note=said["note"],
    )


def judge_peer(scores: PeerScores, quality: Floats, cost: Floats) -> PeerVerdict:
    """Judge a peer on steps whose every outcome is known.

    Parameters
    ----------
    scores : PeerScores
        Of the same steps.
    quality, cost : ndarray of shape (n_steps, n_tiers)
        True outcomes: 0..1, USD; no NaN; tiers in any order.
    """
    tier_cost, tier_quality = constants(quality, cost)
    rising = ladder(tier_cost, tier_quality)
    low, best = int(rising[0]), int(rising[-1])
    swept = curve(thresholds(scores.score, low, best), quality, cost)
    pairs = [
        curve(thresholds(scores.score, int(a), int(b)), quality, cost)
        for a, b in combinations(np.argsort(tier_cost, kind="stable"), 2)
    ]
    any_pair = [np.concatenate(parts) for parts in zip(*pairs, strict=True)]
    default = curve(default_tiers(scores, rising)[None, :], quality, cost)
    at_cost, at_quality = float(default[0][0]), float(default[1][0])
    mixed = float(reachable(tier_cost, tier_quality, default[0])[0])
    return PeerVerdict(
        gain=routing_gain(*swept, quality, cost),
        gain_any_pair=routing_gain(any_pair[0], any_pair[1], quality, cost),
        saved={f"{100 * r:.0f}": saved_at(swept, quality, cost, r) for r in RATIOS},
        default_cost=at_cost,
        default_quality=at_quality,
        default_saved=1.0 - at_cost / float(tier_cost[best]),
        default_kept=at_quality / float(tier_quality[best]),
        default_lead=at_quality - mixed,
    )


def ladder(tier_cost: Floats, tier_quality: Floats) -> NDArray[np.int64]:
    """Return the tiers somebody would configure: each better than all cheaper ones.

    From the cheapest to the one of best mean quality, in order of mean cost.
    """
    order = np.lexsort((-tier_quality, tier_cost))
    before = np.maximum.accumulate(np.concatenate([[-np.inf], tier_quality[order][:-1]]))
    return order[tier_quality[order] > before]


def thresholds(score: Floats, low: int, high: int) -> NDArray[np.int8]:
    """Return tier `high` above each threshold on the score and `low` up to it, dear to cheap.

    Shape (n_points, n_steps); at every distinct score, or at `POINTS` even quantiles of them.
    """
    at = np.unique(score)
    if len(at) > POINTS:
        at = np.unique(np.quantile(score, np.linspace(0, 1, POINTS), method="inverted_cdf"))
    bounds = np.concatenate([[-np.inf], at])
    return np.where(score[None, :] > bounds[:, None], high, low).astype(np.int8)


def default_tiers(scores: PeerScores, rising: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the tier of each step at the peer's own thresholds, shape (n_steps,).

    Class i of C goes to rung round(i (K - 1) / (C - 1)) of the `ladder` of K tiers, halves to
    the dearer: the easiest class to the cheapest tier, the hardest to the best. On two tiers
    LiteLLM's SIMPLE and MEDIUM go to the cheap one, COMPLEX and REASONING to the dear one.
    """
    place = np.arange(len(scores.classes)) * (len(rising) - 1) / max(1, len(scores.classes) - 1)
    rung = dict(zip(scores.classes, rising[np.floor(place + 0.5).astype(int)], strict=True))
    unknown = sorted(set(scores.choice.tolist()) - set(scores.classes))
    if unknown:
        raise BadInput(
            f"{scores.name} chose {unknown[0]!r}", f"one of {scores.classes}", "pin its version"
        )
    return np.array([rung[chosen] for chosen in scores.choice.tolist()], np.int64)
