"""A graph under construction: standard ONNX nodes and constants, each constant stored once."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, DTypeLike, NDArray
from onnx import helper, numpy_helper


class Nodes:
    """Nodes and initializers of one ONNX graph, in the order they were added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self._names: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._count = 0

    def const(self, value: ArrayLike, dtype: DTypeLike, name: str = "") -> str:
        """Return the name of a constant; an unnamed one equal to an earlier one is shared."""
        array: NDArray[Any] = np.array(value, dtype=dtype, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if not name:
            if key in self._names:
                return self._names[key]
            name = f"c{len(self._names)}"
            self._names[key] = name
        self.initializers[name] = numpy_helper.from_array(array, name)
        return name

    def add(
        self, op: str, *inputs: str, output: str = "", domain: str = "", **attributes: Any
    ) -> str:
        """Append a node with one output and return the output's name."""
        output = output or self._fresh()
        self.nodes.append(helper.make_node(op, list(inputs), [output], domain=domain, **attributes))
        return output

    def add_many(self, op: str, inputs: list[str], n_outputs: int, **attributes: Any) -> list[str]:
        """Append a node with several outputs and return their names."""
        outputs = [self._fresh() for _ in range(n_outputs)]
        self.nodes.append(helper.make_node(op, inputs, outputs, **attributes))
        return outputs

    def _fresh(self) -> str:
        self._count += 1
        return f"t{self._count}"
