"""Token ids of many texts, by running the very nodes that ship."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tierwise.features.nodes import Nodes
from tierwise.features.tokens import add_ids, add_token_nodes

OPSET = 21
IR_VERSION = 10


def ids_session(bits: int, pair_bits: int) -> onnxruntime.InferenceSession:
    """Return a one-thread session of the graph `text` (uint8) -> `ids` (int64)."""
    g = Nodes()
    ids = add_ids(g, *add_token_nodes(g, "text", bits, pair_bits))
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
    bits, pair_bits : int
        Numbers of words' and of pairs' ids, as powers of two.

    Attributes
    ----------
    n_words, n_ids : int
        Places of the words, the end of a text included, and of words and pairs together.
    """

    def __init__(self, bits: int, pair_bits: int) -> None:
        self.n_words = (1 << bits) + 1
        self.n_ids = self.n_words + (1 << pair_bits)
        self._session = ids_session(bits, pair_bits)

    def ids(self, text: bytes) -> NDArray[np.int64]:
        """Return the ids of one text, shape (3 n_tokens + 3,), as in `reference_ids`."""
        feed = {"text": np.frombuffer(text, np.uint8)}
        ids: NDArray[np.int64] = self._session.run(None, feed)[0]
        return ids

    def many(self, texts: Iterable[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the places of many texts' ids one after another, and where each text begins.

        Places count through the rows of words and then those of pairs, from 0 to below `n_ids`.

        Returns
        -------
        flat : ndarray of shape (n_ids_in_all,)
            Places of all texts; of each text, words and then twice as many pairs.
        offsets : ndarray of shape (n_texts + 1,)
            Text i has `flat[offsets[i] : offsets[i + 1]]`.
        """
        each = [self.ids(text) for text in texts]
        offsets = np.zeros(len(each) + 1, np.int64)
        np.cumsum([len(ids) for ids in each], out=offsets[1:])
        flat = np.concatenate(each) if each else np.zeros(0, np.int64)
        return np.where(flat < 0, flat + self.n_ids, flat), offsets
