"""Real LiteLLM proxies on this machine: mock models, one of them out of order."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

KEY = "sk-" + secrets.token_hex(24)
START_S = 300.0  # a busy machine takes minutes


@dataclass
class Proxy:
    """A running proxy and the file of outcomes it writes."""

    url: str
    outcomes: Path

    def ask(self, text: str, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        """Send a chat request for the model `tierwise`."""
        messages = [{"role": "user", "content": text}]
        return self.send(
            "chat/completions", {"model": "tierwise", "messages": messages} | body, headers or {}
        )

    def send(self, route: str, body: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
        """Send a request to a route of the proxy."""
        return httpx.post(
            f"{self.url}/v1/{route}",
            json=body,
            headers={"Authorization": f"Bearer {KEY}"} | headers,
            timeout=60,
        )

    def rows(self, trace_id: str, at_least: int) -> list[dict[str, Any]]:
        """Return the outcomes of a trace; they are written a moment after the answer."""
        found: list[dict[str, Any]] = []
        until = time.monotonic() + 20
        while len(found) < at_least and time.monotonic() < until:
            time.sleep(0.1)
            lines = self.outcomes.read_text().splitlines() if self.outcomes.exists() else []
            found = [row for row in map(json.loads, lines) if row["trace_id"] == trace_id]
        return found


def served(answer: httpx.Response) -> str:
    """Return the tier whose mock model wrote the answer."""
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


def configuration(tiers: list[str], down: str, fallback: str) -> dict[str, Any]:
    """Return a config.yaml: every tier answers with its name but `down`, which fails."""
    models: list[dict[str, Any]] = [
        {
            "model_name": tier,
            "litellm_params": {
                "model": f"openai/{tier}-model",
                "api_key": "none",
                "mock_response": "litellm.InternalServerError" if tier == down else tier,
            },
        }
        for tier in tiers
    ]
    complexities = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
    models.append(
        {
            "model_name": "by-complexity",
            "litellm_params": {
                "model": "auto_router/complexity_router",
                "complexity_router_default_model": fallback,
                "complexity_router_config": {
                    "classifier_type": "custom",
                    "classifier_plugin": "tierwise.serve.litellm_classifier.classifier",
                    "classifier_fallback": "default_model",
                    "classifier_plugin_timeout_ms": 2000,
                    "max_tokens_from_tier_model": False,
                    "tiers": dict(zip(complexities, tiers, strict=True)),
                },
            },
        }
    )
    return {
        "model_list": models,
        "litellm_settings": {"callbacks": "tierwise.serve.litellm_hook.hook"},
        "router_settings": {
            "num_retries": 0,
            "fallbacks": [{down: [fallback]}],
            "default_fallbacks": [fallback],
            "disable_cooldowns": True,
        },
    }


@contextmanager
def running(folder: Path, config: dict[str, Any], environ: dict[str, str]) -> Iterator[Proxy]:
    """Start a proxy, wait until it answers, stop it afterwards."""
    (folder / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    outcomes = folder / "outcomes.jsonl"
    environ = os.environ | environ | {
        "LITELLM_MASTER_KEY": KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "TIERWISE_OUTCOMES": str(outcomes),
    }  # fmt: skip
    command = [str(Path(sys.executable).parent / "litellm"), "--config", "config.yaml"]
    with (folder / "proxy.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder, env=environ, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            wait(f"http://127.0.0.1:{port}", process, folder / "proxy.log")
            yield Proxy(f"http://127.0.0.1:{port}", outcomes)
        finally:
            process.terminate()
            process.wait(30)


def wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the proxy answers; fail with its log where it does not."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/health/liveliness", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.3)
    raise AssertionError(f"the proxy did not start:\n{log.read_text()[-4000:]}")
