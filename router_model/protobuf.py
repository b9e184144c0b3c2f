"""What an ONNX file holds, read from its bytes without the onnx package.

The walk knows the wire format and the few messages of onnx.proto that matter; a field it does not
know is malformed, for what nobody read nobody has checked. There are at most five levels of
messages, each handled by its own function, so nothing recurses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_Field = tuple[int, int, int, int]  # field number, wire type, start, end (of bytes) or value

_MODEL = {1: _VARINT, 2: _BYTES, 3: _BYTES, 4: _BYTES, 5: _VARINT, 6: _BYTES, 7: _BYTES, 8: _BYTES,
          14: _BYTES, 20: _BYTES, 25: _BYTES}  # fmt: skip
_OPSET = {1: _BYTES, 2: _VARINT}
_GRAPH = dict.fromkeys((1, 2, 5, 10, 11, 12, 13, 15), _BYTES)
_NODE = dict.fromkeys((1, 2, 3, 4, 5, 6, 7), _BYTES)
_ATTRIBUTE = {1: _BYTES, 2: _FIXED32, 3: _VARINT, 4: _BYTES, 5: _BYTES, 6: _BYTES, 7: None,
              8: None, 9: _BYTES, 10: _BYTES, 11: _BYTES, 13: _BYTES, 20: _VARINT}  # fmt: skip
_TENSOR = {1: None, 2: _VARINT, 4: None, 5: None, 7: None, 8: _BYTES, 9: _BYTES, 10: None,
           11: None, 12: _BYTES, 13: _BYTES, 14: _VARINT}  # fmt: skip

# Trees are long runs of one-number fields: whole runs are skipped by a regular expression.
_FLOATS = re.compile(rb"(?:\x3d.{4}){1,4096}+", re.DOTALL)
_INTS = re.compile(rb"(?:\x40[\x80-\xff]{0,9}+[\x00-\x7f]){1,4096}+")

_INT64 = 7
MAX_RANK = 8
_MAX_FIELDS = 1 << 19  # a run of numbers counts as one; a policy of 1,000 trees has some 100,000


@dataclass(frozen=True)
class Tensor:
    """A stored tensor: `values` are given for 1-D int64 tensors of at most 16 items, else empty."""

    name: str
    dims: tuple[int, ...]
    data_type: int
    n_bytes: int
    external: bool
    values: tuple[int, ...] = ()


@dataclass(frozen=True)
class Node:
    """One operator use.

    Attributes
    ----------
    domain, op : str
        The operator.
    inputs, outputs : tuple of str
        Names of tensors; "" where an optional one is left out.
    integers : dict of str to int
        The number of each attribute, 0 where it holds something else.
    attribute_bytes : int
        How long all attributes are together.
    nested : bool
        Whether an attribute holds a graph or a tensor.
    """

    domain: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    integers: Mapping[str, int]
    attribute_bytes: int
    nested: bool


@dataclass(frozen=True)
class Outline:
    """What a model file consists of."""

    ir_version: int
    opsets: tuple[tuple[str, int], ...]
    nodes: tuple[Node, ...]
    tensors: tuple[Tensor, ...]
    functions: int
    training: int
    sparse: int


def read_outline(model: bytes) -> Outline:
    """Walk a serialized ModelProto.

    Raises
    ------
    ValueError
        Where the bytes are no such message, end early, or hold a field this reader does not know.
    """
    seen = count()
    ir_version, opsets, graphs, functions, training = 0, [], [], 0, 0
    for number, _, start, end in _fields(model, 0, len(model), _MODEL, seen):
        if number == 1:
            ir_version = start
        elif number == 7:
            graphs.append((start, end))
        elif number == 8:
            opsets.append(_opset(model, start, end, seen))
        functions += number == 25
        training += number == 20
    if len(graphs) != 1:
        raise ValueError(f"{len(graphs)} graphs")
    nodes, tensors, sparse = [], [], 0
    for number, _, start, end in _fields(model, *graphs[0], _GRAPH, seen):
        if number == 1:
            nodes.append(_node(model, start, end, seen))
        elif number == 5:
            tensors.append(_tensor(model, start, end, seen))
        sparse += number == 15
    return Outline(
        ir_version, tuple(opsets), tuple(nodes), tuple(tensors), functions, training, sparse
    )


def _opset(data: bytes, start: int, end: int, seen: Iterator[int]) -> tuple[str, int]:
    domain, version = "", 0
    for number, _, at, stop in _fields(data, start, end, _OPSET, seen):
        if number == 1:
            domain = _text(data, at, stop)
        else:
            version = at
    return ("" if domain == "ai.onnx" else domain), version


def _node(data: bytes, start: int, end: int, seen: Iterator[int]) -> Node:
    domain, op, nested, n_bytes = "", "", False, 0
    inputs, outputs, integers = [], [], {}
    for number, _, at, stop in _fields(data, start, end, _NODE, seen):
        if number == 1:
            inputs.append(_text(data, at, stop))
        elif number == 2:
            outputs.append(_text(data, at, stop))
        elif number == 4:
            op = _text(data, at, stop)
        elif number == 5:
            name, integer, holds = _attribute(data, at, stop, seen)
            if name in integers:
                raise ValueError(f"attribute {name[:60]!r} twice")
            integers[name] = integer
            nested |= holds
            n_bytes += stop - at
        elif number == 7:
            domain = _text(data, at, stop)
    domain = "" if domain == "ai.onnx" else domain
    return Node(domain, op, tuple(inputs), tuple(outputs), integers, n_bytes, nested)


def _attribute(data: bytes, start: int, end: int, seen: Iterator[int]) -> tuple[str, int, bool]:
    """Return name, number, and whether it holds a graph or a tensor."""
    name, integer, nested = "", 0, False
    for number, _, at, stop in _fields(data, start, end, _ATTRIBUTE, seen):
        if number == 1:
            name = _text(data, at, stop)
        elif number == 3:
            integer = at
        nested |= number in (5, 6, 10, 11)
    return name, integer, nested


def _tensor(data: bytes, start: int, end: int, seen: Iterator[int]) -> Tensor:
    dims: list[int] = []
    integers: list[int] = []
    name, data_type, n_bytes, external = "", 0, 0, False
    for number, wire, at, stop in _fields(data, start, end, _TENSOR, seen):
        if number == 1:
            dims += _packed(data, at, stop) if wire == _BYTES else [at]
            if len(dims) > MAX_RANK:
                raise ValueError(f"a tensor of more than {MAX_RANK} dimensions")
        elif number == 2:
            data_type = at
        elif number == 8:
            name = _text(data, at, stop)
        elif number == 13 or (number == 14 and at):
            external = True
        elif number in (4, 5, 7, 9, 10, 11):
            n_bytes += stop - at if wire == _BYTES else 8
            if number == 9:
                integers = _int64s(data[at:stop]) if stop - at <= 128 else []
    small = data_type == _INT64 and len(dims) == 1 and len(integers) == dims[0]
    return Tensor(name, tuple(dims), data_type, n_bytes, external, tuple(integers) if small else ())


def _int64s(raw: bytes) -> list[int]:
    return [int.from_bytes(raw[i : i + 8], "little", signed=True) for i in range(0, len(raw), 8)]


def _text(data: bytes, start: int, end: int) -> str:
    return data[start:end].decode("utf-8", "replace")


def _packed(data: bytes, start: int, end: int) -> list[int]:
    numbers: list[int] = []
    while start < end and len(numbers) <= MAX_RANK:
        value, start = _varint(data, start, end)
        numbers.append(value)
    return numbers


def _fields(
    data: bytes, pos: int, end: int, known: Mapping[int, int | None], seen: Iterator[int]
) -> Iterator[_Field]:
    """Yield the fields of one message; of a varint the value stands in place of the start.

    `seen` counts the fields of all messages: millions of empty ones would take much memory.
    """
    runs = known is _ATTRIBUTE
    while pos < end:
        if runs and data[pos] in (0x3D, 0x40):
            run = (_FLOATS if data[pos] == 0x3D else _INTS).match(data, pos, end)
            if run is not None:
                yield 7, _FIXED32, pos, run.end()
                pos = run.end()
                continue
        if next(seen) >= _MAX_FIELDS:
            raise ValueError(f"more than {_MAX_FIELDS} fields")
        key, pos = _varint(data, pos, end)
        number, wire = key >> 3, key & 7
        if number not in known or known[number] not in (None, wire):
            raise ValueError(f"unknown field {number} of wire type {wire}")
        start = pos
        if wire == _VARINT:
            value, pos = _varint(data, pos, end)
            yield number, wire, value, value
            continue
        if wire == _BYTES:
            length, start = _varint(data, pos, end)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire}")
        pos = start + length
        if length < 0 or pos > end:
            raise ValueError("a field runs past the end")
        yield number, wire, start, pos


def _varint(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """Read a varint as int64 (two's complement) and return it with the next position."""
    value = shift = 0
    while True:
        if pos >= end or shift > 63:
            raise ValueError("a number runs past its end")
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            value &= (1 << 64) - 1
            return (value - (1 << 64) if value >> 63 else value), pos
        shift += 7
