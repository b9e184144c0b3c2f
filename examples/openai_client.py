"""The OpenAI client, routed by the sidecar: ask it for the tier, call, tell it what came of it.

    tierwise serve artifacts/fleet/policy --outcomes outcomes.jsonl
    OPENAI_BASE_URL=... OPENAI_API_KEY=... python examples/openai_client.py "Extract the date"

A tier's name is the model's name here. Behind LiteLLM's proxy none of this is needed: ask it for
the model `tierwise` (docs/gateways.md).
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from typing import Any

from openai import OpenAI

SIDECAR = os.environ.get("TIERWISE_URL", "http://127.0.0.1:8700")


def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send JSON to the sidecar."""
    request = urllib.request.Request(
        SIDECAR + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=2) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def ask(client: OpenAI, messages: list[Any], trace_id: str, **known: Any) -> str:
    """Route one step, call its tier, report tokens, time and whether there was an answer."""
    made = post("/v1/route", {"messages": messages, "trace_id": trace_id, **known})
    began = time.monotonic()
    answer = client.chat.completions.create(model=made["tier"], messages=messages)
    text = answer.choices[0].message.content or ""
    outcome = {
        "decision_id": made["decision_id"],
        "model": answer.model,
        "latency_s": time.monotonic() - began,
        "valid": bool(text),
    }
    if answer.usage is not None:
        outcome["input_tokens"] = answer.usage.prompt_tokens
        outcome["output_tokens"] = answer.usage.completion_tokens
    post("/v1/outcome", outcome)
    return f"{made['tier']} ({made['reason']}): {text}"


if __name__ == "__main__":
    asked = [{"role": "user", "content": sys.argv[1]}]
    print(ask(OpenAI(), asked, trace_id="example", role="worker"))
