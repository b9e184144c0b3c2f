"""A sentence-transformers model as a function of texts, for learning.

Of a model's folder the loader is shown a few kinds of files alone: settings, vocabularies and
safetensors weights. Pickled weights and code lie outside what it can see, so neither is ever run.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Floats32 = NDArray[np.float32]

SHOWN = (".json", ".txt", ".safetensors", ".model")
"""Kinds of files that the loader sees; `.model` is a SentencePiece vocabulary."""


def find_encoder(name: str) -> Path:
    """Return the folder of a model: a local one, or one of the Hugging Face hub's cache.

    A model that the cache holds is taken from there without a word to the hub.

    Parameters
    ----------
    name : str
        A folder, or a name on the hub; a bare name is one of `sentence-transformers/`.

    Raises
    ------
    BadInput
        Where there is no such folder, or the hub does not give the model.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or name.startswith(("./", "../", "~")):
        raise _refused(name, "no such folder", "the folder of a sentence-transformers model")
    hub = _library("huggingface_hub")
    repository = name if "/" in name else f"sentence-transformers/{name}"
    shown = [f"*{kind}" for kind in SHOWN]
    reason = ""
    for cached_only in (True, False):
        try:
            found = hub.snapshot_download(
                repository, allow_patterns=shown, local_files_only=cached_only
            )
            return Path(found)
        except Exception as error:  # the hub's errors have no common base but this one
            reason = _line(error)
    raise _refused(name, reason, "a local folder or a public sentence-transformers model")


@contextmanager
def shown_files(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder of links to those files of a model that may be read."""
    with tempfile.TemporaryDirectory() as view:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix in SHOWN:
                link = Path(view) / path.relative_to(folder)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path.resolve())
        yield Path(view)


def fingerprint(folder: Path) -> str:
    """Return a digest of all that the loader is shown of a model, 16 hexadecimal digits."""
    whole = hashlib.sha256()
    with shown_files(folder) as view:
        for path in sorted(p for p in view.rglob("*") if p.is_file()):
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
            whole.update(path.relative_to(view).as_posix().encode() + b"\0" + content)
    return whole.hexdigest()[:16]


def load_encoder(folder: Path) -> SentenceTransformer:
    """Load a model on the CPU: no foreign code, no pickled weights, no network.

    Parameters
    ----------
    folder : Path
        As from `find_encoder`.

    Raises
    ------
    BadInput
        Where it is no sentence-transformers model, has no safetensors weights, or needs code of
        its own.
    """
    library = _library("sentence_transformers")
    _library("transformers").utils.logging.disable_progress_bar()
    if not (folder / "modules.json").is_file():
        raise _refused(str(folder), "no modules.json in it", "a sentence-transformers model")
    with shown_files(folder) as view:
        if not any(view.rglob("*.safetensors")):
            raise _refused(str(folder), "no safetensors weights in it", "weights as safetensors")
        try:
            model: SentenceTransformer = library.SentenceTransformer(
                str(view),
                device="cpu",
                trust_remote_code=False,
                local_files_only=True,
                # The plain formulation of attention is the one that exports to ONNX.
                model_kwargs={"use_safetensors": True, "attn_implementation": "eager"},
            )
        except Exception as error:  # the loaders' errors have no common base but this one
            reason = _line(error).replace(str(view), str(folder))
            wanted = "safetensors weights and modules of sentence-transformers alone"
            raise _refused(str(folder), reason, wanted) from None
    return model.eval()


def embed(model: SentenceTransformer, texts: Sequence[bytes]) -> Floats32:
    """Return the embedding of each text, shape (n_texts, n_dimensions); no prompt is added.

    One text at a time: within a batch, rounding would depend on the other texts.

    Parameters
    ----------
    model : SentenceTransformer
    texts : sequence of bytes
        UTF-8; what is none becomes U+FFFD.
    """
    decoded = [text.decode("utf-8", "replace") for text in texts]
    out: Any = model.encode(decoded, batch_size=1, prompt="", show_progress_bar=False)
    return np.asarray(out, np.float32)


def _library(name: str) -> Any:
    """Import a library of the extra `train`, which takes seconds, only where an encoder is used."""
    try:
        return __import__(name)
    except ModuleNotFoundError:
        raise BadInput(
            f"fit.encoder is set and {name} is not installed",
            "the extra 'train'",
            "run pip install 'tierwise[train]'",
        ) from None


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _refused(name: str, found: str, expected: str) -> BadInput:
    return BadInput(f"encoder {name}: {found}", expected, "mend fit.encoder in params.yaml")
