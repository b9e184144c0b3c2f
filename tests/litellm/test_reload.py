"""A real proxy goes on to newer bundles without a restart, and never to a broken one."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.litellm.policies import mock_models, role_policy
from tests.litellm.proxies import Proxy, running, served

TIERS = ["small", "mid", "large"]
ROLE = {"x-agent-role": "worker"}
LONGEST_S = 60.0  # a busy machine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the proxy's bundle lies: it serves workers by small."""
    made = tmp_path_factory.mktemp("reload")
    shutil.copytree(bundle(made, "a", "small"), made / "policy")
    return made


@pytest.fixture(scope="module")
def proxy(folder: Path) -> Iterator[Proxy]:
    models = mock_models(TIERS)
    classifier = {
        "classifier_type": "custom",
        "classifier_plugin": "tierwise.serve.litellm_classifier.classifier",
        "classifier_plugin_timeout_ms": 2000,
        "tiers": {"SIMPLE": "small", "MEDIUM": "mid", "COMPLEX": "large", "REASONING": "large"},
    }
    by_complexity = {
        "model": "auto_router/complexity_router",
        "complexity_router_default_model": "large",
        "complexity_router_config": classifier,
    }
    models.append({"model_name": "by-complexity", "litellm_params": by_complexity})
    callbacks = {"callbacks": "tierwise.serve.litellm_hook.hook"}
    environ = {"TIERWISE_POLICY": str(folder / "policy"), "TIERWISE_RELOAD": "0.2"}
    config = {"model_list": models, "litellm_settings": callbacks}
    with running(folder, config, environ) as started:
        yield started


def bundle(folder: Path, name: str, tier: str) -> Path:
    """Write a bundle like no other: what was served before is older, and refused."""
    return role_policy(folder / name, TIERS, {"worker": tier, f"role-of-{name}": "large"})


def put(fresh: Path, folder: Path) -> None:
    """Replace the proxy's bundle by another one, as a copy under its final name."""
    shutil.copytree(fresh, folder / "policy.new")
    (folder / "policy").rename(folder / "policy.old")
    (folder / "policy.new").rename(folder / "policy")
    shutil.rmtree(folder / "policy.old")


def asked_until(holds: Callable[[str], bool], proxy: Proxy, model: str = "tierwise") -> list[str]:
    """Ask again and again; return the tiers that served, the last of which holds."""
    found = [served(proxy.ask("Hello", ROLE, model=model))]
    until = time.monotonic() + LONGEST_S
    while not holds(found[-1]) and time.monotonic() < until:
        found.append(served(proxy.ask("Hello", ROLE, model=model)))
    assert holds(found[-1]), f"{found[-1]} still serves"
    return found


def test_a_new_bundle_serves_without_a_restart_and_no_request_fails_meanwhile(
    proxy: Proxy, folder: Path
) -> None:
    assert served(proxy.ask("Hello", ROLE)) == "small"
    put(bundle(folder, "b", "mid"), folder)
    assert set(asked_until("mid".__eq__, proxy)) <= {"small", "mid"}
    asked_until("mid".__eq__, proxy, model="by-complexity")


def test_a_broken_bundle_leaves_the_one_before_it_serving_and_a_sound_one_follows(
    proxy: Proxy, folder: Path
) -> None:
    put(bundle(folder, "b2", "mid"), folder)
    asked_until("mid".__eq__, proxy)
    broken = bundle(folder, "c", "large")
    graph = bytearray((broken / "policy.onnx").read_bytes())
    graph[-1] ^= 1
    (broken / "policy.onnx").write_bytes(bytes(graph))
    put(broken, folder)
    said = refusals(folder)
    asked_until(lambda tier: tier == "mid" and refusals(folder) > said, proxy)
    assert served(proxy.ask("Hello", ROLE)) == "mid"
    assert served(proxy.ask("Hello", ROLE, model="by-complexity")) == "mid"
    put(bundle(folder, "d", "small"), folder)
    assert set(asked_until("small".__eq__, proxy)) == {"mid", "small"}


def test_a_bundle_with_a_tier_the_proxy_has_no_model_for_is_refused(
    proxy: Proxy, folder: Path
) -> None:
    put(bundle(folder, "e", "mid"), folder)
    asked_until("mid".__eq__, proxy)
    put(role_policy(folder / "f", [*TIERS, "huge"], {"worker": "huge"}), folder)
    log = folder / "proxy.log"
    asked_until(lambda tier: tier == "mid" and "new tier 'huge'" in log.read_text(), proxy)
    assert served(proxy.ask("Hello", ROLE)) == "mid"


def refusals(folder: Path) -> int:
    """Return how often the proxy said that it refused a bundle and went on."""
    return (folder / "proxy.log").read_text().count("goes on")
