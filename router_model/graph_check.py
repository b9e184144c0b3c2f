"""What a policy graph may consist of; checked before anything opens it.

Only operators on a list, one opset, one IR version, no code and no weights from elsewhere.
"""

from __future__ import annotations

import math

from tierwise.router_model.manifest import BundleError
from tierwise.router_model.protobuf import Outline, Tensor, read_outline

MAX_BYTES = 64 << 20
OPSETS = {"": 21, "ai.onnx.ml": 3}
IR_VERSION = 10
_STANDARD = """
    Add And ArgMax BitwiseAnd BitwiseOr Cast Clip Compress Concat CumSum Equal Gather
    GatherElements Gemm Greater GreaterOrEqual IsNaN Less MatMul Max Mul Not Pad ReduceMean
    ReduceSum Reshape Slice Split Sub Sum TopK Where
"""
ALLOWED = frozenset(
    {("ai.onnx.ml", "TreeEnsembleRegressor"), *(("", op) for op in _STANDARD.split())}
)
"""(domain, operator) pairs: what the exporter emits, no more.

A file of 200 bytes must not ask for gigabytes: none makes a tensor of a size that stands in the
file as a number but Pad, whose paddings are checked.
"""
_MAX_PADDING = 1
_ITEM_BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 11: 8, 12: 4, 13: 8}  # by TensorProto.DataType


def check_graph(model: bytes) -> None:
    """Refuse a model that uses anything but the listed operators and its own weights.

    Raises
    ------
    BundleError
        One line with what was found and what is allowed.
    """
    if len(model) > MAX_BYTES:
        raise _refused(f"{len(model)} bytes", f"at most {MAX_BYTES}")
    try:
        outline = read_outline(model)
    except ValueError as error:
        raise _refused(f"malformed: {error}", "a serialized ONNX model") from None
    if outline.ir_version != IR_VERSION:
        raise _refused(f"ir_version {outline.ir_version}", f"{IR_VERSION}")
    _check_opsets(outline)
    _check_closed(outline)
    for tensor in outline.tensors:
        _check_size(tensor)
    _check_operators(outline)


def _refused(found: str, expected: str) -> BundleError:
    return BundleError(f"policy graph: {found}", expected, "export the policy again")


def _check_opsets(outline: Outline) -> None:
    domains = [domain for domain, _ in outline.opsets]
    if "" not in domains or len(set(domains)) < len(domains):
        raise _refused(f"opsets of {domains}"[:99], "the standard one, each once")
    for domain, version in outline.opsets:
        if OPSETS.get(domain) != version:
            raise _refused(f"opset {domain[:80]!r} {version}", f"one of {OPSETS}")


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


def _check_size(tensor: Tensor) -> None:
    item = _ITEM_BYTES.get(tensor.data_type)
    if item is None or any(dim < 0 for dim in tensor.dims):
        raise _refused(f"weights of type {tensor.data_type}, {tensor.dims}"[:99], "numbers")
    if math.prod(tensor.dims) * item > MAX_BYTES:
        raise _refused(f"weights of shape {tensor.dims}"[:99], f"at most {MAX_BYTES} bytes")


def _check_operators(outline: Outline) -> None:
    stored = {tensor.name: tensor.values for tensor in outline.tensors}
    for node in outline.nodes:
        if (node.domain, node.op) not in ALLOWED:
            name = f"{node.domain}.{node.op}" if node.domain else node.op
            raise _refused(f"operator {name[:80]!r}", "an operator on the list")
        if node.op == "Pad":
            paddings = stored.get(node.inputs[1], ()) if len(node.inputs) > 1 else ()
            if not paddings or max(map(abs, paddings)) > _MAX_PADDING:
                raise _refused("a wide Pad", f"stored paddings of at most {_MAX_PADDING}")
