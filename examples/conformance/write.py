"""Write the vectors that a loader in another language is checked with, beside this file.

    python examples/conformance/write.py

`golden.jsonl` of a bundle says what the graph has to give for bytes and numbers. These say how a
step becomes them: texts.jsonl (messages -> the capped UTF-8) and contexts.jsonl (what a caller
says -> the graph's context row). docs/gateways.md explains both.
"""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

from tierwise.data.messages import cap, text_of, utf8
from tierwise.router_model.manifest import ContextColumn
from tierwise.serve.context import ContextRow

USER = {"role": "user", "content": "What is new?"}
TEXTS: dict[str, Any] = {
    "a plain text is taken as it is": "Extract the date \u00e9\u4e2d\U0001f680",
    "an empty text": "",
    "no messages": [],
    "newest question, the turn before it, then the system prompt": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "An old question"},
        {"role": "assistant", "content": "An old answer"},
        {"role": "user", "content": "And now?"},
    ],
    "an assistant turn after the question is not the one before it": [
        USER,
        {"role": "assistant", "content": "Much."},
    ],
    "only an assistant turn": [{"role": "assistant", "content": "Much."}],
    "developer is a system prompt, model and ai are assistants": [
        {"role": "developer", "content": "Rules"},
        {"role": "model", "content": "one"},
        {"role": "ai", "content": "two"},
        USER,
    ],
    "the first of two system prompts": [
        {"role": "system", "content": "first"},
        {"role": "system", "content": "second"},
        USER,
    ],
    "a tool's message is a question": [USER, {"role": "tool", "content": "42 rows"}],
    "an unknown role is a question": [{"role": "critic", "content": "Why?"}],
    "parts, one of them an image": [
        {"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image_url"}]},
    ],
    "a part without a type": [{"role": "user", "content": [{"data": 1}, 7, None]}],
    "tool calls of an assistant turn": [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"type": "function"}, {"id": "a"}, 3],
        },
        USER,
    ],
    "results of tools inside a message": [
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "content": "done"},
                {"type": "tool_result", "content": [{"type": "text", "text": "a"}, "", {"b": 1}]},
                {"type": "tool_result", "content": None},
            ],
        },
    ],
    "content that is one part": [{"role": "user", "content": {"type": "text", "text": "alone"}}],
    "empty turns leave no empty lines": [
        {"role": "system", "content": ""},
        {"role": "assistant", "content": None},
        USER,
    ],
    "messages that are texts": ["hello", "there"],
    "unpaired surrogates": "a\ud800b\udc00\ud83d",
    "4,096 bytes are kept whole": "x" * 4096,
    "4,097 bytes are cut to both ends": "a" * 2048 + "b" + "c" * 2048,
    "a cut goes through characters": "\u20ac" * 2000,
}
COLUMNS = (
    ContextColumn("role", "category", ("worker", "planner")),
    ContextColumn("task_type", "category", ()),
    ContextColumn("text_bytes", "number", ()),
    ContextColumn("context_tokens", "number", ()),
    ContextColumn("has_schema", "flag", ()),
)
CONTEXTS: dict[str, dict[str, Any]] = {
    "nothing is known but the length": {},
    "a category is its place in the vocabulary": {"role": "planner"},
    "a word outside the vocabulary is unknown": {"role": "Planner", "task_type": "any"},
    "a category is a text": {"role": 1},
    "numbers and flags": {"context_tokens": 1200, "has_schema": True},
    "null is unknown": {"role": None, "context_tokens": None},
    "a flag lies between -1 and 1": {"has_schema": 2},
    "a number inside float32": {"context_tokens": 1e300},
    "text is no number": {"context_tokens": "1200"},
    "the length is the host's to say": {"text_bytes": 7},
    "a column the policy does not have": {"mood": "good", "role": "worker"},
}


def texts() -> list[dict[str, Any]]:
    """Return a line for each text: name, messages, text (base64), text_bytes (before the cut)."""
    lines = []
    for name, messages in TEXTS.items():
        text = utf8(text_of(messages))
        capped = base64.b64encode(cap(text)).decode()
        lines.append({"name": name, "messages": messages, "text": capped, "text_bytes": len(text)})
    return lines


def contexts() -> list[dict[str, Any]]:
    """Return a line for each context: name, columns, text_bytes, given, row, ignored."""
    columns = [
        {"name": one.name, "kind": one.kind, "vocabulary": list(one.vocabulary)} for one in COLUMNS
    ]
    lines = []
    for name, given in CONTEXTS.items():
        row, ignored = ContextRow(COLUMNS, lambda kind: None).row(26, given)
        numbers = [None if math.isnan(number) else number for number in row[0].tolist()]
        lines.append(
            {"name": name, "columns": columns, "text_bytes": 26, "given": given}
            | {"row": numbers, "ignored": list(ignored)}
        )
    return lines


def jsonl(lines: list[dict[str, Any]]) -> str:
    """Return a JSON object a line, ASCII, so that unpaired surrogates survive."""
    return "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)


if __name__ == "__main__":
    here = Path(__file__).parent
    (here / "texts.jsonl").write_text(jsonl(texts()), encoding="ascii")
    (here / "contexts.jsonl").write_text(jsonl(contexts()), encoding="ascii")
