"""The router as it ships, judged on steps it never saw: fit, export, run in ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tierwise.data.params import section
from tierwise.eval.judged_table import Table
from tierwise.features.context import ContextParams
from tierwise.features.steps import LEARN, TEST, StepTable
from tierwise.features.table import step_table
from tierwise.router_model.encoder import open_encoder
from tierwise.router_model.graph import build_graph, serialize
from tierwise.router_model.runtime import Estimates, PolicyGraph
from tierwise.router_model.spec import PolicySpec
from tierwise.training.fit import FitParams, fit

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Held:
    """Steps that were held out, and what the policy of the learn part says of them.

    Attributes
    ----------
    steps : StepTable
        In the order of the table's steps.
    said : Estimates
        The exported graph's, from ONNX Runtime.
    spec : PolicySpec
    """

    steps: StepTable
    said: Estimates
    spec: PolicySpec

    @property
    def quality(self) -> Floats:
        """Expected quality 0..1, shape (n_steps, n_tiers)."""
        return np.asarray(self.said.quality, np.float64)

    @property
    def total_cost(self) -> Floats:
        """Expected cost with retries in USD, shape (n_steps, n_tiers)."""
        return np.asarray(self.said.total_cost, np.float64)


def fit_params() -> FitParams:
    """Return the section `fit` of params.yaml here; the defaults where there is no such file."""
    file = Path("params.yaml")
    return section(file, "fit", FitParams) if file.exists() else FitParams()


def shipped(
    table: Table, learn: NDArray[np.bool_], asked: NDArray[np.bool_], params: FitParams
) -> Held:
    """Fit on some steps, export, and let the graph speak on others.

    Parameters
    ----------
    table : Table
    learn, asked : ndarray of bool, shape (n_steps,)
        Disjoint; steps that are in neither are not looked at.
    params : FitParams
    """
    either = learn | asked
    split = table.split.assign(part=np.where(asked, "test", "learn"))[either]
    traces = table.traces
    if not either.all():
        traces = traces[traces["step"].isin(split["step"])]
    steps, columns = step_table(
        traces, split[["step", "unit", "part"]], table.tiers, "full", ContextParams()
    )
    rng = np.random.default_rng(params.seed)
    unknown = np.full(len(table.tiers), np.nan)
    fitted = fit(steps.of_part(LEARN), columns, params, unknown, rng)
    test = steps.of_part(TEST)
    policy = serialize(build_graph(fitted.model, fitted.spec))
    graph = PolicyGraph(policy, open_encoder(fitted.encoder))
    return Held(test, graph.estimates(test.text, test.context), fitted.spec)


def held_out(table: Table, fold: NDArray[np.int64], k: int) -> Held:
    """Fit on all folds but `k`, export, and let the graph speak on fold `k`."""
    return shipped(table, fold != k, fold == k, fit_params())
