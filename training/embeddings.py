"""Embeddings on disk: a text that was embedded once by a model is not embedded again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tierwise.data.files import replacing

Floats32 = NDArray[np.float32]


def cached(
    path: Path, texts: Sequence[bytes], embed: Callable[[Sequence[bytes]], Floats32]
) -> Floats32:
    """Return the embedding of each text, shape (n_texts, n_dimensions).

    Parameters
    ----------
    path : Path
        The model's .npz file, without pickled objects; its name has to name the model. A file
        that cannot be read counts as none.
    texts : sequence of bytes
    embed : callable
        Called once at most, with the different texts that the file does not hold.
    """
    digests = [hashlib.sha256(text).digest() for text in texts]
    known, stored = _read(path)
    place = {digest: row for row, digest in enumerate(known)}
    left = {d: t for d, t in zip(digests, texts, strict=True) if d not in place}
    if left or not known:
        new = embed(list(left.values()) or [b""])[: len(left)]
        stored = np.concatenate([stored, new]) if known else new
        for digest in left:
            place[digest] = len(place)
        _write(path, list(place), stored)
    return stored[[place[digest] for digest in digests]]


def _read(path: Path) -> tuple[list[bytes], Floats32]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            digests, vectors = content["digest"], np.asarray(content["vector"], np.float32)
        if digests.shape != (len(vectors), 32) or vectors.ndim != 2:
            raise ValueError("shapes that do not fit")
        return [row.tobytes() for row in digests], vectors
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return [], np.zeros((0, 0), np.float32)


def _write(path: Path, digests: list[bytes], vectors: Floats32) -> None:
    rows = np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), 32)
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, digest=rows, vector=vectors)
