"""The weights of a policy: everything that becomes a constant of the graph, as arrays."""

from __future__ import annotations

import dataclasses
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.files import replacing

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Trees:
    """An ensemble of binary trees whose node i goes to `left` where x[feature] <= threshold.

    Nodes of all trees lie behind each other; a leaf has feature -1 and a value.

    Attributes
    ----------
    tree, feature, left, right : ndarray of int64, shape (n_nodes,)
        Children are positions in these arrays; -1 at leaves.
    threshold, value : ndarray of float32, shape (n_nodes,)
        Split thresholds, leaf values.
    target : ndarray of int64, shape (n_trees,)
        The component that a tree's leaves add to.
    mixing : ndarray of float32, shape (n_components, n_tiers)
        What one unit of a component adds to each tier's quality.
    """

    tree: NDArray[np.int64]
    feature: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    threshold: Float32
    value: Float32
    target: NDArray[np.int64]
    mixing: Float32


@dataclass(frozen=True)
class Network:
    """One hidden layer of tanh units: several networks side by side, their mean folded in.

    Attributes
    ----------
    context : ndarray of float32, shape (n_columns, n_hidden)
        Weights of the context, whose columns enter as log(1 + max(value, -1/2)).
    vector : ndarray of float32, shape (n_dims, n_hidden)
        Weights of the text's vector.
    bias : ndarray of float32, shape (n_hidden,)
    out : ndarray of float32, shape (n_hidden, n_tiers)
        What a unit adds to each tier's quality.
    """

    context: Float32
    vector: Float32
    bias: Float32
    out: Float32


@dataclass(frozen=True)
class Projection:
    """What an encoder's embedding says; it stands where else the token rows do.

    Attributes
    ----------
    weight : ndarray of float32, shape (n_dimensions, n_tiers + n_dims)
        What each number of the embedding adds to the quality of each tier, and to the vector.
    bias : ndarray of float32, shape (n_tiers + n_dims,)
    """

    weight: Float32
    bias: Float32


@dataclass(frozen=True)
class TokenRows:
    """What each token says: a row a word, and a shorter one a pair of words.

    Attributes
    ----------
    rows, scale, pair_rows, pair_scale : ndarray
        As in `Model`.
    """

    rows: NDArray[np.int8]
    scale: Float32
    pair_rows: NDArray[np.int8]
    pair_scale: Float32


def no_rows(width: int, pair_width: int) -> TokenRows:
    """Return rows for a model that looks at no token: one of each kind, of zeros."""
    words, pairs = (np.zeros((1, n), np.int8) for n in (width, pair_width))
    scale, pair_scale = (np.ones(n, np.float32) for n in (width, pair_width))
    return TokenRows(words, scale, pairs, pair_scale)


@dataclass(frozen=True)
class Model:
    """Quality, cost and latency of each tier for a step.

    quality = clip(task[t, :K] + role[r, :K] + hashed text + trees + network, 0, 1)
    cost    = max(task[t, K:] + role[r, K:] + cost_slope . (text bytes, context tokens), least cost)

    Attributes
    ----------
    rows : ndarray of int8, shape (2 ** bits + 1, n_tiers + n_dims + 1)
        One row a word: quality of each tier, vector of the text, 1 where at least two learn steps
        had the word.
    scale : ndarray of float32, shape (n_tiers + n_dims + 1,)
        Column scales of `rows`, a third of them, as words are of a text's tokens: what words say is
        the mean of their rows times this.
    pair_rows : ndarray of int8, shape (2 ** pair_bits, n_tiers + 1)
        One row a pair of words: quality of each tier, 1 where at least two learn steps had it.
    pair_scale : ndarray of float32, shape (n_tiers + 1,)
        Column scales of `pair_rows`, two thirds of them; what pairs say is added to what words say.
    task, role : ndarray of float32, shape (vocabulary + 1, 2 * n_tiers)
        Quality and cost; the last row is for an unknown value.
    cost_slope : ndarray of float32, shape (2, n_tiers)
        USD per byte of text and per token of context.
    fill : ndarray of float32, shape (n_columns,)
        What stands for an unknown value of each context column.
    checked : ndarray of float32, shape (n_tiers,)
        1 where answers of the tier have failed a deterministic check, else 0.
    least_cost : ndarray of float32, shape (n_tiers,)
        USD.
    latency : ndarray of float32, shape (n_roles + 1, n_tiers)
        Seconds; NaN is unknown.
    retry : ndarray of float32, shape (n_roles + 1, n_tiers, n_tiers)
        Total cost = cost @ retry: the share of calls that reach each rung of the ladder.
    trees : Trees or None
    network : Network or None
    projection : Projection or None
        Where an encoder ships; `rows` and `pair_rows` are then one row of zeros each.
    """

    rows: NDArray[np.int8]
    scale: Float32
    pair_rows: NDArray[np.int8]
    pair_scale: Float32
    task: Float32
    role: Float32
    cost_slope: Float32
    fill: Float32
    checked: Float32
    least_cost: Float32
    latency: Float32
    retry: Float32
    trees: Trees | None
    network: Network | None
    projection: Projection | None = None

    @property
    def n_tiers(self) -> int:
        """Number of tiers."""
        return int(self.least_cost.shape[0])

    @property
    def n_dims(self) -> int:
        """Length of the text's vector."""
        return int(self.rows.shape[1]) - self.n_tiers - 1


def save_model(path: Path, model: Model) -> None:
    """Write a model as .npz without pickled objects, whole or not at all."""
    arrays = {k: np.asarray(v) for k, v in _flat(model).items()}
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_model(path: Path) -> Model:
    """Read what `save_model` wrote.

    Raises
    ------
    BadInput
        Where the file is missing or damaged.
    """
    try:
        with path.open("rb") as archive, np.load(archive, allow_pickle=False) as file:
            flat: dict[str, Any] = {name: file[name] for name in file.files}
        trees = _part(Trees, "trees.", flat)
        network = _part(Network, "network.", flat)
        projection = _part(Projection, "projection.", flat)
        own = {f.name: flat[f.name] for f in dataclasses.fields(Model) if f.name in flat}
        return Model(trees=trees, network=network, projection=projection, **own)
    except (
        OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError, zipfile.BadZipFile
    ) as error:  # fmt: skip
        raise BadInput(
            f"cannot read {path} ({type(error).__name__})", "a model", "run fit again"
        ) from None


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if dataclasses.is_dataclass(item):
            out.update(_flat(item, f"{field.name}."))
        elif item is not None:
            out[prefix + field.name] = item
    return out


def _part(kind: type[Any], prefix: str, flat: dict[str, Any]) -> Any:
    values = {k.removeprefix(prefix): v for k, v in flat.items() if k.startswith(prefix)}
    return kind(**values) if values else None
