"""How learn texts become numbers: hashed tokens alone, an encoder imitated, or an encoder served.

What members learn from is the same for all three: a sparse matrix for the ridge, a short vector
for trees and network. Only what ships differs: one row a token, or a projection of the
encoder's embedding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.split import folds
from tierwise.features.encoder import embed, find_encoder, fingerprint, load_encoder
from tierwise.features.steps import StepTable
from tierwise.features.token_session import TokenIds
from tierwise.router_model.encoder import Encoder, EncoderFiles
from tierwise.router_model.encoder_export import export_encoder
from tierwise.router_model.model import Projection, TokenRows, no_rows
from tierwise.training.distill import distill, reduce_embedding
from tierwise.training.embeddings import cached
from tierwise.training.hashed import Vocabulary, fit_vectors, fit_vocabulary, shares, weigh
from tierwise.training.pack import pack_rows

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

USES = ("distill", "serve")
CACHE = Path("artifacts", "embeddings")
STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0)  # of the imitation's ridge
FOLDS = 5  # on which one of them is chosen
MOST_BYTES = 5_600_000  # of token rows: a gateway keeps them, and a policy stays within 6 MB
COMPARED = 32  # learn texts on which a served encoder must agree with its model


@dataclass(frozen=True)
class TextParams:
    """How texts become numbers; part of section `fit` of params.yaml.

    Attributes
    ----------
    bits, pair_bits : int
        At most 2 ** bits rows for words, 2 ** pair_bits shorter ones for pairs of words: fewer
        where there are so many tiers that they would be too large (`within_size`).
    dims : int
        Length of a text's vector.
    encoder : str
        A sentence-transformers model, by name or folder; "" is none.
    encoder_use : str
        "distill": token vectors imitate it; "serve": it ships with the policy.
    """

    bits: int = 16
    pair_bits: int = 16
    dims: int = 16
    encoder: str = ""
    encoder_use: str = "distill"


Params = TypeVar("Params", bound=TextParams)


def within_size(params: Params, n_tiers: int) -> Params:
    """Return the parameters with bits small enough that token rows stay within `MOST_BYTES`.

    The larger table is halved first, that of words where both are alike, as its rows are longer.
    """
    bits, pair_bits = params.bits, params.pair_bits
    wide, narrow = n_tiers + params.dims + 1, n_tiers + 1
    while (wide << bits) + (narrow << pair_bits) > MOST_BYTES and min(bits, pair_bits) > 1:
        if pair_bits > bits:
            pair_bits -= 1
        else:
            bits -= 1
    return replace(params, bits=bits, pair_bits=pair_bits)


@dataclass(frozen=True)
class Reading:
    """Learn texts as numbers, and what makes the same numbers of a new text.

    Attributes
    ----------
    matrix : sparse matrix of shape (n_steps, n_inputs)
        Of unit length on average.
    vectors : ndarray of shape (n_steps, n_dims)
    loadings : ndarray of shape (n_words or n_inputs, n_dims)
        A new text's vector is its row of the matrix, pairs of words left out, times this.
    vocabulary : Vocabulary or None
        The tokens that the inputs are; None where they are an embedding's numbers.
    center : ndarray of shape (n_inputs,) or None
        What is taken off an embedding.
    norm : float
        What an embedding is then divided by.
    encoder : EncoderFiles or None
        What has to ship.
    notes : dict
        For the report.
    """

    matrix: sp.csr_matrix
    vectors: Floats32
    loadings: Floats32
    vocabulary: Vocabulary | None
    center: Floats32 | None
    norm: float
    encoder: EncoderFiles | None
    notes: dict[str, object]

    def pack(self, ridge: Floats, params: TextParams) -> tuple[TokenRows, Projection | None]:
        """Return what ships of the text: rows of tokens, or a projection.

        Parameters
        ----------
        ridge : ndarray of shape (n_inputs, n_tiers)
            Quality that one unit of an input adds.
        params : TextParams
        """
        if self.vocabulary is not None:
            rows = pack_rows(ridge, self.loadings, self.vocabulary, params.bits, params.pair_bits)
            return rows, None
        weight = np.concatenate([ridge, self.loadings], axis=1) / self.norm
        bias = -(np.asarray(self.center, np.float64) @ weight)
        projection = Projection(weight.astype(np.float32), bias.astype(np.float32))
        return no_rows(weight.shape[1] + 1, ridge.shape[1] + 1), projection


def read_texts(learn: StepTable, params: TextParams, rng: np.random.Generator) -> Reading:
    """Turn learn texts into numbers.

    Parameters
    ----------
    learn : StepTable
        The learn part; no outcome is looked at.
    params : TextParams
    rng : Generator

    Raises
    ------
    BadInput
        Where there is no such encoder, or it cannot be used so.
    """
    if params.encoder_use not in USES:
        raise BadInput(
            f"fit.encoder_use = {params.encoder_use!r}", " or ".join(USES), "mend params.yaml"
        )
    if params.encoder and params.encoder_use == "serve":
        return _served(learn, params, rng)
    tokens = TokenIds(params.bits, params.pair_bits)
    found = shares(learn.text, tokens)
    vocabulary = fit_vocabulary(found, tokens.n_words)
    matrix = weigh(found, vocabulary)
    if params.encoder:
        return _distilled(learn, matrix, vocabulary, params, rng)
    words = matrix[:, : vocabulary.n_words]
    loadings = fit_vectors(words, params.dims, rng)
    vectors = np.asarray(words @ loadings, np.float32)
    return Reading(matrix, vectors, loadings, vocabulary, None, 1.0, None, {})


def _distilled(
    learn: StepTable,
    matrix: sp.csr_matrix,
    vocabulary: Vocabulary,
    params: TextParams,
    rng: np.random.Generator,
) -> Reading:
    folder = find_encoder(params.encoder)
    embedding = cached(
        CACHE / f"{fingerprint(folder)}.npz",
        learn.text,
        lambda texts: embed(load_encoder(folder), texts),
    )
    fold = folds(learn.unit, FOLDS, rng)
    words = matrix[:, : vocabulary.n_words]
    found = distill(words, embedding, fold, params.dims, STRENGTHS, rng)
    notes: dict[str, object] = {
        "encoder": {
            "use": "distill",
            "dimensions": embedding.shape[1],
            "variance_kept": found.kept,
            "imitation_r2": found.imitated,
            "alpha": found.alpha,
        }
    }
    return Reading(matrix, found.vectors, found.token_vectors, vocabulary, None, 1.0, None, notes)


def _served(learn: StepTable, params: TextParams, rng: np.random.Generator) -> Reading:
    """Learn from the very numbers that will be served: those of the exported encoder."""
    some = rng.permutation(len(learn.text))[:COMPARED]
    folder = find_encoder(params.encoder)
    files = export_encoder(load_encoder(folder), [learn.text[i] for i in np.sort(some)])
    encoder = Encoder(files)
    embedding = cached(
        CACHE / f"{files.digest()}.npz",
        learn.text,
        lambda texts: np.concatenate([encoder.embed(text) for text in texts]),
    )
    center = embedding.mean(axis=0, dtype=np.float64).astype(np.float32)
    centered = embedding - center
    norm = max(float(np.sqrt((centered**2).sum() / max(len(centered), 1))), 1e-6)
    directions, vectors, kept = reduce_embedding(centered, params.dims, rng)
    matrix = sp.csr_matrix(centered / np.float32(norm))
    shape = {"dimensions": embedding.shape[1], "variance_kept": kept}
    return Reading(
        matrix, vectors, directions * np.float32(norm), None, center, norm, files,
        {"encoder": {"use": "serve", **shape}},
    )  # fmt: skip
