"""Text bytes -> token ids: one definition, twice (plain Python and standard ONNX operators).

A token is a run of letters, of digits or of punctuation, case folded; an upper-case letter after
a lower-case one starts a new one, so `getUserName` and `get_user_name` have the same three words.
Its hash is a sum of pseudo-random numbers, one for each of its bytes together with the byte before
it, so the order of letters matters and the length has no limit. Everything that depends on two
neighboring bytes (class, case, start of a token, number) is one look-up in a table of 65,536
entries: few nodes and few passes over the bytes, which is what a short text's latency consists of.

Ids: unigrams in [0, 2^bits), then neighboring pairs in [2^bits, 2^(bits+1)), the last token paired
with the end of the text, then the constant 2^(bits+1), so that no text is without an id.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from tierwise.features.nodes import Nodes
from tierwise.features.words import FOLD, HUMP, TOKEN

MAX_BITS = 18  # a byte's number has this many bits; sums of 4,096 of them stay inside int32
PAIR = 5_077  # odd, so that the pair's hash keeps every bit; small, so that int32 does not overflow


def reference_ids(text: bytes, bits: int) -> list[int]:
    """Return the ids of a text in plain Python: the definition that the graph must meet.

    Parameters
    ----------
    text : bytes
        Any bytes; UTF-8 is expected and not needed.
    bits : int
        Size of each of the two id ranges, as a power of two; 1 to `MAX_BITS`.
    """
    size = 1 << bits
    words = [_word_id(token.translate(FOLD), size) for token in _tokens(text)]
    pairs = [
        size + (first * PAIR + second) % size
        for first, second in zip(words, [*words[1:], 0], strict=False)
    ]
    return [*words, *pairs, 2 * size]


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


def add_token_nodes(g: Nodes, text: str, bits: int) -> str:
    """Add the ids of a text to a graph.

    Parameters
    ----------
    g : Nodes
        The graph under construction.
    text : str
        Name of a uint8 tensor of shape (n_bytes,); n_bytes may be 0.
    bits : int
        Size of each of the two id ranges, as a power of two; 1 to `MAX_BITS`.

    Returns
    -------
    str
        Name of an int64 tensor of shape (2 n_tokens + 1,), as in `reference_ids`.
    """
    if not 1 <= bits <= MAX_BITS:
        raise ValueError(f"bits is {bits}, expected 1 to {MAX_BITS}")
    size = 1 << bits
    mask = g.const(size - 1, np.int32)
    drop_last, drop_first = g.const([1, -1], np.int64), g.const([-1, 1], np.int64)

    byte = g.add("Cast", text, to=TensorProto.INT32)
    before = g.add("Mul", g.add("Pad", byte, drop_last), g.const(256, np.int32))
    number = g.add(
        "GatherElements", g.const(pair_table(), np.int32), g.add("Add", before, byte), axis=0
    )
    rest = g.add("CumSum", number, g.const(0, np.int32), reverse=1)  # from here to the end
    starts = g.add("Less", number, g.const(0, np.int32))
    rest = g.add("Compress", rest, starts)
    words = g.add("BitwiseAnd", g.add("Sub", rest, g.add("Pad", rest, drop_first)), mask)
    mixed = g.add("Mul", words, g.const(PAIR, np.int32))
    pairs = g.add("BitwiseAnd", g.add("Add", mixed, g.add("Pad", words, drop_first)), mask)
    pairs = g.add("BitwiseOr", pairs, g.const(size, np.int32))
    every = g.add("Concat", words, pairs, g.const([2 * size], np.int32), axis=0)
    return g.add("Cast", every, to=TensorProto.INT64)
