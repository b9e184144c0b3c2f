"""Bundles from a registry: a copy stays for the next start, and no failure harms it."""

from __future__ import annotations

import errno
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import create_autospec

import pytest

from tests.faults.bundles import rehash, write
from tests.faults.registry import Registry
from tierwise.data.errors import BadInput
from tierwise.router_model.bundle import BundleError, verify_bundle
from tierwise.serve.accepted import AcceptedFile
from tierwise.serve.download import downloaded, from_mlflow
from tierwise.serve.reload import ReloadingRouter


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    write(tmp_path / "registry" / "policy", "small")
    return Registry(tmp_path / "registry" / "policy")


@pytest.fixture
def local(tmp_path: Path) -> Path:
    return tmp_path / "gateway" / "policy"


def test_the_first_start_downloads_and_the_next_one_needs_no_registry(
    registry: Registry, local: Path
) -> None:
    assert ReloadingRouter(local, download=registry).decide("s").tier == "small"
    registry.fault = ConnectionError("no route to host")
    again = ReloadingRouter(local, download=registry)
    assert again.decide("s").tier == "small"
    assert [path.name for path in local.parent.iterdir()] == ["policy"]


def test_a_new_bundle_in_the_registry_serves_and_is_kept(registry: Registry, local: Path) -> None:
    router = ReloadingRouter(local, download=registry)
    assert router.reload() == "unchanged"
    digest = write(registry.folder, "large")
    assert router.reload() == "swapped"
    assert router.decide("s").tier == "large"
    assert verify_bundle(local).digest == digest
    assert [path.name for path in local.parent.iterdir()] == ["policy"]


@pytest.mark.parametrize(
    "fault",
    [
        ConnectionError("registry down"),
        TimeoutError("30 s"),
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("a library's own error"),
    ],
)
def test_a_download_that_fails_leaves_policy_and_copy(
    registry: Registry, local: Path, fault: Exception
) -> None:
    router = ReloadingRouter(local, download=registry)
    before = router.digest
    write(registry.folder, "large")
    registry.fault = fault
    assert router.reload() == "failed"
    assert router.decide("s").tier == "small"
    assert verify_bundle(local).digest == before
    assert [path.name for path in local.parent.iterdir()] == ["policy"]
    registry.fault = None
    assert router.reload() == "swapped"


def test_a_download_that_is_no_sound_bundle_is_not_kept(registry: Registry, local: Path) -> None:
    router = ReloadingRouter(local, download=registry)
    write(registry.folder, "large")
    rehash(registry.folder, "policy.onnx", b"not a graph")
    assert router.reload() == "refused"
    assert verify_bundle(local).digest == router.digest


def test_an_older_bundle_in_the_registry_does_not_replace_the_copy(
    registry: Registry, local: Path, tmp_path: Path
) -> None:
    write(registry.folder, "large", sequence=2)
    served = AcceptedFile(tmp_path / "served.json")
    router = ReloadingRouter(local, download=registry, accepted=served)
    write(registry.folder, "small", sequence=1)
    assert router.reload() == "refused"
    assert verify_bundle(local).manifest.sequence == 2


def test_a_full_disk_keeps_the_copy_and_the_policy(
    registry: Registry, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = ReloadingRouter(local, download=registry)
    write(registry.folder, "large")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tierwise.router_model.swap._write", full)
    assert router.reload() == "failed"
    assert router.decide("s").tier == "small"
    assert verify_bundle(local).digest == router.digest


def test_a_damaged_copy_is_downloaded_again(registry: Registry, local: Path) -> None:
    ReloadingRouter(local, download=registry)
    (local / "policy.onnx").write_bytes(b"half")
    assert ReloadingRouter(local, download=registry).decide("s").tier == "small"
    verify_bundle(local)


def test_without_copy_and_registry_there_is_nothing_to_serve(
    registry: Registry, local: Path
) -> None:
    registry.fault = ConnectionError("registry down")
    with pytest.raises(ConnectionError):
        ReloadingRouter(local, download=registry)
    with pytest.raises(BundleError, match="registry"):
        ReloadingRouter(local, download=lambda into, digest: None)


def test_what_is_not_ours_is_not_cleaned_up(local: Path) -> None:
    local.parent.mkdir()
    (local.parent / ".policy.x.download").write_text("a file, no folder")
    (local.parent / ".other.x.download").mkdir()
    with downloaded(lambda into, digest: into, local, "") as found:
        assert found is not None
        assert found.is_dir()
    assert not found.exists()
    assert len(list(local.parent.iterdir())) == 2


def test_the_champion_of_an_mlflow_registry_is_served(
    registry: Registry, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On MLflow's own signatures: a tag holds the manifest's digest, the run holds the bundle."""
    import mlflow

    client = create_autospec(mlflow.MlflowClient, instance=True)
    monkeypatch.setattr(mlflow, "MlflowClient", lambda *uris: client)
    digest = (registry.folder / "manifest.sha256").read_text().strip()
    version = SimpleNamespace(run_id="r1", tags={"sha256": digest})
    client.get_model_version_by_alias.return_value = version

    def download(run_id: str, path: str, into: str) -> str:
        assert (run_id, path) == ("r1", "policy")
        return str(shutil.copytree(registry.folder, Path(into) / path))

    client.download_artifacts.side_effect = download
    router = ReloadingRouter(local, download=from_mlflow("tierwise-own", "champion"))
    assert router.decide("s").tier == "small"
    assert router.reload() == "unchanged"
    assert client.download_artifacts.call_count == 1
    client.get_model_version_by_alias.assert_called_with("tierwise-own", "champion")


def test_without_mlflow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(BadInput, match=r"tierwise\[train\]"):
        from_mlflow("tierwise-own")
