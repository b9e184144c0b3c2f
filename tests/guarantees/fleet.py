"""Is the promise kept from end to end: fleet, fit, graph, certificate, and 200,000 fresh steps?

Each world draws its own logs of one simulated fleet, learns and certifies as the pipeline does,
and is then judged on fresh steps of that fleet, whose true expected quality is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as File
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from worlds import DELTA

from tierwise.data.fleet import FleetParams, draw, make_world, to_traces
from tierwise.data.messages import cap, utf8
from tierwise.data.params import section
from tierwise.data.split import PARTS, assign
from tierwise.features.context import ContextParams, encode
from tierwise.features.steps import CERTIFY, LEARN
from tierwise.features.table import step_table
from tierwise.features.token_session import TokenIds
from tierwise.features.tokens import IDS_A_WORD
from tierwise.router_model import layout
from tierwise.router_model.estimate import Batch, estimate_text, join
from tierwise.router_model.floors import floor_table
from tierwise.router_model.graph import build_graph, serialize, set_floors
from tierwise.router_model.model import Model
from tierwise.router_model.rule import Path, choose, guarded, unlike
from tierwise.router_model.runtime import PolicyGraph
from tierwise.router_model.spec import PolicySpec
from tierwise.training.certify import CertifyParams, certify_steps
from tierwise.training.fit import FitParams, Fitted, fit
from tierwise.training.hashed import shares

FRESH_STEPS = 200_000
TRACES = 1_200  # of each world's logs
CHECKED = 50  # fresh steps on which the shipped graph itself is asked
SHARES = (0.6, 0.2, 0.2)


@dataclass(frozen=True)
class Fresh:
    """Fresh steps of the fleet with their truth; `shares` are those of each text's tokens."""

    steps: Any
    texts: tuple[bytes, ...]
    text_bytes: NDArray[np.int64]
    shares: sp.csr_matrix
    true_quality: NDArray[np.float64]
    true_cost: NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """One world's verdict: whether a stratum's floor is truly broken, and what is saved."""

    broken: bool
    certified: bool
    kept: float
    saved: float


@lru_cache(maxsize=1)
def fresh(n_steps: int) -> Fresh:
    """Draw the fresh steps, once a process."""
    world = make_world(FleetParams(), np.random.default_rng(0))
    mean_steps = (FleetParams().steps_min + FleetParams().steps_max) / 2
    fleet = draw(world, int(n_steps / mean_steps * 1.02), np.random.default_rng(1), 10**7)
    full = [utf8(text) for text in fleet.steps["text"][:n_steps]]
    texts = tuple(cap(text) for text in full)
    return Fresh(
        fleet.steps.iloc[:n_steps],
        texts,
        np.array([len(text) for text in full], np.int64),
        shares(texts, TokenIds(FitParams().bits, FitParams().pair_bits)),
        fleet.true_quality[:n_steps],
        fleet.true_cost[:n_steps],
    )


def run_world(seed: int, n_fresh: int = FRESH_STEPS) -> World:
    """Learn and certify on one draw of the logs; judge on the fresh steps."""
    with threadpool_limits(1):
        world = make_world(FleetParams(), np.random.default_rng(0))
        rng = np.random.default_rng([2, seed])
        logs = to_traces(draw(world, TRACES, rng, seed * TRACES), "full", 0.0, rng)
        tiers = tuple(tier.name for tier in world.tiers)
        logs["step"] = logs["trace_id"].astype(str) + "/" + logs["step_id"].astype(str)
        split = logs.drop_duplicates("step").sort_values("step")
        ids = np.array(split["trace_id"].astype(str).to_list(), np.str_)
        unit, part = assign(ids, ids, None, SHARES, rng)
        split = split[["step"]].assign(unit=unit, part=np.array(PARTS, dtype=object)[part])
        steps, columns = step_table(logs, split, tiers, "full", ContextParams())
        params = section(File("params.yaml"), "fit", FitParams)
        unknown = np.full(len(tiers), np.nan)
        fitted = fit(steps.of_part(LEARN), columns, params, unknown, rng)
        return _judge(fitted, steps.of_part(CERTIFY), fresh(n_fresh), seed)


def _judge(fitted: Fitted, certify_part: Any, population: Fresh, seed: int) -> World:
    spec = fitted.spec
    graph = serialize(build_graph(fitted.model, spec))
    said = PolicyGraph(graph).estimates(certify_part.text, certify_part.context)
    certificate = certify_steps(certify_part, said, spec, CertifyParams())
    context = encode(population.steps.reset_index(drop=True), population.text_bytes, spec.context)
    estimated = batch_estimates(fitted.model, population.shares, context)
    tier = _served(spec, certificate.chosen(), estimated, context)
    shipped = set_floors(graph, floor_table(certificate.as_dict(), spec))
    _ask_graph(PolicyGraph(shipped), population, context, tier, seed)
    rows = np.arange(len(tier))
    quality, cost = population.true_quality, population.true_cost
    role = _roles(context, spec.roles)
    level = certificate.floor.level
    broken = False
    for stratum in certificate.strata:
        own = np.isin(role, [r for s in certificate.strata if s is not stratum for r in s.roles])
        within = ~own if stratum.name == "rest" else role == stratum.name
        reached = certificate.chosen()[stratum.name] > 0
        within &= ~unlike(estimated.unseen, spec.guard)  # the promise is about what it serves
        served, reference = quality[rows, tier][within], quality[within, spec.reference]
        broken |= reached and bool(served.mean() < level * reference.mean())
    return World(
        broken,
        not certificate.certified_nothing(),
        float(quality[rows, tier].mean() / quality[:, spec.reference].mean()),
        float(1 - cost[rows, tier].mean() / cost[:, spec.reference].mean()),
    )


def _roles(context: NDArray[np.float32], roles: tuple[str, ...]) -> NDArray[np.str_]:
    code = np.where(np.isnan(context[:, 0]), len(roles), context[:, 0]).astype(np.int64)
    return np.array([*roles, ""])[code]


def _served(
    spec: PolicySpec, chosen: dict[str, int], said: Batch, context: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Return the tier of every fresh step: of its stratum's point, unless the guard holds it."""
    relative = said.total_cost * (np.float32(1) / np.float32(spec.mean_reference_cost))
    role = _roles(context, spec.roles)
    point = np.array([max(chosen.get(r, chosen["rest"]), 0) for r in role])
    tier = np.zeros(len(point), np.int64)
    for reached in np.unique(point):
        here = point == reached
        only = Path(spec.path.margin[[reached]], spec.path.weight[[reached]])
        tier[here] = choose(said.quality[here], relative[here], spec.reference, only)[0]
    return guarded(tier, said.unseen, spec.guard, spec.reference)


def batch_estimates(model: Model, found: sp.csr_matrix, context: NDArray[np.float32]) -> Batch:
    """Estimate as the graph does, for 200,000 steps in seconds: a text is a row of token shares."""
    n_words = len(model.rows)
    # One of `IDS_A_WORD` shares is of words, the rest of pairs; a mean is of one kind.
    of_words = np.float32(1 / IDS_A_WORD)
    words = found[:, :n_words] @ model.rows.astype(np.float32) / of_words * model.scale
    pairs = found[:, n_words:] @ model.pair_rows.astype(np.float32) / (1 - of_words)
    pairs *= model.pair_scale
    return estimate_text(model, join(model, words, pairs), context)


def _ask_graph(
    graph: PolicyGraph,
    population: Fresh,
    context: NDArray[np.float32],
    tier: NDArray[np.int64],
    seed: int,
) -> None:
    """Ask what ships: a step decided otherwise would make the verdict one about something else."""
    some = np.random.default_rng([3, seed]).choice(len(tier), min(CHECKED, len(tier)), False)
    for i in some:
        decision = graph.decide(population.texts[i], context[i : i + 1])
        if decision[layout.TIER] != tier[i] and decision[layout.LEAD] > 1e-4:
            raise AssertionError(f"world {seed}: the graph decides fresh step {i} otherwise")


def allowed(worlds: int) -> float:
    """Return the share of broken worlds that is still in keeping with the promise."""
    return DELTA + 3 * float(np.sqrt(DELTA * (1 - DELTA) / worlds))
