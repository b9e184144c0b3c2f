"""Stage export: the fitted model -> graph.onnx with an empty floor table, checked against NumPy."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tierwise.data.errors import run_stage
from tierwise.data.files import read_json, write_bytes, write_json
from tierwise.data.params import section
from tierwise.features.steps import StepTable, load_steps
from tierwise.features.tokens import reference_ids
from tierwise.router_model import layout
from tierwise.router_model.encoder import Encoder, open_encoder, read_encoder
from tierwise.router_model.estimate import Batch, estimate, estimate_embedded
from tierwise.router_model.graph import build_graph, serialize, set_floors, sweep_floors
from tierwise.router_model.graph_embedding import is_clear
from tierwise.router_model.model import Model, load_model
from tierwise.router_model.rule import choose, guarded, unlike
from tierwise.router_model.runtime import PolicyGraph, estimates_of
from tierwise.router_model.spec import PolicySpec

TOLERANCE = 1e-5  # of estimates, relative to the largest of their kind


class ParityError(RuntimeError):
    """The graph and the NumPy model disagree; nothing may ship."""


@dataclass(frozen=True)
class ExportParams:
    """Section `export` of params.yaml.

    Attributes
    ----------
    checked_steps : int
        Steps on which the graph is compared with the NumPy model.
    seed : int
        Draws these steps, and a point of the path for each.
    """

    checked_steps: int = 1000
    seed: int = 0


def check_parity(
    graph: bytes,
    model: Model,
    spec: PolicySpec,
    steps: StepTable,
    rng: np.random.Generator,
    encoder: Encoder | None = None,
) -> None:
    """Compare the graph with plain Python and NumPy, each step at a point drawn at random.

    Parameters
    ----------
    graph : bytes
        With any floor table.
    model : Model
    spec : PolicySpec
    steps : StepTable
    rng : Generator
    encoder : Encoder, optional
        Where the graph takes its embedding.

    Raises
    ------
    ParityError
        Where token ids, served tiers or the steps that the guard holds back differ, or an
        estimate or a score by more than 1e-5.
    """
    session = PolicyGraph(set_floors(graph, sweep_floors(spec)), encoder)
    if encoder is None:
        said = _from_ids(session, model, spec, steps)
    else:
        embedding = np.concatenate([encoder.embed(text) for text in steps.text])
        clear = is_clear(model, embedding)
        steps, embedding = steps.rows(clear), embedding[clear]
        said = estimate_embedded(model, embedding, steps.context)
    points = rng.integers(0, len(spec.path), len(steps))
    decisions = np.stack(
        [
            session.decide(text, steps.context[i : i + 1], floor=-float(points[i]))
            for i, text in enumerate(steps.text)
        ]
    )
    for name, ours, theirs in zip(
        ("quality", "cost", "total_cost", "latency"),
        (said.quality, said.cost, said.total_cost, said.latency),
        estimates_of(decisions)[:-1],
        strict=True,
    ):
        _check_close(name, ours, theirs)
    if not np.allclose(said.unseen, decisions[:, layout.OOD], rtol=0, atol=TOLERANCE):
        raise ParityError("the share of unseen tokens differs from the NumPy model's")
    _check_tiers(decisions, points, spec)


def _from_ids(session: PolicyGraph, model: Model, spec: PolicySpec, steps: StepTable) -> Batch:
    """Estimate from the ids of the reference, which have to be the graph's."""
    wanted = [
        np.array(reference_ids(text, spec.bits, spec.pair_bits), np.int64) for text in steps.text
    ]
    for step, text, ids in zip(steps.step, steps.text, wanted, strict=True):
        if not np.array_equal(session.ids(text), ids):
            raise ParityError(f"token ids of step {step} differ from the reference")
    starts = np.cumsum([0, *(len(ids) for ids in wanted)])
    places = np.concatenate(wanted) % (len(model.rows) + len(model.pair_rows))
    return estimate(model, places, starts, steps.context)


def _check_close(name: str, ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> None:
    largest = max(float(np.nanmax(np.abs(ours), initial=0.0)), 1e-12)
    if not np.allclose(ours / largest, theirs / largest, rtol=0, atol=TOLERANCE, equal_nan=True):
        worst = float(np.nanmax(np.abs(ours - theirs)))
        raise ParityError(f"{name} differs from the NumPy model by up to {worst:.3g}")


def _check_tiers(
    decisions: NDArray[np.float32], points: NDArray[np.int64], spec: PolicySpec
) -> None:
    """Compare with the rule on the graph's own estimates: ties must break alike."""
    said = estimates_of(decisions)
    relative = said.total_cost * (np.float32(1) / np.float32(spec.mean_reference_cost))
    tiers = choose(said.quality, relative, spec.reference, spec.path)
    tiers = guarded(tiers, said.ood, spec.guard, spec.reference)
    if not np.array_equal(tiers[points, np.arange(len(points))], decisions[:, layout.TIER]):
        raise ParityError("the graph serves other tiers than the rule")
    held_back = decisions[:, layout.REASON] == layout.reason("guard")
    if not np.array_equal(unlike(said.ood, spec.guard), held_back):
        raise ParityError("the graph holds other steps back than the guard")


def main() -> None:
    """Read the run's model, write graph.onnx and spec.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    params = section(args.params, "export", ExportParams)
    rng = np.random.default_rng(params.seed)
    with threadpool_limits(1):
        spec = PolicySpec.from_dict(read_json(args.run / "model.json")["spec"])
        model = load_model(args.run / "model.npz")
        graph = serialize(build_graph(model, spec))
        if not spec.fixed_tier:
            steps = load_steps(args.run / "steps.npz")
            some = rng.permutation(len(steps))[: params.checked_steps]
            encoder = open_encoder(read_encoder(args.run / "encoder"))
            check_parity(graph, model, spec, steps.rows(np.sort(some)), rng, encoder)
    write_bytes(args.run / "graph.onnx", graph)
    write_json(args.run / "spec.json", spec.as_dict())


if __name__ == "__main__":
    run_stage(main)
