"""A sentence-transformers model -> encoder.onnx and tokenizer.json, checked against the model."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tierwise.data.errors import BadInput
from tierwise.data.messages import cap
from tierwise.features.encoder import embed
from tierwise.router_model.encoder import Encoder, EncoderFiles
from tierwise.router_model.encoder_check import ENCODER
from tierwise.router_model.graph_check import check_graph

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

OPSET = 20  # the newest that the exporter knows
IR_VERSION = 10
TOLERANCE = 1e-4
"""Largest difference of a number of an embedding."""
PROBES = (
    b"",
    b" \n\t ",
    b"a",
    "Zusammenfassung für Ωραία: 日本語 🚀 ПРИВЕТ".encode(),
    b"\xff\xfe broken \xc3 \xed\xa0\x80 bytes",
    b"\0[CLS] [SEP] <s> </s> [MASK]",
    cap(b"def getUserName(id_2): return HTTPServer[id_2] == None  # note\n" * 200),
)


def export_encoder(model: SentenceTransformer, texts: Sequence[bytes] = ()) -> EncoderFiles:
    """Export a model with its pooling and everything after, and check the result.

    Parameters
    ----------
    model : SentenceTransformer
        As from `load_encoder`.
    texts : sequence of bytes
        Texts to compare on, besides `PROBES`.

    Raises
    ------
    BadInput
        Where the model cannot be exported, is too large, or its graph says something else.
    """
    tokenizer = getattr(getattr(model, "tokenizer", None), "backend_tokenizer", None)
    if tokenizer is None or not hasattr(model[0], "auto_model"):
        raise _refused("no transformer", "a transformer with a fast tokenizer")
    try:
        graph = _clean(_traced(model))
    except Exception as error:  # torch.onnx's errors have no common base but this one
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
        raise _refused(f"no ONNX graph ({reason})", "operators that torch.onnx knows") from None
    try:
        check_graph(graph, ENCODER)
    except BadInput as error:
        raise _refused(error.found.removeprefix("encoder: "), error.expected) from None
    files = EncoderFiles(graph, _tokenizer_json(tokenizer, model.max_seq_length))
    check_parity(model, files, [*PROBES, *texts])
    return files


def check_parity(model: SentenceTransformer, files: EncoderFiles, texts: Sequence[bytes]) -> None:
    """Compare what ships with the model it came from.

    Raises
    ------
    BadInput
        Where a number of an embedding differs by more than `TOLERANCE`.
    """
    encoder = Encoder(files)
    for text, wanted in zip(texts, embed(model, texts), strict=True):
        worst = float(np.abs(encoder.embed(text)[0] - wanted).max())
        if not worst <= TOLERANCE:  # NaN is no parity either
            raise _refused(f"its graph differs by {worst:.2g}", f"at most {TOLERANCE}")


def _traced(model: SentenceTransformer) -> onnx.ModelProto:
    """Trace the model on one text's ids; what attends to what follows from their number alone."""
    import torch

    class OfIds(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: torch.Tensor) -> Any:
            features = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            return self.model(features)["sentence_embedding"]

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        path = Path(folder, "encoder.onnx")
        warnings.simplefilter("ignore")  # what tracing might get wrong, `check_parity` finds
        torch.onnx.export(
            OfIds().eval(),
            (torch.ones((1, 8), dtype=torch.int64),),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=["ids"],
            output_names=["embedding"],
            dynamic_axes={"ids": {1: "tokens"}},
        )
        proto = onnx.load(path)
    shape = proto.graph.output[0].type.tensor_type.shape
    for dim, size in zip(shape.dim, (1, model.get_embedding_dimension()), strict=True):
        dim.Clear()
        dim.dim_value = int(size or 0)
    return proto


def _clean(proto: onnx.ModelProto) -> bytes:
    """Return the graph in a form in which every stored tensor is an initializer.

    So the check of a bundle sees them all; the same graph gives the same bytes.
    """
    graph = proto.graph
    kept = []
    for node in (inner for outer in graph.node for inner in _inlined(outer)):
        value = next((a.t for a in node.attribute if a.name == "value"), None)
        if node.op_type == "Constant" and value is not None:
            graph.initializer.append(_named(value, node.output[0]))
            continue
        if node.op_type == "ConstantOfShape":
            name = f"{node.output[0]}_value"
            value = value or numpy_helper.from_array(np.zeros(1, np.float32))
            graph.initializer.append(_named(value, name))
            node = helper.make_node("Expand", [name, node.input[0]], list(node.output))
        node.name, node.doc_string = "", ""
        kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)
    del graph.value_info[:]
    graph.name, graph.doc_string = "encoder", ""
    clean = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(clean, full_check=True)
    content: bytes = clean.SerializeToString(deterministic=True)
    return content


def _inlined(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Return a node, or the squeeze that the exporter hides in a branch.

    Where it does not know that an axis has length 1, it writes `if it has, squeeze, else leave`;
    with one text at a time it has.
    """
    branches = {a.name: list(a.g.node) for a in node.attribute}
    found = branches.get("then_branch", [])
    if node.op_type != "If" or [n.op_type for n in found] != ["Constant", "Squeeze"]:
        return [node]
    found[-1].output[0] = node.output[0]
    return found


def _named(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    out = numpy_helper.from_array(np.array(numpy_helper.to_array(tensor)), name)
    return out


def _tokenizer_json(tokenizer: Any, longest: int | None) -> bytes:
    """Return the tokenizer's file with its cut set, without padding, so that it is used as is."""
    from tokenizers import Tokenizer

    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_padding()
    copy.no_truncation()
    if longest:
        copy.enable_truncation(int(longest))
    return (json.dumps(json.loads(copy.to_str()), ensure_ascii=False) + "\n").encode()


def _refused(found: str, expected: str) -> BadInput:
    return BadInput(f"the encoder: {found}"[:300], expected, "set fit.encoder_use to distill")
