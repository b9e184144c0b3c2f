"""The policy of LiteLLM's plug-ins: what serves, and what takes its place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.faults.bundles import write
from tests.faults.registry import Registry
from tierwise.data.errors import BadInput
from tierwise.serve import litellm_policy
from tierwise.serve.litellm_policy import Policy
from tierwise.serve.litellm_settings import RELOAD_S, settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "policy", "small")
    return tmp_path / "policy"


def policy(folder: Path, **environ: str) -> Policy:
    return Policy(settings({"TIERWISE_POLICY": str(folder)} | environ))


def served(of: Policy) -> str:
    assert of.router is not None
    return of.router.decide("Hello").tier


def test_a_newer_bundle_takes_the_place_of_the_present_one(folder: Path) -> None:
    one = policy(folder)
    write(folder, "large")
    assert served(one) == "small"
    assert one.look()
    assert served(one) == "large"


def test_a_sound_bundle_ends_the_time_of_the_fallback(folder: Path) -> None:
    shutil.move(folder, folder.with_name("later"))
    one = policy(folder, TIERWISE_FALLBACK="large")
    assert one.router is None
    assert not one.look()
    shutil.move(folder.with_name("later"), folder)
    assert one.look()
    assert served(one) == "small"


def test_a_bundle_with_a_new_tier_waits_for_the_next_start(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = policy(folder)
    write(folder, "large")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert one.tiers == tuple(tier["name"] for tier in manifest["tiers"])
    one.tiers = ("small", "medium")  # as if it had started with these
    assert not one.look()
    assert "new tier 'large'" in caplog.text
    assert served(one) == "small"


def test_a_restart_takes_no_older_bundle_where_a_file_remembers_what_was_served(
    folder: Path,
) -> None:
    accepted = {"TIERWISE_ACCEPTED": str(folder.with_name("accepted.json"))}
    write(folder, "large", sequence=2)
    policy(folder, **accepted)
    write(folder, "small", sequence=1)
    with pytest.raises(BadInput, match="sequence 1"):
        policy(folder, **accepted)
    assert served(policy(folder, TIERWISE_ALLOW_OLDER="1", **accepted)) == "small"


def test_the_bundles_of_a_registry_are_followed_and_a_copy_of_the_last_one_is_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, asked = Registry(folder), []

    def from_mlflow(name: str, alias: str) -> Registry:
        asked.append((name, alias))
        return registry

    monkeypatch.setattr(litellm_policy, "from_mlflow", from_mlflow)
    one = policy(tmp_path / "copy", TIERWISE_MLFLOW="fleet@canary")
    assert (asked, served(one)) == ([("fleet", "canary")], "small")
    write(folder, "large")
    assert one.look()
    registry.fault = ConnectionError("no route to host")
    assert served(policy(tmp_path / "copy", TIERWISE_MLFLOW="fleet")) == "large"
    assert asked[1] == ("fleet", "champion")


def test_where_the_registry_is_down_at_the_first_start_the_fallback_serves(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(folder)
    registry.fault = ConnectionError("no route to host")
    monkeypatch.setattr(litellm_policy, "from_mlflow", lambda name, alias: registry)
    names = {"TIERWISE_MLFLOW": "fleet", "TIERWISE_FALLBACK": "large"}
    assert policy(tmp_path / "copy", **names).router is None
    with pytest.raises(ConnectionError):
        policy(tmp_path / "copy", TIERWISE_MLFLOW="fleet")


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_a_time_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="TIERWISE_RELOAD"):
        settings({"TIERWISE_POLICY": "p", "TIERWISE_RELOAD": text})


def test_newer_bundles_are_looked_for_unless_that_is_switched_off(folder: Path) -> None:
    assert settings({"TIERWISE_POLICY": "p"}).reload_s == RELOAD_S == 10
    started = []

    class Poller:
        def __init__(self, look: object, schedule: object) -> None:
            """Take what a poller takes."""

        def start(self) -> None:
            started.append(1)

        def stop(self) -> None:
            """Nothing was started."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(litellm_policy, "Poller", Poller)
        policy(folder, TIERWISE_RELOAD="0").follow()
        assert not started
        policy(folder).follow()
        assert started


def test_a_registry_without_a_name_is_refused() -> None:
    with pytest.raises(BadInput, match="TIERWISE_MLFLOW"):
        settings({"TIERWISE_POLICY": "p", "TIERWISE_MLFLOW": "@champion"})
