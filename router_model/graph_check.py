"""What a policy graph may consist of; checked before anything opens it.

Only operators on a list, one opset, one IR version, no code and no weights from elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Set
from dataclasses import dataclass

from tierwise.router_model.graph_size import TooLarge, check_size
from tierwise.router_model.manifest import BundleError
from tierwise.router_model.protobuf import Outline, Tensor, read_outline

MAX_BYTES = 64 << 20
OPSETS = {"": 21, "ai.onnx.ml": 3}
IR_VERSION = 10
_STANDARD = """
    Add ArgMax BitwiseAnd BitwiseOr Cast Clip Compress Concat CumSum Gather GatherElements GatherND
    Gemm Greater IsNaN Less LessOrEqual Log MatMul Max Min Mul Or Pad ReduceMean ReduceSum Reshape
    Split Sub Tanh TopK Where
"""
ALLOWED = frozenset(
    {("ai.onnx.ml", "TreeEnsembleRegressor"), *(("", op) for op in _STANDARD.split())}
)
"""(domain, operator) pairs: what the exporter emits, no more.

A file of 200 bytes must not ask for gigabytes: none makes a tensor of a size that stands in the
file as a number but Pad, whose paddings are checked, and TreeEnsembleRegressor. What they make
together is bounded by `graph_size`.
"""


@dataclass(frozen=True)
class Limits:
    """What one kind of graph may consist of.

    Attributes
    ----------
    kind : str
        Its name in messages.
    max_bytes : int
        Of the file, and of each stored tensor.
    opsets : dict of str to int
        The version of each domain.
    operators : set of (domain, operator)
    bounded : bool
        Whether the size of every tensor has to follow from the file.
    """

    kind: str
    max_bytes: int
    opsets: dict[str, int]
    operators: Set[tuple[str, str]]
    bounded: bool = True


POLICY = Limits("policy graph", MAX_BYTES, OPSETS, ALLOWED)
_MAX_PADDING = 1
_ITEM_BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 11: 8, 12: 4, 13: 8}  # by TensorProto.DataType


def check_graph(model: bytes, limits: Limits = POLICY) -> None:
    """Refuse a model that uses anything but the listed operators and its own weights.

    Parameters
    ----------
    model : bytes
    limits : Limits, optional
        Those of a policy where left out.

    Raises
    ------
    BundleError
        One line with what was found and what is allowed.
    """
    try:
        _check(model, limits)
    except BundleError as error:
        raise BundleError(f"{limits.kind}: {error.found}", error.expected, error.todo) from None


def _check(model: bytes, limits: Limits) -> None:
    if len(model) > limits.max_bytes:
        raise _refused(f"{len(model)} bytes", f"at most {limits.max_bytes}")
    try:
        outline = read_outline(model)
    except ValueError as error:
        raise _refused(f"malformed: {error}", "a serialized ONNX model") from None
    if outline.ir_version != IR_VERSION:
        raise _refused(f"ir_version {outline.ir_version}", f"{IR_VERSION}")
    _check_opsets(outline, limits)
    _check_closed(outline)
    for tensor in outline.tensors:
        _check_size(tensor, limits.max_bytes)
    _check_operators(outline, limits)
    if limits.bounded:
        try:
            check_size(outline)
        except TooLarge as error:
            raise _refused(str(error), "tensors of bounded size") from None


def _refused(found: str, expected: str) -> BundleError:
    return BundleError(found, expected, "export the policy again")


def _check_opsets(outline: Outline, limits: Limits) -> None:
    domains = [domain for domain, _ in outline.opsets]
    if "" not in domains or len(set(domains)) < len(domains):
        raise _refused(f"opsets of {domains}"[:99], "the standard one, each once")
    for domain, version in outline.opsets:
        if limits.opsets.get(domain) != version:
            raise _refused(f"opset {domain[:80]!r} {version}", f"one of {limits.opsets}")


def _check_closed(outline: Outline) -> None:
    for count, what in (
        (outline.functions, "functions"),
        (outline.training, "training graphs"),
        (outline.sparse, "sparse weights"),
        (sum(tensor.external for tensor in outline.tensors), "external weights"),
        (sum(node.nested for node in outline.nodes), "attributes with graphs or tensors"),
    ):
        if count:
            raise _refused(f"{count} {what}", "none")


def _check_size(tensor: Tensor, most: int) -> None:
    item = _ITEM_BYTES.get(tensor.data_type)
    if item is None or any(dim < 0 for dim in tensor.dims):
        raise _refused(f"weights of type {tensor.data_type}, {tensor.dims}"[:99], "numbers")
    if math.prod(tensor.dims) * item > most:
        raise _refused(f"weights of shape {tensor.dims}"[:99], f"at most {most} bytes")
    if tensor.n_bytes != math.prod(tensor.dims) * item:
        raise _refused(f"{tensor.n_bytes} bytes for {tensor.dims}"[:99], "all weights as raw bytes")


def _check_operators(outline: Outline, limits: Limits) -> None:
    stored = {tensor.name: tensor.values for tensor in outline.tensors}
    for node in outline.nodes:
        if (node.domain, node.op) not in limits.operators:
            name = f"{node.domain}.{node.op}" if node.domain else node.op
            raise _refused(f"operator {name[:80]!r}", "an operator on the list")
        if node.op == "Pad":
            paddings = stored.get(node.inputs[1], ()) if len(node.inputs) > 1 else ()
            if not paddings or max(map(abs, paddings)) > _MAX_PADDING:
                raise _refused("a wide Pad", f"stored paddings of at most {_MAX_PADDING}")
