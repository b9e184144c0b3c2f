"""Messages to text to bytes: the one place that says which text of a step is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

KEPT_BYTES = 2048
"""Bytes kept at either end of a text that is longer than both ends together."""

_ASSISTANT = frozenset({"assistant", "model", "ai"})
_SYSTEM = frozenset({"system", "developer"})


def text_of(messages: str | Sequence[Any]) -> str:
    """Turn a list of chat messages into the text a policy looks at.

    The newest user or tool message comes first, then the assistant turn before it, then the system
    prompt, with an empty line between them: what is asked now must survive the cut of `cap`.

    Parameters
    ----------
    messages : str or list of dict
        A text, returned as it is, or messages with `role` and `content`. Content is a text, a list
        of parts, or None. A part that holds no text becomes its type in brackets, as in
        `[image_url]`; so does a tool call of an assistant turn. A role other than system,
        developer, assistant, model or ai counts as a user's or a tool's.

    Returns
    -------
    str
        The text; empty where no message says anything.
    """
    if isinstance(messages, str):
        return messages
    turns = [(_role(message), message) for message in messages]
    asked = _last(turns, "ask", len(turns))
    before = _last(turns, "assistant", len(turns) if asked is None else asked)
    system = next((i for i, (role, _) in enumerate(turns) if role == "system"), None)
    chosen = [_content(turns[i][1]) for i in (asked, before, system) if i is not None]
    return "\n\n".join(text for text in chosen if text)


def utf8(text: str) -> bytes:
    """Encode as UTF-8; an unpaired surrogate becomes U+FFFD, a pair becomes its character.

    JSON may hold any surrogate, UTF-8 none, and every host has to produce the same bytes.
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def cap(text: bytes) -> bytes:
    """Cut a text of more than 4,096 bytes to its first 2,048, one space and its last 2,048."""
    if len(text) <= 2 * KEPT_BYTES:
        return text
    return text[:KEPT_BYTES] + b" " + text[-KEPT_BYTES:]


def _role(message: Any) -> str:
    role = message.get("role") if isinstance(message, Mapping) else None
    if not isinstance(role, str):
        return "ask"
    if role in _ASSISTANT:
        return "assistant"
    return "system" if role in _SYSTEM else "ask"


def _last(turns: Sequence[tuple[str, Any]], role: str, end: int) -> int | None:
    return next((i for i in reversed(range(end)) if turns[i][0] == role), None)


def _content(message: Any) -> str:
    if not isinstance(message, Mapping):
        return _part(message)
    calls = message.get("tool_calls")
    named = [_bracket(call, "tool_call") for call in calls] if isinstance(calls, list) else []
    return "\n".join(text for text in [_parts(message.get("content")), *named] if text)


def _parts(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, Sequence):
        return "\n".join(text for text in map(_part, content) if text)
    return _part(content)


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping):
        if isinstance(part.get("text"), str):
            return str(part["text"])
        if part.get("type") == "tool_result":  # its content is what the tool said: a text or parts
            return _tool_result(part.get("content"))
    return _bracket(part, "part")


def _tool_result(content: Any) -> str:
    parts = content if isinstance(content, list) else [content]
    said = [
        part["text"] if isinstance(part, Mapping) and isinstance(part.get("text"), str) else part
        for part in parts
    ]  # one level only: results do not nest, and hostile input might
    return "\n".join(
        text if isinstance(text, str) else _bracket(text, "part")
        for text in said
        if text is not None
    )


def _bracket(part: Any, otherwise: str) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else None
    return f"[{kind if isinstance(kind, str) else otherwise}]"
