"""What a bundle would serve on steps that were laid out for another one.

Tiers and context columns are matched by name: two bundles of different training runs number both
differently. What the bundle does not know of, it is not told; what it asks for and nobody has, is
unknown to it, as it would be in a gateway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tierwise.features.columns import ContextColumn
from tierwise.features.steps import StepTable
from tierwise.router_model import layout
from tierwise.router_model.bundle import VerifiedBundle


@dataclass(frozen=True)
class ServedBy:
    """A bundle's decisions on a run's steps.

    Attributes
    ----------
    tier : ndarray of int64, shape (n_steps,)
        In the numbers of the run's tiers; -1 where the bundle may serve none of them.
    gone : tuple of str
        Tiers of the bundle that the run's catalogue has no more: they were not allowed.
    missed : tuple of str
        Context columns of the bundle that the run does not have: unknown on every step.
    """

    tier: NDArray[np.int64]
    gone: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()


def served_by(
    bundle: VerifiedBundle, steps: StepTable, columns: Sequence[ContextColumn]
) -> ServedBy:
    """Return what a bundle would serve on these steps, under the run's catalogue.

    A tier that the catalogue has lost is not allowed: a gateway could not call it either, so what
    serves now is the bundle without it.

    Parameters
    ----------
    bundle : VerifiedBundle
    steps : StepTable
    columns : sequence of ContextColumn
        What `steps.context` holds, in order.
    """
    names = bundle.manifest.tier_names
    place = np.array([steps.tiers.index(n) if n in steps.tiers else -1 for n in names])
    gone = tuple(name for name, at in zip(names, place, strict=True) if at < 0)
    have = {column.name for column in columns}
    missed = tuple(one.name for one in bundle.manifest.context if one.name not in have)
    if len(gone) == len(names):
        return ServedBy(np.full(len(steps), -1), gone, missed)
    context = translated(steps.context, columns, bundle.manifest.context)
    allowed = (place >= 0).astype(np.float32) if gone else None
    chosen = [
        bundle.graph.decide(text, context[i : i + 1], allowed=allowed)[layout.TIER]
        for i, text in enumerate(steps.text)
    ]
    return ServedBy(place[np.asarray(chosen, np.int64)], gone, missed)


def translated(
    context: NDArray[np.float32], have: Sequence[ContextColumn], want: Sequence[ContextColumn]
) -> NDArray[np.float32]:
    """Return the columns that a bundle wants, words by its own vocabulary.

    Parameters
    ----------
    context : ndarray of shape (n_steps, len(have))
        NaN is unknown.
    have, want : sequence of ContextColumn

    Returns
    -------
    ndarray of float32, shape (n_steps, len(want))
        NaN for a column that is missing or of another kind, and for a word that is not in the
        wanted vocabulary.
    """
    out = np.full((len(context), len(want)), np.nan, np.float32)
    places = {column.name: at for at, column in enumerate(have)}
    for at, column in enumerate(want):
        own = places.get(column.name)
        if own is None or (column.kind == "category") != (have[own].kind == "category"):
            continue
        values = context[:, own]
        if column.kind != "category":
            out[:, at] = values
            continue
        codes = {word: code for code, word in enumerate(column.vocabulary)}
        by_code = np.array([codes.get(word, np.nan) for word in have[own].vocabulary] + [np.nan])
        index = np.where(np.isnan(values), len(by_code) - 1, values).astype(int)
        out[:, at] = by_code[np.clip(index, 0, len(by_code) - 1)]
    return out
