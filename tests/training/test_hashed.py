"""Hashed text: shares of tokens, inverse document frequencies, short vectors."""

from __future__ import annotations

import numpy as np
import pytest

from tierwise.features.token_session import TokenIds
from tierwise.features.tokens import reference_ids
from tierwise.training.hashed import (
    Vocabulary,
    fit_vectors,
    fit_vocabulary,
    shares,
    weigh,
)

BITS, PAIR_BITS = 10, 11
TEXTS = (b"copy the file", b"copy a file", b"prove the claim", b"", b"copy copy copy unique")


@pytest.fixture(scope="module")
def tokens() -> TokenIds:
    return TokenIds(BITS, PAIR_BITS)


def word(text: bytes) -> int:
    return reference_ids(text, BITS, PAIR_BITS)[0]


def fitted(texts: tuple[bytes, ...], tokens: TokenIds) -> Vocabulary:
    return fit_vocabulary(shares(texts, tokens), tokens.n_words)


def test_each_text_spends_a_share_of_one_on_its_tokens(tokens: TokenIds) -> None:
    found = shares(TEXTS, tokens).toarray()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-6)
    assert found[0, word(b"copy")] == pytest.approx(
        1 / 12
    )  # three words, the end, two pairs of each
    assert found[4, word(b"copy")] == pytest.approx(3 / 15)


def test_an_empty_text_is_its_end_and_the_pair_of_nothing_following_it(tokens: TokenIds) -> None:
    found = shares((b"",), tokens)
    assert len(found.indices) == 2
    assert found.indices[0] == 1 << BITS
    assert found.indices[1] >= tokens.n_words


def test_a_token_of_one_step_is_left_out(tokens: TokenIds) -> None:
    kept = fitted(TEXTS, tokens).kept.tolist()
    assert word(b"copy") in kept
    assert word(b"unique") not in kept


def test_a_token_twice_in_one_text_is_still_of_one_step(tokens: TokenIds) -> None:
    kept = fitted((b"echo echo", b"other"), tokens).kept.tolist()
    assert word(b"echo") not in kept


def test_a_rarer_token_weighs_more_by_the_log_of_its_frequency(tokens: TokenIds) -> None:
    found = fitted(TEXTS, tokens)
    weight = dict(zip(found.kept.tolist(), found.weight.tolist(), strict=True))
    idf = {n: np.log((1 + len(TEXTS)) / (1 + n)) + 1 for n in (2, 3)}
    ratio = weight[word(b"file")] / weight[word(b"copy")]  # in two texts and in three
    assert ratio == pytest.approx(idf[2] / idf[3], rel=1e-5)


def test_words_come_before_pairs(tokens: TokenIds) -> None:
    found = fitted((b"copy the file", b"copy the claim"), tokens)
    assert (found.kept[: found.n_words] < tokens.n_words).all()
    assert (found.kept[found.n_words :] >= tokens.n_words).all()
    assert found.n_words == 3  # copy, the, the end
    assert len(found.kept) == 6  # copy the; the _ end; the end and what follows it


def test_learn_texts_have_length_1_on_average(tokens: TokenIds) -> None:
    weighted = weigh(shares(TEXTS, tokens), fitted(TEXTS, tokens))
    lengths = weighted.multiply(weighted).sum(axis=1)
    assert float(np.mean(lengths)) == pytest.approx(1.0, rel=1e-5)
    assert weighted.dtype == np.float32


def test_vectors_spread_alike_in_each_dimension_and_missing_ones_are_zero(
    tokens: TokenIds,
) -> None:
    rng = np.random.default_rng(0)
    words = [bytes(w) for w in (b"ape", b"bee", b"cat", b"dog", b"eel", b"fox")]
    texts = tuple(b" ".join(rng.choice(words, 4)) for _ in range(60))
    weighted = weigh(shares(texts, tokens), fitted(texts, tokens))
    vectors = weighted @ fit_vectors(weighted, 3, np.random.default_rng(1))
    np.testing.assert_allclose((vectors**2).mean(axis=0), 1.0, rtol=0.05)
    few = weigh(shares(TEXTS, tokens), fitted(TEXTS, tokens))
    wide = fit_vectors(few, 12, np.random.default_rng(1))
    assert wide.shape[1] == 12
    assert not wide[:, len(TEXTS) :].any()


def test_one_step_alone_has_vectors_of_zeros(tokens: TokenIds) -> None:
    weighted = weigh(shares((b"alone",), tokens), fitted((b"alone",), tokens))
    assert not fit_vectors(weighted, 4, np.random.default_rng(0)).any()
