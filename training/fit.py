"""Stage fit: the learn part -> quality, cost and latency of each tier, and the rule's path."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tierwise.data.errors import BadInput, run_stage
from tierwise.data.files import read_json, replacing, write_json
from tierwise.data.params import section
from tierwise.data.role_table import read_role_table
from tierwise.features.columns import ContextColumn
from tierwise.features.steps import LEARN, StepTable, load_steps
from tierwise.features.token_session import TokenIds
from tierwise.features.tokens import MAX_BITS
from tierwise.router_model.encoder import EncoderFiles, write_encoder
from tierwise.router_model.model import Model, save_model
from tierwise.router_model.rule import fit_path
from tierwise.router_model.spec import PolicySpec
from tierwise.training.cold import fit_role_table
from tierwise.training.cost import fit_cost, retry_table, role_latency
from tierwise.training.guard import NEVER, fit_guard
from tierwise.training.hashed import shares
from tierwise.training.logged import Estimator, drawn_steps, effective_steps, pseudo_outcomes
from tierwise.training.newcomer import (
    KNOWN_STEPS,
    Newcomer,
    adopt,
    adopt_cost,
    kept,
    newcomers,
    without,
)
from tierwise.training.quality import QualityParams, fit_quality
from tierwise.training.reading import within_size
from tierwise.training.tables import codes

Floats = NDArray[np.float64]

NO_PROPENSITY = (
    "No propensity is logged: the estimates say what was seen where a tier was served, not what "
    "it would do elsewhere."
)


@dataclass(frozen=True)
class FitParams(QualityParams):
    """Section `fit` of params.yaml.

    Attributes
    ----------
    logged : {"dr", "ips", "direct"}
        How outcomes of tiers that were not served are made up for, where logs hold one tier a
        step: doubly robust, inverse propensity, or not at all.
    points : int
        Points of the path from "reference always" to cheapest.
    guard : float
        Share of learn steps within the guard, above 0; 1 is no guard.
    roles : str
        A role table, served where the logs hold no quality; the built-in one where no such file.
    """

    logged: Estimator = "dr"
    points: int = 64
    guard: float = 0.999
    roles: str = "roles.yaml"


@dataclass(frozen=True)
class Fitted:
    """What fit learned.

    Attributes
    ----------
    model : Model
    spec : PolicySpec
    quality, total_cost : ndarray of shape (n_learn, n_tiers)
        Out-of-fold estimates on the learn part, the total cost over the reference's mean.
    notes : dict
        Chosen strengths and weights, for the report.
    encoder : EncoderFiles or None
        What ships beside the model.
    """

    model: Model
    spec: PolicySpec
    quality: Floats
    total_cost: Floats
    notes: dict[str, object]
    encoder: EncoderFiles | None = None


def reference_tier(quality: Floats) -> int:
    """Return the tier of best mean quality; the cheaper one where means are equal."""
    known = ~np.isnan(quality)
    mean = np.where(known, quality, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    return int(mean.argmax())


def ladder(n_tiers: int) -> tuple[int, ...]:
    """Return the next dearer tier of each tier, -1 for the dearest."""
    return (*range(1, n_tiers), -1)


def fill_values(
    context: NDArray[np.float32], columns: tuple[ContextColumn, ...]
) -> NDArray[np.float32]:
    """Return what stands for an unknown value of each context column.

    A category's unknown has an index of its own behind the vocabulary; lengths, which cost is
    linear in, take their mean; everything else is -1, which no known value is.
    """
    out = np.full(len(columns), -1.0, np.float32)
    for j, column in enumerate(columns):
        if column.kind == "category":
            out[j] = len(column.vocabulary)
        elif column.name in ("text_bytes", "context_tokens"):
            known = context[~np.isnan(context[:, j]), j]
            out[j] = known.mean() if len(known) else 0.0
    return out


def fit(
    learn: StepTable,
    columns: tuple[ContextColumn, ...],
    params: FitParams,
    typical_latency: Floats,
    rng: np.random.Generator,
    tiers: list[Mapping[str, object]] | None = None,
) -> Fitted:
    """Learn a policy's estimates and lay its path, on the learn part alone.

    Parameters
    ----------
    learn : StepTable
    columns : tuple of ContextColumn
    params : FitParams
    typical_latency : ndarray of shape (n_tiers,)
        The catalogue's seconds; NaN is unknown.
    rng : Generator
        Draws folds, starting vectors and starting weights.
    tiers : list of mapping, optional
        The catalogue, as tiers.json holds it; it says which tier is new and like another.

    Raises
    ------
    BadInput
        Where the guard is no share of steps, or token rows have an impossible size.
    """
    for name in ("bits", "pair_bits"):
        if not 1 <= getattr(params, name) <= MAX_BITS:
            found = f"fit.{name} = {getattr(params, name)}"
            raise BadInput(found, f"1 to {MAX_BITS}", "mend params.yaml")
    if not 0 < params.guard <= 1:
        raise BadInput(f"fit.guard = {params.guard}", "above 0, at most 1", "mend params.yaml")
    params = within_size(params, len(learn.tiers))
    n_roles, n_tasks = len(columns[0].vocabulary), len(columns[1].vocabulary)
    role, task = codes(learn.context[:, 0], n_roles), codes(learn.context[:, 1], n_tasks)
    fill = fill_values(learn.context, columns)
    lengths = np.where(np.isnan(learn.context), fill, learn.context)[:, 2:4].astype(np.float64)
    known = pseudo_outcomes(learn, (n_tasks, n_roles), rng, params.logged)
    new = newcomers(tiers or [], learn, known)
    others = kept(len(learn.tiers), new)
    cost = fit_cost(known.cost, task, role, (n_tasks, n_roles), lengths)
    cost = adopt_cost(cost, known.cost, new)
    rungs = ladder(len(learn.tiers))
    retry = retry_table(learn.valid, learn.called, role, n_roles, rungs)
    call = cost.predict(task, role, lengths)
    total = np.einsum("nj,njk->nk", call, retry[role])
    reference = int(others[reference_tier(known.quality[:, others])])
    mean_cost = max(float(total[:, reference].mean()), 1e-12)
    relative = (total / mean_cost).astype(np.float32)
    if new:
        quality = fit_quality(without(known, new), columns, fill, relative[:, others], params, rng)
        quality = adopt(quality, learn, task, role, new)
    else:
        quality = fit_quality(known, columns, fill, relative, params, rng)
    path = fit_path(quality.out_of_fold.astype(np.float32), relative, reference, params.points)
    model = Model(
        rows=quality.rows.rows,
        scale=quality.rows.scale,
        pair_rows=quality.rows.pair_rows,
        pair_scale=quality.rows.pair_scale,
        task=np.concatenate([quality.task, cost.tables.task], axis=1).astype(np.float32),
        role=np.concatenate([quality.role, cost.tables.role], axis=1).astype(np.float32),
        cost_slope=cost.slope.astype(np.float32),
        fill=fill,
        checked=np.asarray((learn.valid < 1).any(axis=0), np.float32),
        least_cost=cost.least.astype(np.float32),
        latency=role_latency(learn.latency, role, n_roles, typical_latency).astype(np.float32),
        retry=retry.astype(np.float32),
        trees=quality.trees,
        network=quality.network,
        projection=quality.projection,
    )
    guard = NEVER
    if quality.projection is None:  # else no token is looked at
        tokens = TokenIds(params.bits, params.pair_bits)
        share = shares(learn.text, tokens)
        guard = fit_guard(share, tokens.n_words, learn.unit, params.guard)
    spec = PolicySpec(
        learn.tiers, reference, mean_cost, path, rungs, columns,
        params.bits, params.pair_bits, guard=guard,
    )  # fmt: skip
    said, relative_cost = quality.out_of_fold, relative.astype(np.float64)
    notes = quality.notes | {"bits": params.bits, "pair_bits": params.pair_bits}
    notes |= _logged_notes(learn) | _newcomer_notes(learn.tiers, new)
    return Fitted(model, spec, said, relative_cost, notes, quality.encoder)


def _logged_notes(learn: StepTable) -> dict[str, object]:
    """Say what the logs can tell of tiers that were not served; nothing for full feedback."""
    if not (learn.served >= 0).any():
        return {}
    drawn = drawn_steps(learn)
    effective = dict(zip(learn.tiers, effective_steps(learn).round(1).tolist(), strict=True))
    notes: dict[str, object] = {"drawn_steps": int(drawn.sum()), "effective_steps": effective}
    if not drawn.any():
        notes["logged"] = NO_PROPENSITY
    return notes


def _newcomer_notes(tiers: tuple[str, ...], new: tuple[Newcomer, ...]) -> dict[str, object]:
    """Say how far each newcomer is known: whom it stands for, its own steps and their share."""
    said = {
        tiers[one.tier]: {
            "like": tiers[one.like],
            "effective_steps": round(one.steps, 1),
            "own_share": round(one.own_share, 3),
            "on_its_own_at": KNOWN_STEPS,
        }
        for one in new
    }
    return {"newcomers": said} if said else {}


def read_columns(path: Path) -> tuple[ContextColumn, ...]:
    """Read context.json."""
    return tuple(
        ContextColumn(c["name"], c["kind"], tuple(c["vocabulary"])) for c in read_json(path)
    )


def _without_quality(
    learn: StepTable, columns: tuple[ContextColumn, ...], params: FitParams, typical: Floats
) -> Fitted:
    table = read_role_table(Path(params.roles))
    fill = fill_values(learn.context, columns)
    rungs = ladder(len(learn.tiers))
    model, spec = fit_role_table(learn, columns, table, fill, typical, rungs)
    nothing = np.zeros((0, len(learn.tiers)))
    return Fitted(model, spec, nothing, nothing, {"policy": "role table"})


def main() -> None:
    """Read the run's steps, write model.npz, model.json and oof.npz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    params = section(args.params, "fit", FitParams)
    with threadpool_limits(1):
        learn = load_steps(args.run / "steps.npz").of_part(LEARN)
        tiers = read_json(args.run / "tiers.json")["tiers"]
        typical = np.array([t.get("latency_s") or np.nan for t in tiers], np.float64)
        columns = read_columns(args.run / "context.json")
        if np.isnan(learn.quality).all():
            fitted = _without_quality(learn, columns, params, typical)
        else:
            rng = np.random.default_rng(params.seed)
            fitted = fit(learn, columns, params, typical, rng, tiers)
    write_encoder(args.run / "encoder", fitted.encoder)
    save_model(args.run / "model.npz", fitted.model)
    write_json(args.run / "model.json", {"spec": fitted.spec.as_dict(), "notes": fitted.notes})
    with replacing(args.run / "oof.npz") as part, part.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            step=learn.step,
            quality=fitted.quality,
            cost=fitted.total_cost,
        )


if __name__ == "__main__":
    run_stage(main)
