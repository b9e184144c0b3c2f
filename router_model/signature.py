"""manifest.sig: an ed25519 signature over the manifest's raw bytes, and the keys for it.

The manifest holds the digest of every other file, so signing it signs the bundle. What is needed
is the extra `sign` (the library cryptography), and only where a key is given.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import TYPE_CHECKING

from tierwise.data.errors import BadInput
from tierwise.router_model.manifest import BundleError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE = "manifest.sig"
MAX_SIGNATURE_BYTES = 128
"""64 raw bytes, or their 88 characters of base64 and a line end."""
_RAW_BYTES = 64
_MAX_KEY_BYTES = 4096


def check_signature(manifest: bytes, signature: bytes | None, public_key: Path | bytes) -> None:
    """Refuse a manifest that the owner of the key did not sign.

    Parameters
    ----------
    manifest : bytes
        The raw bytes of manifest.json.
    signature : bytes or None
        The content of manifest.sig, raw or in base64; None where there is no such file.
    public_key : Path or bytes
        A PEM file, or its content.

    Raises
    ------
    BundleError
        Where the signature is missing or is not this key's.
    BadInput
        Where the key cannot be read or the extra `sign` is missing.
    """
    _need_cryptography()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(_pem(public_key, "public"))
    except ValueError:
        raise _no_key("public", "what is no PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key("public", "a key of another kind")
    if signature is None:
        raise _refused("an unsigned bundle")
    try:
        key.verify(_raw(signature), manifest)
    except InvalidSignature:
        raise _refused(f"a {SIGNATURE} that is not this key's for this manifest") from None


def sign_manifest(manifest: bytes, private_key: Path | bytes) -> bytes:
    """Return the signature of a manifest, 64 bytes.

    Parameters
    ----------
    manifest : bytes
        The raw bytes of manifest.json.
    private_key : Path or bytes
        A PEM file without a password, or its content.

    Raises
    ------
    BadInput
        Where the key cannot be read or the extra `sign` is missing.
    """
    return _private_key(private_key).sign(manifest)


def _private_key(source: Path | bytes) -> Ed25519PrivateKey:
    _need_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_pem(source, "private"), password=None)
    except (ValueError, TypeError):  # TypeError: it wants a password
        raise _no_key("private", "what is no PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key("private", "a key of another kind")
    return key


def _raw(signature: bytes) -> bytes:
    if len(signature) == _RAW_BYTES:
        return signature
    try:
        raw = base64.b64decode(signature.strip(), validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != _RAW_BYTES:
        raise _refused(f"a {SIGNATURE} of {len(signature)} bytes")
    return raw


def _pem(source: Path | bytes, kind: str) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        with Path(source).open("rb") as file:
            return file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise _no_key(kind, f"{source}: {error.strerror}") from None


def _need_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ModuleNotFoundError:
        raise BadInput(
            "a key is given, and cryptography is not installed",
            "the extra 'sign'",
            "run pip install 'tierwise[sign]'",
        ) from None


def _no_key(kind: str, found: str) -> BadInput:
    return BadInput(
        f"{kind} key: {found}",
        f"an ed25519 {kind} key in PEM",
        "make one: openssl genpkey -algorithm ed25519 -out key.pem; "
        "openssl pkey -in key.pem -pubout -out key.pub",
    )


def _refused(found: str) -> BundleError:
    return BundleError(
        f"bundle: {found}",
        f"{SIGNATURE}: an ed25519 signature of {_RAW_BYTES} bytes over manifest.json",
        "keep the old policy and have the bundle signed: tierwise sign",
    )
