"""Text bytes -> token ids: one definition, twice (plain Python and standard ONNX operators).

A token is a run of letters, of digits or of punctuation, case folded; an upper-case letter after
a lower-case one starts a new one, so `getUserName` and `get_user_name` have the same three words.
Its hash is a sum of pseudo-random numbers, one for each of its bytes together with the byte before
it, so the order of letters matters and the length has no limit. Everything that depends on two
neighboring bytes (class, case, start of a token, number) is one look-up in a table of 65,536
entries: few nodes and few passes over the bytes, which is what a short text's latency consists of.

Ids: words in [0, 2^bits), then the end of the text, 2^bits, so that no text is without an id; then
two pairs for each of these, in [-2^pair_bits, -1]: with what follows it, and with what follows
that, so that `number of the` also has a pair `number the` (nothing follows the end). Words and
pairs have tables of rows of their own. A negative index counts from the end of its table, so that
the sign says which table, without a node. There is less to be said of a pair than of a word: its
row is shorter.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from tierwise.features.nodes import Nodes
from tierwise.features.words import FOLD, HUMP, TOKEN

MAX_BITS = 18  # a byte's number has this many bits; sums of 4,097 of them stay inside int32
PAIR = 5_077  # odd, so that the pair's hash keeps every bit; small, so that int32 does not overflow
IDS_A_WORD = 3  # of each word, and of the end: its own and those of two pairs


def reference_ids(text: bytes, bits: int, pair_bits: int) -> list[int]:
    """Return the ids of a text in plain Python: the definition that the graph must meet.

    Parameters
    ----------
    text : bytes
        Any bytes; UTF-8 is expected and not needed.
    bits, pair_bits : int
        Numbers of words' and of pairs' ids, as powers of two; 1 to `MAX_BITS`.
    """
    size, pairs = 1 << bits, 1 << pair_bits
    words = [*(_word_id(token.translate(FOLD), size) for token in _tokens(text)), size]
    second, third = [*words[1:], 0], [*words[2:], 0, 0][: len(words)]
    near = [(a * PAIR + b) % pairs - pairs for a, b in zip(words, second, strict=True)]
    over = [(a * PAIR - b) % pairs - pairs for a, b in zip(words, third, strict=True)]
    return words + near + over


def _tokens(text: bytes) -> list[bytes]:
    return TOKEN.findall(HUMP.sub(b" ", text))


def _word_id(token: bytes, size: int) -> int:
    return sum(_number(a, b) for a, b in zip(b"\0" + token, token, strict=False)) % size


@cache
def _number(before: int, byte: int) -> int:
    """Return the number of a byte in its place, in [0, 2^MAX_BITS), well mixed."""
    x = ((before << 8) | byte) + 1
    for factor in (0x7FEB352D, 0x846CA68B):
        x = ((x ^ (x >> 16)) * factor) & 0xFFFFFFFF
    return (x ^ (x >> 15)) >> (32 - MAX_BITS)


@lru_cache(maxsize=1)
def pair_table() -> NDArray[np.int32]:
    """Return, for the bytes (before, byte), what the pair adds to its token, at 256 before + byte.

    Zero where `byte` belongs to no token; negative (2^MAX_BITS less, which changes no id) where it
    starts one.

    Returns
    -------
    ndarray of shape (65536,)
    """
    table = np.zeros((256, 256), np.int32)
    for before in range(256):
        for byte in range(256):
            pair = bytes([before, byte])
            if _tokens(pair) == [pair]:
                table[before, byte] = _number(FOLD[before], FOLD[byte])
            elif _tokens(pair[1:]):
                table[before, byte] = _number(0, FOLD[byte]) - (1 << MAX_BITS)
    table.flags.writeable = False  # every caller gets this one
    return table.reshape(-1)


def add_token_nodes(g: Nodes, text: str, bits: int, pair_bits: int) -> tuple[str, str]:
    """Add the ids of a text's words and of its pairs to a graph.

    Parameters
    ----------
    g : Nodes
        The graph under construction.
    text : str
        Name of a uint8 tensor of shape (n_bytes,); n_bytes may be 0.
    bits, pair_bits : int
        Numbers of words' and of pairs' ids, as powers of two; 1 to `MAX_BITS`.

    Returns
    -------
    words, pairs : str
        Names of int32 tensors of shape (n_tokens + 1,) and (2 n_tokens + 2,), as in
        `reference_ids`.
    """
    if not 1 <= min(bits, pair_bits) <= max(bits, pair_bits) <= MAX_BITS:
        raise ValueError(f"bits are {bits} and {pair_bits}, expected 1 to {MAX_BITS}")
    size = 1 << bits
    drop_last, drop_first = g.const([1, -1], np.int64), g.const([-1, 1], np.int64)

    byte = g.add("Cast", text, to=TensorProto.INT32)
    before = g.add("Mul", g.add("Pad", byte, drop_last), g.const(256, np.int32))
    number = g.add(
        "GatherElements", g.const(pair_table(), np.int32), g.add("Add", before, byte), axis=0
    )
    rest = g.add("CumSum", number, g.const(0, np.int32), reverse=1)  # from here to the end
    starts = g.add("Less", number, g.const(0, np.int32))
    rest = g.add("Compress", rest, starts)
    words = g.add("Sub", rest, g.add("Pad", rest, drop_first))
    words = g.add("BitwiseAnd", words, g.const(size - 1, np.int32))
    words = g.add("Concat", words, g.const([size], np.int32), axis=0)
    mixed = g.add("Mul", words, g.const(PAIR, np.int32))
    second = g.add("Pad", words, drop_first)
    third = g.add("Pad", second, drop_first)
    pairs = g.add("Concat", g.add("Add", mixed, second), g.add("Sub", mixed, third), axis=0)
    return words, g.add("BitwiseOr", pairs, g.const(-1 << pair_bits, np.int32))


def add_ids(g: Nodes, words: str, pairs: str, output: str = "") -> str:
    """Add words and pairs behind each other as int64, as in `reference_ids`; return their name."""
    every = g.add("Concat", words, pairs, axis=0)
    return g.add("Cast", every, output=output, to=TensorProto.INT64)
