"""What fuzzing draws from: JSON values with the odd ones in front, messages, damaged bytes."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

Target = Callable[[], None]
"""A fuzz target: hypothesis fills the arguments in."""

words = st.sampled_from(
    ["a", "small", "big", "", "0.5", "1e999", "nan", "-1", "true", "[", "\ud800"]
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), words, st.text(max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
messages = st.lists(
    st.dictionaries(
        st.sampled_from(["role", "content", "tool_calls", "type", "text"]), values, max_size=4
    ),
    max_size=4,
)
edits = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=6)


def edited(content: bytes, changes: list[tuple[int, int]]) -> bytes:
    """Overwrite single bytes; a change at the end cuts the content there."""
    changed = bytearray(content)
    for place, byte in changes:
        if byte == 0:
            del changed[place % (len(changed) + 1) :]
        elif changed:
            changed[place % len(changed)] = byte
    return bytes(changed)
