"""How large a policy graph's tensors may become, and how much it may compute, whatever the input.

Listed operators are no protection by themselves: a column plus a row is a matrix, a tensor joined
to itself thirty times is a billion times as long, and a few hundred bytes say so. So the shapes are
worked out here from the file alone, as upper bounds of every dimension, before anything is opened.
What cannot be bounded is refused; the exporter emits nothing of that kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tierwise.data.messages import KEPT_BYTES
from tierwise.router_model.protobuf import MAX_RANK, Node, Outline

Shape = tuple[int, ...]

INPUTS: dict[str, Shape] = {
    "text": (2 * KEPT_BYTES + 1,),  # cut, with a space between the halves
    "context": (1, 4096),
    "embedding": (1, 4096),
}
"""What is fed, at most; a policy of more columns is none."""
MAX_NODES = 1024
"""A policy has 70 to 80."""
MAX_ITEMS = 1 << 24
"""Of all computed tensors together; the longest text needs about 2 ** 19 in a policy."""
MAX_WORK = 1 << 25
"""Items read, items written, and products summed; the longest text needs about 2 ** 20."""


class TooLarge(ValueError):
    """A graph without bounds, or beyond them; the text says where."""


def check_size(outline: Outline) -> dict[str, Shape]:
    """Bound every tensor; refuse a graph that may need more than `MAX_ITEMS` or `MAX_WORK`.

    Parameters
    ----------
    outline : Outline
        Of a graph of listed operators.

    Returns
    -------
    dict of str to tuple of int
        No tensor of that name is ever longer than this in any dimension.

    Raises
    ------
    TooLarge
        Where a bound is passed, or an operator has none.
    """
    if len(outline.nodes) > MAX_NODES:
        raise TooLarge(f"{len(outline.nodes)} operators")
    known = _Known(dict(INPUTS), {}, set())
    for tensor in outline.tensors:
        known.add(tensor.name, tensor.dims)
        known.stored[tensor.name] = tensor.values
    items = work = 0
    for node in outline.nodes:
        try:
            given = [known.shapes[name] for name in node.inputs if name]
            made = _made(node, given, known)
        except (KeyError, IndexError, ValueError):
            raise TooLarge(f"a {node.op[:40]} of no known size") from None
        for name in filter(None, node.outputs):
            known.add(name, made)
        if _is_exact(node, given, known):
            known.exact.update(node.outputs)
        items += math.prod(made) * len(node.outputs)
        work += _work(node, given, made)
        if items > MAX_ITEMS or work > MAX_WORK:
            raise TooLarge(f"a {node.op} of shape {made}"[:80])
    return known.shapes


@dataclass
class _Known:
    """What is known of the tensors so far.

    Attributes
    ----------
    shapes : dict of str to Shape
        By name.
    stored : dict of str to tuple of int
        Small integers that stand in the file; empty where it holds something else.
    exact : set of str
        Whose last dimension is no bound but known.
    """

    shapes: dict[str, Shape]
    stored: dict[str, tuple[int, ...]]
    exact: set[str]

    def add(self, name: str, shape: Shape) -> None:
        """Add a tensor."""
        if name in self.shapes:
            raise TooLarge(f"the name {name[:60]!r} twice")
        self.shapes[name] = shape


def _made(node: Node, given: Sequence[Shape], known: _Known) -> Shape:
    """Return the shape of each output."""
    if node.op == "GatherND" and node.inputs[1] not in known.exact:
        raise ValueError(node.inputs)
    made = _RULES[node.op](node, given, [known.stored.get(name, ()) for name in node.inputs])
    if len(made) > MAX_RANK:
        raise ValueError(made)
    return made


def _is_exact(node: Node, given: Sequence[Shape], known: _Known) -> bool:
    """Tell whether the last dimension made is the last one of stored indices."""
    if node.op == "Cast":
        return node.inputs[0] in known.exact
    at_last = node.op == "Gather" and _axis(node, len(given[0])) == len(given[0]) - 1
    return at_last and node.inputs[1] in known.stored and given[1] != ()


def _work(node: Node, given: Sequence[Shape], made: Shape) -> int:
    """Return items read and written, or products; what is looked up in is not read."""
    written = math.prod(made) * len(node.outputs)
    if node.op in ("MatMul", "Gemm"):
        return written * max(given[0])
    if node.op == "TreeEnsembleRegressor":
        return given[0][0] * node.attribute_bytes + written
    read = given[1:] if node.op.startswith("Gather") else given
    return written + sum(math.prod(shape) for shape in read)


_Values = Sequence[tuple[int, ...]]


def _axis(node: Node, rank: int, default: int = 0) -> int:
    axis = node.integers.get("axis", default)
    if not -rank <= axis < rank:
        raise ValueError(axis)
    return axis % rank


def _broadcast(node: Node, given: Sequence[Shape], values: _Values) -> Shape:
    """Elementwise operators: at each place, counted from the right, the longest."""
    rank = max(map(len, given))
    padded = [(1,) * (rank - len(shape)) + shape for shape in given]
    return tuple(map(max, zip(*padded, strict=True)))


def _as_first(node: Node, given: Sequence[Shape], values: _Values) -> Shape:
    """Not longer than the first input anywhere: also parts of it, and the greatest of it."""
    return given[0]


def _pad(node: Node, given: Sequence[Shape], values: _Values) -> Shape:
    """At most one item more at each end; wider ones were refused."""
    return tuple(size + 2 for size in given[0])


def _concat(node: Node, given: Sequence[Shape], values: _Values) -> Shape:
    axis = _axis(node, len(given[0]))
    columns = list(zip(*given, strict=True))
    return tuple(sum(c) if place == axis else max(c) for place, c in enumerate(columns))


def _compress(node: Node, given: Sequence[Shape], values: _Values) -> Shape:
    return given[0] if "axis" in node.integers else (math.prod(given[0]),)


def _reduce(node: Node, given: Sequence[Shape], values: _Values) -> Shape:
    axes = values[1] if len(values) > 1 else ()
    rank = len(given[0])
    if not axes or any(not -rank <= axis < rank for axis in axes):
        raise ValueError(axes)
    return _without(given[0], {axis % rank for axis in axes}, node)


def _arg_max(node: Node, given: Sequence[Shape], values: _Values) -> Shape:
    return _without(given[0], {_axis(node, len(given[0]))}, node)


def _without(shape: Shape, axes: set[int], node: Node) -> Shape:
    if node.integers.get("keepdims", 1):
        return tuple(1 if place in axes else size for place, size in enumerate(shape))
    return tuple(size for place, size in enumerate(shape) if place not in axes)


def _gather(node: Node, given: Sequence[Shape], values: _Values) -> Shape:
    data, indices = given
    axis = _axis(node, len(data))
    return data[:axis] + indices + data[axis + 1 :]


def _gather_elements(node: Node, given: Sequence[Shape], values: _Values) -> Shape:
    return given[1]


def _gather_nd(node: Node, given: Sequence[Shape], values: _Values) -> Shape:
    """One index at a time: the last dimension of the indices says how many, and is exactly 1."""
    data, indices = given
    first = node.integers.get("batch_dims", 0)
    if indices[-1] != 1 or not 0 <= first < len(data):
        raise ValueError(indices)
    return indices[:-1] + data[first + 1 :]


def _matrices(node: Node, given: Sequence[Shape], values: _Values) -> Shape:
    (rows, inner), (other, columns) = given[:2]
    if node.integers.get("transA"):
        rows = inner
    if node.integers.get("transB"):
        columns = other
    return rows, columns


def _reshape(node: Node, given: Sequence[Shape], values: _Values) -> Shape:
    """Read the sizes from the file; -1, what is left, is at most everything."""
    if not values[1] or min(values[1]) < -1 or 0 in values[1]:
        raise ValueError(values[1])
    return tuple(math.prod(given[0]) if size == -1 else size for size in values[1])


def _trees(node: Node, given: Sequence[Shape], values: _Values) -> Shape:
    rows, _ = given[0]
    if not 1 <= node.integers["n_targets"] <= MAX_ITEMS:
        raise ValueError("n_targets")
    return rows, node.integers["n_targets"]


_RULES: dict[str, Callable[[Node, Sequence[Shape], _Values], Shape]] = {
    **dict.fromkeys(
        ("Add", "BitwiseAnd", "BitwiseOr", "Greater", "Less", "LessOrEqual", "Max", "Min", "Mul",
         "Or", "Sub", "Where"),
        _broadcast,
    ),
    **dict.fromkeys(("Cast", "Clip", "CumSum", "IsNaN", "Log", "Split", "Tanh", "TopK"), _as_first),
    "ArgMax": _arg_max,
    "Compress": _compress,
    "Concat": _concat,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Gemm": _matrices,
    "MatMul": _matrices,
    "Pad": _pad,
    "ReduceMean": _reduce,
    "ReduceSum": _reduce,
    "Reshape": _reshape,
    "TreeEnsembleRegressor": _trees,
}  # fmt: skip
