"""Difficulty scores of any other router, given as files, to be judged beside this one.

An .npz file holds `text`, the SHA-256 (hex) of each text's UTF-8, and one array of numbers a
router, higher is harder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput

Floats = NDArray[np.float64]
TEXT = "text"


def text_key(text: bytes) -> str:
    """Return the name of a text in a file of scores."""
    return hashlib.sha256(text).hexdigest()


def read_scores(path: Path | None, texts: Sequence[bytes]) -> dict[str, Floats]:
    """Return each router's score of each text.

    Parameters
    ----------
    path : Path or None
        An .npz file, or a folder of them; None: nothing was given.
    texts : sequence of bytes
        UTF-8, whole.

    Returns
    -------
    dict of str to ndarray of shape (n_texts,)
        Routers that have a finite score for every text; others are left out.

    Raises
    ------
    BadInput
        Where there is no such file, or it holds something else.
    """
    if path is None:
        return {}
    files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
    if not files:
        raise BadInput(f"no .npz in {path}", "files of scores", "name another folder")
    scores: dict[str, dict[str, float]] = {}
    for file in files:
        for name, said in _read(file).items():
            scores.setdefault(name, {}).update(said)
    keys = [text_key(text) for text in texts]
    found = {name: np.array([said.get(k, np.nan) for k in keys]) for name, said in scores.items()}
    return {name: one for name, one in found.items() if np.isfinite(one).all()}


def _read(file: Path) -> dict[str, dict[str, float]]:
    try:
        with file.open("rb") as archive, np.load(archive, allow_pickle=False) as arrays:
            keys = [str(key) for key in arrays[TEXT]]
            return {
                name: dict(zip(keys, arrays[name].astype(np.float64).tolist(), strict=True))
                for name in arrays.files
                if name != TEXT
            }
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise BadInput(
            f"cannot read {file} ({type(error).__name__})",
            "an .npz with `text` (SHA-256 of each text) and one array of numbers a router",
            "write it again",
        ) from None
