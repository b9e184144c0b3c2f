"""The worst slices, found by looking: by task, role, length of the text and tenant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tierwise.eval.bootstrap import unit_codes
from tierwise.eval.joint import Joint
from tierwise.eval.judge import Draws, Facts

MOST = 200  # slices looked at, those of most steps
BUCKETS = 5  # of text length, of about as many steps each


@dataclass(frozen=True)
class Slice:
    """What the policy kept on some steps.

    Attributes
    ----------
    kind, name : str
        For example task and "fill_form".
    steps, units : int
    kept : tuple of float
        Quality kept against the reference tier: value, low, high, of this slice alone.
    wide : tuple of float
        The same with ends that hold for every slice looked at, at once.
    saved : float
        Share of the reference's cost that is saved.
    """

    kind: str
    name: str
    steps: int
    units: int
    kept: tuple[float, float, float]
    wide: tuple[float, float, float]
    saved: float


def lengths(text_bytes: NDArray[np.int64]) -> NDArray[np.str_]:
    """Return each text's length as one of a few ranges in bytes, shape (n_steps,)."""
    edges = np.unique(np.quantile(text_bytes, np.linspace(0, 1, BUCKETS + 1)[1:-1]).astype(int))
    ends = [int(text_bytes.min()), *(int(e) for e in edges), int(text_bytes.max()) + 1]
    names = np.array([f"{low:,} to {high - 1:,} bytes" for low, high in pairwise(ends)])
    return np.asarray(names[np.searchsorted(edges, text_bytes, side="right")])


def tenants(traces: Path, step: NDArray[np.str_]) -> NDArray[np.str_]:
    """Return the tenant of each step, empty where unknown, shape (n_steps,).

    Parameters
    ----------
    traces : Path
        The trace table; the policy looks at no tenant, so that steps do not carry it.
    step : ndarray of str, shape (n_steps,)
        `trace_id/step_id`.
    """
    if not traces.exists():
        return np.full(len(step), "")
    rows = pd.read_parquet(traces, columns=["trace_id", "step_id", "tenant"])
    rows = rows[rows["tenant"].notna()]
    keys = rows["trace_id"].astype(str) + "/" + rows["step_id"].astype(str)
    known = dict(zip(keys, rows["tenant"].astype(str), strict=True))
    return np.array([known.get(one, "") for one in step.tolist()], dtype=np.str_)


def worst_slices(
    facts: Facts,
    tier: NDArray[np.int64],
    reference: int,
    kinds: Mapping[str, NDArray[np.str_]],
    least: int,
    draws: Draws,
) -> tuple[Slice, ...]:
    """Return every slice looked at, that of least quality kept first.

    Parameters
    ----------
    facts : Facts
    tier : ndarray of int64, shape (n_steps,)
        Served.
    reference : int
    kinds : mapping of str to ndarray of str, shape (n_steps,)
        What to cut by; an empty value is unknown.
    least : int
        Steps of a slice; smaller ones are not looked at.
    draws : Draws
    """
    rows = np.arange(len(tier))
    served, usual = facts.quality[rows, tier], facts.quality[:, reference]
    paid, dear = facts.cost[rows, tier], facts.cost[:, reference]
    masks = [
        (kind, str(name), values == name)
        for kind, values in kinds.items()
        for name in _values(values)
    ]
    masks = [m for m in masks if m[2].sum() >= least and usual[m[2]].sum() > 0]
    masks = sorted(masks, key=lambda m: (-int(m[2].sum()), m[0], m[1]))[:MOST]
    if not masks:
        return ()
    columns = (one * m[2] for m in masks for one in (served, usual))
    joint = Joint.of(unit_codes(facts.unit), columns, draws)
    above, below = range(0, 2 * len(masks), 2), range(1, 2 * len(masks), 2)
    own, wide = joint.ratios(above, below), joint.together(above, below)
    found = [
        Slice(
            kind=kind,
            name=name or "unknown",
            steps=int(mask.sum()),
            units=len(np.unique(facts.unit[mask])),
            kept=own.at(index),
            wide=wide.at(index),
            saved=float(1 - paid[mask].sum() / max(dear[mask].sum(), 1e-300)),
        )
        for index, (kind, name, mask) in enumerate(masks)
    ]
    return tuple(sorted(found, key=lambda s: (s.kept[0], s.kind, s.name)))


def _values(values: NDArray[np.str_]) -> list[str]:
    """Return the values to cut by: none where there is but one, which is no slice."""
    names: list[str] = np.unique(values).tolist()
    return names if len(names) > 1 else []
