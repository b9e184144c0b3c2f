"""The graph's token ids are those of the plain definition, and the definition hashes well."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.data.messages import cap, utf8
from tierwise.features.nodes import Nodes
from tierwise.features.token_session import TokenIds
from tierwise.features.tokens import IDS_A_WORD, add_ids, add_token_nodes, reference_ids

BITS, PAIR_BITS = 15, 16
SIZE, PAIRS = 1 << BITS, 1 << PAIR_BITS
BANNED = {"Expand", "Tile", "Range", "Loop", "If", "Scan", "ConstantOfShape"}


@pytest.fixture(scope="module")
def tokens() -> TokenIds:
    return TokenIds(BITS, PAIR_BITS)


def words(text: bytes) -> list[int]:
    """Unigram ids of a text by the definition."""
    ids = reference_ids(text, BITS, PAIR_BITS)
    return ids[: len(ids) // IDS_A_WORD - 1]


def test_graph_equals_the_definition_on_10_000_random_byte_strings(tokens: TokenIds) -> None:
    rng = np.random.default_rng(0)
    alphabets = [bytes(range(256)), b"aAzZ09_ .\n", bytes(range(32, 127)), b"\0\x7f\x80\xc3\xff aB"]
    for i in range(10_000):
        letters = np.frombuffer(alphabets[i % 4], np.uint8)
        text = rng.choice(letters, rng.integers(0, 120)).tobytes()
        assert tokens.ids(text).tolist() == reference_ids(text, BITS, PAIR_BITS), text


@given(st.text(st.characters(), max_size=60))
def test_graph_equals_the_definition_on_any_text_with_unpaired_surrogates_too(text: str) -> None:
    assert ANY_TEXT.ids(utf8(text)).tolist() == reference_ids(utf8(text), BITS, PAIR_BITS)


ANY_TEXT = TokenIds(BITS, PAIR_BITS)


@pytest.mark.parametrize(
    "text",
    [
        b" \t\n",
        b"\0",
        b"\0\0a\0b\0",
        b"\xff\xfe\xc3",
        b"\xed\xa0\x80\xed\xb0\x80",
        b"\x80" * 40,
        b"a" * 5_000,
        b"== -> {}",
    ],
)
def test_graph_equals_the_definition_on_odd_bytes(tokens: TokenIds, text: bytes) -> None:
    assert tokens.ids(text).tolist() == reference_ids(text, BITS, PAIR_BITS)


@pytest.mark.parametrize(("bits", "pair_bits"), [(1, 18), (8, 1), (16, 18), (17, 17), (18, 16)])
def test_graph_equals_the_definition_at_every_size(bits: int, pair_bits: int) -> None:
    text = "Extract the dates from getUserName(HTTP_2) as naïve JSON, 日本語".encode() * 80
    assert TokenIds(bits, pair_bits).ids(text).tolist() == reference_ids(text, bits, pair_bits)


def test_graph_equals_the_definition_on_a_megabyte(tokens: TokenIds) -> None:
    text = np.random.default_rng(1).integers(0, 256, 1 << 20).astype(np.uint8).tobytes()
    assert tokens.ids(text).tolist() == reference_ids(text, BITS, PAIR_BITS)


def test_graph_equals_the_definition_on_real_texts(tokens: TokenIds, tables: Path) -> None:
    with_text = [path for path in sorted(tables.glob("*.parquet")) if "text" in columns_of(path)]
    assert with_text, f"no table in {tables} has a text column"
    for path in with_text:
        for text in pq.read_table(path, columns=["text"])["text"].to_pylist()[:200]:
            content = cap(utf8(text or ""))
            assert tokens.ids(content).tolist() == reference_ids(content, BITS, PAIR_BITS)


def columns_of(path: Path) -> list[str]:
    names: list[str] = pq.read_schema(path).names
    return names


def test_empty_text_is_its_end_and_what_follows_it(tokens: TokenIds) -> None:
    end, *pairs = tokens.ids(b"").tolist()
    assert end == SIZE
    assert len(pairs) == 2
    assert all(-PAIRS <= pair < 0 for pair in pairs)


def test_ids_are_words_and_the_end_and_then_twice_as_many_pairs(tokens: TokenIds) -> None:
    ids = tokens.ids(b"one two three")
    assert len(ids) == 12
    assert ((ids[:3] >= 0) & (ids[:3] < SIZE)).all()
    assert ids[3] == SIZE
    assert ((ids[4:] >= -PAIRS) & (ids[4:] < 0)).all()


def test_a_pair_over_one_word_is_the_same_whatever_that_word_is() -> None:
    over = [reference_ids(text, BITS, PAIR_BITS)[-4:] for text in (b"a red cat", b"a blue cat")]
    near = [reference_ids(text, BITS, PAIR_BITS)[4:8] for text in (b"a red cat", b"a blue cat")]
    assert over[0][0] == over[1][0]
    assert over[0][0] not in near[0]
    assert not set(near[0][:2]) & set(near[1][:2])


def test_identifiers_split_at_humps_marks_and_digits() -> None:
    plain = words(b"get user name 2")
    assert words(b"getUserName2") == plain
    marked = words(b"get_user_name_2")
    assert [id_ for id_ in marked if id_ in plain] == plain
    assert len(marked) == 7  # the three marks are tokens


def test_a_run_of_capitals_is_one_word() -> None:
    assert len(words(b"HTTP")) == 1


def test_a_run_of_punctuation_is_one_token() -> None:
    assert len(words(b"a == b -> c")) == 5


@pytest.mark.parametrize("word", ["Extract", "NAÏVE", "ПРИВЕТ", "Ωρα"])
def test_case_does_not_matter_in_latin_greek_and_cyrillic(word: str) -> None:
    assert words(word.upper().encode()) == words(word.lower().encode())


def test_the_order_of_letters_matters() -> None:
    anagrams = {"".join(letters) for letters in itertools.permutations("stare")}
    assert len({words(word.encode())[0] for word in anagrams}) >= len(anagrams) - 2


def test_the_order_of_words_matters() -> None:
    ab, ba = (
        reference_ids(b"red blue", BITS, PAIR_BITS),
        reference_ids(b"blue red", BITS, PAIR_BITS),
    )
    assert sorted(ab[:2]) == sorted(ba[:2])
    assert not set(ab[3:5]) & set(ba[3:5])  # in pairs


def occupancy(n_items: int, n_buckets: int) -> float:
    """Buckets in use when `n_items` fall at random, in the mean."""
    return n_buckets * (1 - (1 - 1 / n_buckets) ** n_items)


def distinct_words(count: int) -> list[bytes]:
    """English-like words: consonant-vowel syllables with common endings, all distinct."""
    rng = np.random.default_rng(2)
    syllables = [a + b for a in "bcdfghklmnprstvw" for b in "aeiou"]
    endings = ["", "s", "ed", "ing", "er", "tion"]
    found: dict[str, None] = {}
    while len(found) < count:
        stem = "".join(rng.choice(syllables, rng.integers(2, 5)))
        found[stem + str(rng.choice(endings))] = None
    return [word.encode() for word in found]


def test_20_000_words_fill_as_many_buckets_as_random_numbers_would() -> None:
    used = len({words(word)[0] for word in distinct_words(20_000)})
    assert used == pytest.approx(occupancy(20_000, SIZE), rel=0.01)


def test_20_000_pairs_of_words_fill_as_many_buckets_as_random_numbers_would() -> None:
    rng = np.random.default_rng(3)
    vocabulary = distinct_words(400)
    chosen = rng.choice(400 * 400, 20_000, replace=False)
    texts = [vocabulary[i // 400] + b" " + vocabulary[i % 400] for i in chosen]
    used = len({reference_ids(text, BITS, PAIR_BITS)[3] for text in texts})
    assert used == pytest.approx(occupancy(20_000, PAIRS), rel=0.01)


def test_the_graph_is_small_and_repeats_nothing_at_run_time() -> None:
    g = Nodes()
    add_ids(g, *add_token_nodes(g, "text", BITS, PAIR_BITS))
    kinds = {node.op_type for node in g.nodes}
    assert len(g.nodes) <= 21
    assert not kinds & BANNED
    assert all(onnx.defs.has(kind, "") for kind in kinds)
    assert all(node.domain == "" for node in g.nodes)


def test_a_size_out_of_range_is_refused() -> None:
    for bits in ((19, 8), (8, 19), (0, 8)):
        with pytest.raises(ValueError, match=f"bits are {bits[0]} and {bits[1]}, expected 1 to 18"):
            add_token_nodes(Nodes(), "text", *bits)


def test_many_texts_give_each_text_the_places_of_its_own_ids(tokens: TokenIds) -> None:
    texts = [b"one two", b"", b"three"]
    flat, offsets = tokens.many(texts)
    for i, text in enumerate(texts):
        wanted = [i % tokens.n_ids for i in reference_ids(text, BITS, PAIR_BITS)]
        assert flat[offsets[i] : offsets[i + 1]].tolist() == wanted
    assert offsets[-1] == len(flat)
    assert tokens.many([])[1].tolist() == [0]
