"""An encoder of MiniLM-L6's size with random weights, int8, to be timed: not to say anything.

Six layers of 384 numbers and a vocabulary of 30,522 (22.7 million weights), as in
sentence-transformers/all-MiniLM-L6-v2; its time does not depend on what the weights are.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LONGEST = 512  # tokens; longer texts are cut, as that model's users do
WORDS = 30_522
LAYERS = 6


def encoder_call(
    reading: list[str], longest: int = LONGEST, layers: int = LAYERS
) -> Callable[[str], NDArray[np.float32]]:
    """Return text -> embedding: tokenizer and int8 encoder in ONNX Runtime, one thread.

    Parameters
    ----------
    reading : list of str
        Texts from which its vocabulary is learned. Where they are the ones to be timed, that
        favors the encoder: of a vocabulary learned elsewhere they have more tokens.
    longest : int
        Tokens at which texts are cut.
    layers : int
        Six is MiniLM-L6's.
    """
    import onnxruntime
    from onnxruntime.quantization import quantize_dynamic
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator(reading, vocab_size=WORDS, show_progress=False)
    tokenizer.enable_truncation(longest)
    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        _write(plain, layers)
        logging.disable(logging.WARNING)  # the quantizer asks for a step that changes no time
        try:
            quantize_dynamic(plain, small)
        finally:
            logging.disable(logging.NOTSET)
        model = small.read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def call(text: str) -> NDArray[np.float32]:
        ids = np.array([tokenizer.encode(text).ids or [1]], np.int64)
        return np.asarray(session.run(None, {"ids": ids})[0], np.float32)

    return call


def _write(path: Path, layers: int) -> None:
    """Export a BERT of random weights with mean pooling."""
    import torch
    import transformers

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            config = transformers.BertConfig(
                vocab_size=WORDS,
                hidden_size=384,
                num_hidden_layers=layers,
                num_attention_heads=12,
                intermediate_size=1536,
            )
            build: Any = transformers.AutoModel.from_config  # untyped there
            self.bert = build(config, attn_implementation="eager")

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            mask = torch.ones_like(ids)
            hidden = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
            return torch.nn.functional.normalize(hidden.mean(dim=1))

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's about itself
        torch.onnx.export(
            Pooled().eval(),
            (torch.ones(1, 16, dtype=torch.int64),),
            str(path),
            input_names=["ids"],
            output_names=["embedding"],
            dynamic_axes={"ids": {1: "tokens"}},
            opset_version=17,
            dynamo=False,
        )
