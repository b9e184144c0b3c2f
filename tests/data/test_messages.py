from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.data.messages import cap, text_of, utf8

SYSTEM = {"role": "system", "content": "be brief"}
ASSISTANT = {"role": "assistant", "content": "which one?"}
USER = {"role": "user", "content": "the first"}

any_text = st.text(st.characters(codec=None), max_size=40)  # with unpaired surrogates
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=8,
)


def test_text_is_the_newest_request_then_the_turn_before_it_then_the_system_prompt() -> None:
    earlier = {"role": "user", "content": "forgotten"}
    later = {"role": "assistant", "content": "comes after"}
    messages = [SYSTEM, earlier, ASSISTANT, USER, later]
    assert text_of(messages) == "the first\n\nwhich one?\n\nbe brief"


def test_a_tool_result_newer_than_the_user_message_is_the_request() -> None:
    tool = {"role": "tool", "content": "42 rows"}
    assert text_of([USER, ASSISTANT, tool]) == "42 rows\n\nwhich one?"


def test_parts_that_are_no_text_become_their_type_in_brackets() -> None:
    parts = [
        {"type": "text", "text": "what is this"},
        {"type": "image_url", "image_url": {"url": "data:"}},
    ]
    assert text_of([{"role": "user", "content": parts}]) == "what is this\n[image_url]"


def test_a_tool_result_part_gives_what_the_tool_said() -> None:
    said = {"type": "tool_result", "content": [{"type": "text", "text": "ok"}, {"type": "image"}]}
    assert text_of([{"role": "user", "content": [said]}]) == "ok\n[image]"


def test_a_call_of_a_tool_leaves_its_type() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"type": "function"}]}
    assert text_of([call, USER]) == "the first\n\n[function]"


@pytest.mark.parametrize(
    "messages", [[], [{}], [{"role": "user"}], [{"role": "user", "content": []}]]
)
def test_messages_that_say_nothing_give_the_empty_text(messages: list[Any]) -> None:
    assert text_of(messages) == ""


def test_a_text_is_returned_as_it_is() -> None:
    assert text_of('[{"role": "user"}]') == '[{"role": "user"}]'


@given(st.lists(any_json, max_size=5))
def test_any_json_list_gives_a_text(messages: list[Any]) -> None:
    assert isinstance(text_of(messages), str)


def replaced_one_by_one(text: str) -> str:
    """Join surrogate pairs and replace the other surrogates, written out."""
    out, i = [], 0
    while i < len(text):
        code = ord(text[i])
        follows = ord(text[i + 1]) if i + 1 < len(text) else 0
        if 0xD800 <= code < 0xDC00 and 0xDC00 <= follows < 0xE000:
            out.append(chr(0x10000 + ((code - 0xD800) << 10) + follows - 0xDC00))
            i += 1
        else:
            out.append("\ufffd" if 0xD800 <= code < 0xE000 else text[i])
        i += 1
    return "".join(out)


@given(
    st.text(st.sampled_from("a\u00e9\u4f60\U0001f600\ud83d\ude00\0") | st.characters(codec=None))
)
def test_bytes_are_utf8_with_pairs_joined_and_lone_surrogates_replaced(text: str) -> None:
    assert utf8(text) == replaced_one_by_one(text).encode()


@given(st.integers(0, 9000), st.integers(0, 255))
def test_cap_keeps_both_ends_of_a_long_text(size: int, start: int) -> None:
    text = bytes((start + i * 7) % 256 for i in range(size))
    capped = cap(text)
    if size <= 4096:
        assert capped == text
    else:
        assert len(capped) == 4097
        assert (capped[:2048], capped[2048:2049], capped[2049:]) == (
            text[:2048],
            b" ",
            text[-2048:],
        )


def test_cap_cuts_one_byte_over_the_limit_and_not_at_it() -> None:
    assert cap(b"x" * 4096) == b"x" * 4096
    assert cap(b"x" * 4097) == b"x" * 2048 + b" " + b"x" * 2048
