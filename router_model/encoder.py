"""An encoder that ships with a policy: text -> tokenizer.json -> encoder.onnx -> embedding.

What it needs is the extra `text`: onnxruntime and tokenizers, no torch.
"""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.files import write_bytes, write_json
from tierwise.router_model.runtime import PolicyGraph, open_session

Floats = NDArray[np.float32]

MODEL, TOKENIZER = "encoder.onnx", "tokenizer.json"
MAX_MODEL_BYTES = 512 << 20
MAX_TOKENIZER_BYTES = 64 << 20
_INPUT, _OUTPUT = "ids", "embedding"


@dataclass(frozen=True)
class EncoderFiles:
    """The bytes of an encoder.

    Attributes
    ----------
    model : bytes
        An ONNX graph `ids` (int64, [1, tokens]) -> `embedding` (float32, [1, n_dimensions]).
    tokenizer : bytes
        tokenizer.json of the library tokenizers; it says where a text is cut.
    """

    model: bytes
    tokenizer: bytes

    def digest(self) -> str:
        """Return 16 hexadecimal digits that name the embeddings this encoder makes."""
        parts = b"".join(hashlib.sha256(part).digest() for part in (self.model, self.tokenizer))
        return hashlib.sha256(parts).hexdigest()[:16]


class Encoder:
    """An opened encoder; safe to call from many threads.

    Parameters
    ----------
    files : EncoderFiles

    Raises
    ------
    BadInput
        Where tokenizers is not installed.
    ValueError
        Where the graph is no encoder. onnxruntime and tokenizers raise their own errors for bytes
        that they cannot open.

    Attributes
    ----------
    n_dimensions : int
        Length of an embedding.
    """

    def __init__(self, files: EncoderFiles) -> None:
        try:
            tokenizers = importlib.import_module("tokenizers")
        except ModuleNotFoundError:
            raise BadInput(
                "this policy has an encoder, and tokenizers is not installed",
                "the extra 'text'",
                "run pip install 'tierwise[text]'",
            ) from None
        self._encode = tokenizers.Tokenizer.from_str(files.tokenizer.decode()).encode
        session = open_session(files.model)
        inputs = {one.name: one.type for one in session.get_inputs()}
        outputs = {one.name: one.shape for one in session.get_outputs()}
        if inputs != {_INPUT: "tensor(int64)"} or set(outputs) != {_OUTPUT}:
            raise ValueError(f"inputs {inputs}, outputs {sorted(outputs)}, expected ids, embedding")
        shape = outputs[_OUTPUT]
        if len(shape) != 2 or not isinstance(shape[1], int):
            raise ValueError(f"an embedding of shape {shape}, expected [1, a number]")
        self.n_dimensions = shape[1]
        self._run = session.run

    def ids(self, text: bytes) -> NDArray[np.int64]:
        """Return the token ids of a text, shape (n_tokens,), cut as tokenizer.json says.

        Parameters
        ----------
        text : bytes
            UTF-8; what is none becomes U+FFFD.
        """
        return np.array(self._encode(text.decode("utf-8", "replace")).ids, np.int64)

    def embed(self, text: bytes) -> Floats:
        """Return the embedding of a text, shape (1, n_dimensions)."""
        embedding: Floats = self._run([_OUTPUT], {_INPUT: self.ids(text)[None, :]})[0]
        return embedding


def write_encoder(folder: Path, files: EncoderFiles | None) -> None:
    """Write an encoder into a run; without one, the folder only says so."""
    write_json(folder / "served.json", {"served": files is not None})
    for name, content in (
        (MODEL, files.model if files else None),
        (TOKENIZER, files.tokenizer if files else None),
    ):
        if content is None:
            (folder / name).unlink(missing_ok=True)
        else:
            write_bytes(folder / name, content)


def read_encoder(folder: Path) -> EncoderFiles | None:
    """Read what `write_encoder` wrote.

    Raises
    ------
    BadInput
        Where one of the two files is missing.
    """
    present = [name for name in (MODEL, TOKENIZER) if (folder / name).is_file()]
    if not present:
        return None
    if len(present) == 1:
        raise BadInput(f"{folder} holds {present[0]} alone", f"{MODEL}, {TOKENIZER}", "run fit")
    return EncoderFiles((folder / MODEL).read_bytes(), (folder / TOKENIZER).read_bytes())


def open_encoder(files: EncoderFiles | None) -> Encoder | None:
    """Open an encoder where there is one."""
    return Encoder(files) if files else None


def open_policy(graph: bytes, folder: Path) -> PolicyGraph:
    """Open a run's graph, with the encoder in `folder` where there is one."""
    return PolicyGraph(graph, open_encoder(read_encoder(folder)))
