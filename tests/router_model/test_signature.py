"""With a key configured, nothing is served but what the owner of the key signed."""

from __future__ import annotations

import base64
import builtins
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tierwise.data.errors import BadInput
from tierwise.router_model.bundle import BundleError, VerifiedBundle, verify_bundle
from tierwise.router_model.sign import sign_bundle


def public_pem(key: Any) -> bytes:
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def private_pem(key: Any, password: bytes = b"") -> bytes:
    how = BestAvailableEncryption(password) if password else NoEncryption()
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
    return pem


KEY = Ed25519PrivateKey.generate()
PUBLIC, PRIVATE = public_pem(KEY), private_pem(KEY)


def refused(folder: Path, public_key: bytes = PUBLIC) -> str:
    with pytest.raises(BundleError) as caught:
        verify_bundle(folder, public_key=public_key)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_signed_bundle_verifies_with_its_key(bundle: Path) -> None:
    digest = sign_bundle(bundle, PRIVATE)
    assert len((bundle / "manifest.sig").read_bytes()) == 64
    assert verify_bundle(bundle, public_key=PUBLIC).digest == digest
    assert [path.name for path in bundle.parent.iterdir()] == ["policy"]


def test_keys_may_lie_in_files(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "k.pem").write_bytes(PRIVATE)
    (tmp_path / "k.pub").write_bytes(PUBLIC)
    sign_bundle(bundle, tmp_path / "k.pem")
    verify_bundle(bundle, public_key=tmp_path / "k.pub")


def test_a_signature_in_base64_is_as_good(bundle: Path) -> None:
    signature = KEY.sign((bundle / "manifest.json").read_bytes())
    (bundle / "manifest.sig").write_bytes(base64.b64encode(signature) + b"\n")
    verify_bundle(bundle, public_key=PUBLIC)


def test_an_unsigned_bundle_is_refused_where_a_key_is_configured(bundle: Path) -> None:
    verify_bundle(bundle)
    assert "an unsigned bundle" in refused(bundle)


def test_without_a_key_a_signature_is_not_looked_at(bundle: Path) -> None:
    (bundle / "manifest.sig").write_bytes(b"anything")
    verify_bundle(bundle)


def test_another_keys_signature_is_refused(bundle: Path) -> None:
    sign_bundle(bundle, private_pem(Ed25519PrivateKey.generate()))
    assert "not this key's" in refused(bundle)


def test_a_manifest_rewritten_after_it_was_signed_is_refused(bundle: Path) -> None:
    sign_bundle(bundle, PRIVATE)
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    text = json.dumps(manifest | {"fallback": "small"}).encode()
    (bundle / "manifest.json").write_bytes(text)
    (bundle / "manifest.sha256").write_text(hashlib.sha256(text).hexdigest() + "\n")
    verify_bundle(bundle)  # the digests agree: only the signature tells
    assert "not this key's" in refused(bundle)


@pytest.mark.parametrize("content", [b"", b"\0" * 63, b"\0" * 65, b"not base64!" * 8, b"\0" * 64])
def test_what_is_no_signature_is_refused(bundle: Path, content: bytes) -> None:
    (bundle / "manifest.sig").write_bytes(content)
    assert "manifest.sig" in refused(bundle)


def test_a_signature_behind_a_link_is_refused(bundle: Path) -> None:
    sign_bundle(bundle, PRIVATE)
    (bundle / "manifest.sig").rename(bundle.parent / "elsewhere.sig")
    (bundle / "manifest.sig").symlink_to(bundle.parent / "elsewhere.sig")
    assert "manifest.sig not readable" in refused(bundle)


def test_a_large_signature_is_not_read(bundle: Path) -> None:
    (bundle / "manifest.sig").write_bytes(b"A" * 1_000_000)
    assert "manifest.sig has more bytes" in refused(bundle)


def test_every_bit_of_a_signature_counts(bundle: Path) -> None:
    sign_bundle(bundle, PRIVATE)
    good = (bundle / "manifest.sig").read_bytes()
    for place in range(64):
        spoiled = bytearray(good)
        spoiled[place] ^= 1 << place % 8
        (bundle / "manifest.sig").write_bytes(spoiled)
        assert "not this key's" in refused(bundle)


def test_what_is_not_sound_is_not_signed(bundle: Path) -> None:
    (bundle / "policy.onnx").write_bytes(b"")
    with pytest.raises(BundleError):
        sign_bundle(bundle, PRIVATE)
    assert not (bundle / "manifest.sig").exists()


def test_what_changes_after_it_was_checked_is_not_signed(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checked_then_changed(folder: Path) -> VerifiedBundle:
        verified = verify_bundle(folder)
        (folder / "manifest.json").write_bytes(b"{}")
        return verified

    monkeypatch.setattr("tierwise.router_model.sign.verify_bundle", checked_then_changed)
    with pytest.raises(BundleError, match="changed meanwhile"):
        sign_bundle(bundle, PRIVATE)


def test_a_signature_is_replaced(bundle: Path) -> None:
    sign_bundle(bundle, private_pem(Ed25519PrivateKey.generate()))
    sign_bundle(bundle, PRIVATE)
    verify_bundle(bundle, public_key=PUBLIC)


def no_file(folder: Path) -> Path:
    return folder / "gone.pem"


def of_another_kind(folder: Path) -> bytes:
    return public_pem(generate_private_key(SECP256R1()))


def no_pem(folder: Path) -> bytes:
    return b"ssh-ed25519 AAAA"


@pytest.mark.parametrize("key", [no_file, of_another_kind, no_pem])
def test_a_key_that_cannot_be_used_refuses_the_bundle(
    bundle: Path, key: Callable[[Path], Path | bytes]
) -> None:
    sign_bundle(bundle, PRIVATE)
    with pytest.raises(BadInput, match="public key"):
        verify_bundle(bundle, public_key=key(bundle.parent))


@pytest.mark.parametrize("key", [private_pem(KEY, b"password"), PUBLIC, b""])
def test_what_cannot_sign_is_refused(bundle: Path, key: bytes) -> None:
    with pytest.raises(BadInput, match="private key"):
        sign_bundle(bundle, key)


def test_a_key_without_the_extra_is_an_error_that_names_it(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_bundle(bundle, PRIVATE)
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "cryptography":
            raise ModuleNotFoundError("none", name="cryptography")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BadInput, match=r"tierwise\[sign\]"):
        verify_bundle(bundle, public_key=PUBLIC)
    verify_bundle(bundle)
