"""Token vectors imitate an embedding as far as tokens tell it, and never better than they will."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from tests.training.fits import make_steps
from tierwise.data.split import folds
from tierwise.features.token_session import TokenIds
from tierwise.training.distill import Distilled, distill, reduce_embedding
from tierwise.training.hashed import fit_vocabulary, shares, weigh

STRENGTHS = (0.1, 1.0, 10.0)


@pytest.fixture(scope="module")
def text() -> sp.csr_matrix:
    tokens = TokenIds(8, 9)
    found = shares(make_steps(600).text, tokens)
    vocabulary = fit_vocabulary(found, tokens.n_words)
    return weigh(found, vocabulary)[:, : vocabulary.n_words]


@pytest.fixture(scope="module")
def fold(text: sp.csr_matrix) -> np.ndarray:
    unit = np.array([f"u{i // 2}" for i in range(text.shape[0])])
    return folds(unit, 4, np.random.default_rng(1))


def imitate(
    text: sp.csr_matrix,
    embedding: np.ndarray,
    fold: np.ndarray,
    strengths: tuple[float, ...] = STRENGTHS,
) -> Distilled:
    return distill(text, embedding, fold, 4, strengths, np.random.default_rng(0))


def of_tokens(text: sp.csr_matrix, n_dimensions: int = 16) -> np.ndarray:
    """An embedding that is linear in the tokens, of four real dimensions."""
    rng = np.random.default_rng(2)
    words = rng.normal(size=(text.shape[1], 4)) @ rng.normal(size=(4, n_dimensions))
    return np.asarray(text @ words, np.float32)


def test_an_embedding_that_the_tokens_tell_is_imitated(
    text: sp.csr_matrix, fold: np.ndarray
) -> None:
    found = imitate(text, of_tokens(text), fold)
    assert found.imitated > 0.9
    assert found.kept > 0.999
    said = text @ found.token_vectors
    correlation = [np.corrcoef(said[:, d], found.vectors[:, d])[0, 1] for d in range(4)]
    assert min(correlation) > 0.9  # what ships says what was learned from


def test_an_embedding_that_the_tokens_do_not_tell_is_not_said_to_be(
    text: sp.csr_matrix, fold: np.ndarray
) -> None:
    noise = np.random.default_rng(3).normal(size=(text.shape[0], 16)).astype(np.float32)
    found = imitate(text, noise, fold)
    assert found.imitated < 0.05
    assert found.alpha == STRENGTHS[-1]


def test_a_learn_texts_vector_comes_from_token_vectors_that_had_not_seen_its_unit(
    text: sp.csr_matrix, fold: np.ndarray
) -> None:
    embedding = of_tokens(text)
    other = embedding.copy()
    held = fold == 0  # their embeddings change places: the same mean and directions, other texts
    other[held] = np.random.default_rng(4).permutation(embedding[held])
    one, two = (imitate(text, each, fold, (1.0,)) for each in (embedding, other))
    same = [abs(np.corrcoef(one.vectors[held, d], two.vectors[held, d])[0, 1]) for d in range(4)]
    assert min(same) > 0.95


def test_the_mean_of_an_embedding_says_nothing(text: sp.csr_matrix, fold: np.ndarray) -> None:
    embedding = of_tokens(text)
    shifted = imitate(text, embedding + np.float32(5), fold)
    np.testing.assert_allclose(shifted.vectors, imitate(text, embedding, fold).vectors, atol=0.02)


def test_directions_keep_most_variance_and_have_the_same_spread() -> None:
    rng = np.random.default_rng(5)
    embedding = rng.normal(size=(500, 6)).astype(np.float32) * np.array([9, 5, 1, 1, 1, 1], "f")
    embedding -= embedding.mean(axis=0)
    directions, reduced, kept = reduce_embedding(embedding, 2, rng)
    assert kept == pytest.approx((81 + 25) / (81 + 25 + 4), abs=0.02)
    np.testing.assert_allclose(np.square(reduced).mean(axis=0), 1, rtol=1e-3)
    assert np.abs(directions).argmax(axis=0).tolist() == [0, 1]


@pytest.mark.parametrize("shape", [(1, 8), (3, 8), (50, 2)])
def test_missing_dimensions_are_zero(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(6)
    embedding = rng.normal(size=shape).astype(np.float32)
    directions, reduced, _ = reduce_embedding(embedding - embedding.mean(axis=0), 4, rng)
    assert directions.shape == (shape[1], 4)
    assert np.isfinite(reduced).all()
    assert not reduced[:, min(shape) :].any()


def test_one_text_over_and_over_has_nothing_to_imitate(fold: np.ndarray) -> None:
    n = len(fold)
    text = sp.csr_matrix(np.ones((n, 3), np.float32))
    found = imitate(text, np.tile(np.float32([[0.6, 0.8]]), (n, 1)), fold)
    assert found.imitated == 0
    assert not found.vectors.any()
    assert not found.token_vectors.any()
