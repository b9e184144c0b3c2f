"""Token ids of many texts, by running the very nodes that ship."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tierwise.features.nodes import Nodes
from tierwise.features.tokens import add_token_nodes

OPSET = 21
IR_VERSION = 10


def ids_session(bits: int) -> onnxruntime.InferenceSession:
    """Return a one-thread session of the graph `text` (uint8) -> `ids` (int64)."""
    g = Nodes()
    ids = add_token_nodes(g, "text", bits)
    graph = helper.make_graph(
        g.nodes,
        "tokens",
        [helper.make_tensor_value_info("text", TensorProto.UINT8, ["bytes"])],
        [helper.make_tensor_value_info(ids, TensorProto.INT64, ["ids"])],
        list(g.initializers.values()),
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


class TokenIds:
    """Token ids as the shipped graph computes them.

    Parameters
    ----------
    bits : int
        Size of each of the two id ranges, as a power of two; ids are below `n_ids`.
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.n_ids = 2 * (1 << bits) + 1
        self._session = ids_session(bits)

    def ids(self, text: bytes) -> NDArray[np.int64]:
        """Return the ids of one text, shape (2 n_tokens + 1,)."""
        feed = {"text": np.frombuffer(text, np.uint8)}
        ids: NDArray[np.int64] = self._session.run(None, feed)[0]
        return ids

    def many(self, texts: Iterable[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the ids of many texts one after another, and where each text begins.

        Returns
        -------
        flat : ndarray of shape (n_ids_in_all,)
            Ids of all texts.
        offsets : ndarray of shape (n_texts + 1,)
            Text i has `flat[offsets[i] : offsets[i + 1]]`.
        """
        each = [self.ids(text) for text in texts]
        offsets = np.zeros(len(each) + 1, np.int64)
        np.cumsum([len(ids) for ids in each], out=offsets[1:])
        return (np.concatenate(each) if each else np.zeros(0, np.int64)), offsets
