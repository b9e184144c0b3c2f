"""A policy is replaced while it serves: by sound and newer ones, whole, and by nothing else."""

from __future__ import annotations

import errno
import gc
import logging
import os
import shutil
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.faults.bundles import rehash, write
from tests.router_model.test_signature import private_pem, public_pem
from tierwise.router_model.bundle import BundleError, verify_bundle
from tierwise.router_model.sign import sign_bundle
from tierwise.serve import Router
from tierwise.serve.accepted import AcceptedFile
from tierwise.serve.escalate import Answer
from tierwise.serve.reload import ReloadingRouter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "policy", "small")
    return tmp_path / "policy"


def test_a_new_bundle_in_the_folder_serves_after_a_look(folder: Path) -> None:
    router = ReloadingRouter(folder)
    assert router.decide("step").tier == "small"
    digest = write(folder, "large")
    assert router.decide("step").tier == "small"
    assert router.reload() == "swapped"
    decision = router.decide("step")
    assert (decision.tier, decision.policy_version) == ("large", "large")
    assert (router.digest, router.manifest.policy_version) == (digest, "large")


def test_nothing_new_is_opened_once(folder: Path) -> None:
    opened = []

    def load(path: Path) -> Router:
        opened.append(path)
        return Router.load(path)

    router = ReloadingRouter(folder, load=load)
    assert [router.reload() for _ in range(3)] == ["unchanged"] * 3
    assert opened == [folder]
    assert router.reloads == {"unchanged": 3}


def test_options_of_the_load_hold_for_every_policy(folder: Path) -> None:
    key = Ed25519PrivateKey.generate()
    sign_bundle(folder, private_pem(key))

    def load(path: Path) -> Router:
        return Router(verify_bundle(path, public_key=public_pem(key)))

    router = ReloadingRouter(folder, load=load)
    write(folder, "large")
    assert router.reload() == "refused"
    sign_bundle(folder, private_pem(key))
    assert router.reload() == "swapped"


def no_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def digest_is_a_pipe(folder: Path) -> None:
    (folder / "manifest.sha256").unlink()
    os.mkfifo(folder / "manifest.sha256")


def half_copied(folder: Path) -> None:
    (folder / "policy.onnx").write_bytes(b"half")
    rehash_digest_only(folder)


def rehash_digest_only(folder: Path) -> None:
    (folder / "manifest.sha256").write_text("0" * 64 + "\n")


def forged(folder: Path) -> None:
    rehash(folder, "policy.onnx", b"not a graph")


@pytest.mark.parametrize("spoil", [no_folder, digest_is_a_pipe, half_copied, forged])
def test_the_old_policy_goes_on_and_the_failure_is_counted_and_logged_in_one_line(
    folder: Path,
    spoil: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    router = ReloadingRouter(folder)
    write(folder, "large")
    spoil(folder)
    with caplog.at_level(logging.WARNING):
        assert router.reload() == "refused"
        assert not router.look()
    assert router.decide("step").tier == "small"
    assert router.reloads == {"refused": 2}
    assert len(caplog.messages) == 2
    assert all("goes on" in line and "\n" not in line for line in caplog.messages)


def test_a_bundle_that_is_mended_serves(folder: Path) -> None:
    router = ReloadingRouter(folder)
    write(folder, "large")
    forged(folder)
    assert router.reload() == "refused"
    write(folder, "large")
    assert router.reload() == "swapped"


def test_what_is_no_bundle_cannot_be_the_first_one(folder: Path) -> None:
    forged(folder)
    with pytest.raises(BundleError):
        ReloadingRouter(folder)


def test_an_older_bundle_is_refused_across_a_restart_and_the_flag_takes_it(
    folder: Path, tmp_path: Path
) -> None:
    served = tmp_path / "served.json"
    write(folder, "large", sequence=2)
    assert ReloadingRouter(folder, accepted=AcceptedFile(served)).decide("s").tier == "large"
    write(folder, "small", sequence=1)
    with pytest.raises(BundleError, match="sequence 1"):
        ReloadingRouter(folder, accepted=AcceptedFile(served))
    by_hand = ReloadingRouter(folder, accepted=AcceptedFile(served, allow_older=True))
    assert by_hand.decide("s").tier == "small"


def test_an_older_bundle_does_not_replace_the_one_that_serves(folder: Path) -> None:
    write(folder, "large", sequence=2)
    router = ReloadingRouter(folder)
    write(folder, "small", sequence=1)
    assert router.reload() == "refused"
    write(folder, "small", sequence=2)
    assert router.reload() == "swapped"
    write(folder, "large", sequence=2)  # the very bundle that served before
    assert router.reload() == "refused"
    assert router.decide("s").tier == "small"


def test_what_cannot_be_remembered_does_not_serve(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = ReloadingRouter(folder, accepted=AcceptedFile(tmp_path / "served.json"))
    write(folder, "large")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tierwise.data.files.write_bytes", full)
        assert router.reload() == "failed"
    assert router.decide("s").tier == "small"
    assert router.reload() == "swapped"


def test_counts_of_faults_outlive_the_policy_they_were_made_under(folder: Path) -> None:
    router = ReloadingRouter(folder)
    router.decide("s", floor="high", color=1)
    write(folder, "large")
    router.reload()
    router.decide("s", floor="high", color=1)
    assert router.decided == {"fallback": 2}
    assert router.faults == {"floor": 2}
    assert router.ignored == {"unknown_column": 2}


def test_an_explanation_is_the_present_policys(folder: Path) -> None:
    router = ReloadingRouter(folder)
    write(folder, "large")
    router.reload()
    assert router.explain("s").decision.tier == "large"


def test_all_steps_of_a_batch_are_decided_by_one_policy(folder: Path) -> None:
    router = ReloadingRouter(folder)

    def steps() -> Iterator[str]:
        yield "first"
        write(folder, "large")
        assert router.reload() == "swapped"
        yield "second"

    assert [one.tier for one in router.decide_many(steps())] == ["small", "small"]
    assert router.decide("third").tier == "large"


def test_an_outage_outlives_the_policy(folder: Path) -> None:
    write(folder, "small", vendors=("near", "near", "far"))
    router = ReloadingRouter(folder)
    router.set_outage("near")
    write(folder, "medium", vendors=("near", "near", "far"))
    assert router.reload() == "swapped"
    assert router.outages == {"near"}
    assert router.decide("s").tier == "large"
    router.set_outage("near", out=False)
    assert router.decide("s").tier == "medium"


def test_the_old_policy_is_freed_as_soon_as_no_decision_needs_it(folder: Path) -> None:
    """Without the collector, too: the sidecar freezes what it loaded first."""
    router = ReloadingRouter(folder)
    router.decide("s", color=1)
    old = weakref.ref(router.router)
    write(folder, "large")
    gc.disable()
    try:
        assert router.reload() == "swapped"
        assert old() is None
    finally:
        gc.enable()


def test_a_step_is_escalated_by_the_present_policy(folder: Path) -> None:
    router = ReloadingRouter(folder)
    write(folder, "large")
    router.reload()
    outcome = router.run("s", lambda tier, step: Answer(tier))
    assert (outcome.output, outcome.status) == ("large", "unchecked")
