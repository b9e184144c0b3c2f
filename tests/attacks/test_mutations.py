"""A thousand of a thousand damaged bundles are refused, and the old policy goes on."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.attacks.mutations import KINDS
from tests.faults.bundles import rehash, write
from tests.router_model.test_signature import private_pem, public_pem
from tierwise.router_model.bundle import BundleError, verify_bundle
from tierwise.router_model.sign import sign_bundle
from tierwise.serve.reload import ReloadingRouter

N_MUTATIONS = 1000


def content(folder: Path) -> dict[str, bytes | None]:
    """What lies in a folder; None for what is no regular file."""
    return {
        path.name: path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in folder.iterdir()
    }


@pytest.fixture
def good(tmp_path: Path) -> Path:
    write(tmp_path / "good" / "policy", "large")
    return tmp_path / "good" / "policy"


def test_every_one_of_1000_random_mutations_is_refused_and_the_old_policy_serves(
    tmp_path: Path, good: Path
) -> None:
    folder = tmp_path / "serving" / "policy"
    write(folder, "small")
    router = ReloadingRouter(folder)
    rng = np.random.default_rng(20261122)
    before, outcomes = content(good), Counter[str]()
    for number in range(N_MUTATIONS):
        shutil.rmtree(folder)
        shutil.copytree(good, folder)
        while content(folder) == before:  # a mutation that happens to change nothing is none
            KINDS[number % len(KINDS)](folder, rng)
        with pytest.raises(BundleError):
            verify_bundle(folder)
        outcomes[router.reload()] += 1
        assert router.decide("step").tier == "small"
    assert outcomes == {"refused": N_MUTATIONS}
    shutil.rmtree(folder)
    shutil.copytree(good, folder)
    assert router.reload() == "swapped"


def test_with_a_key_a_forger_who_makes_all_digests_agree_is_refused_too(
    tmp_path: Path, good: Path
) -> None:
    """Sound in everything but who made it: another policy, its own digests, the old signature."""
    key = Ed25519PrivateKey.generate()
    sign_bundle(good, private_pem(key))
    signature = (good / "manifest.sig").read_bytes()
    rng = np.random.default_rng(0)
    write(good, "small")
    (good / "manifest.sig").write_bytes(signature)
    verify_bundle(good)
    with pytest.raises(BundleError, match="not this key's"):
        verify_bundle(good, public_key=public_pem(key))
    for _ in range(100):
        forged = bytearray(signature)
        forged[rng.integers(64)] ^= 1 << int(rng.integers(8))
        (good / "manifest.sig").write_bytes(forged)
        with pytest.raises(BundleError, match="not this key's"):
            verify_bundle(good, public_key=public_pem(key))


def test_without_a_key_a_forger_who_makes_all_digests_agree_is_not_stopped(good: Path) -> None:
    """What the digests cannot do, said as a test: only a key or a digest kept elsewhere helps."""
    before = verify_bundle(good).digest
    write(good, "small", version="large")
    rehash(good)
    verify_bundle(good)
    with pytest.raises(BundleError, match="digest"):
        verify_bundle(good, before)
