"""Signing a bundle that was checked: manifest.sig beside the manifest."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from tierwise.router_model.bundle import MANIFEST, BundleError, verify_bundle
from tierwise.router_model.signature import SIGNATURE, sign_manifest


def sign_bundle(folder: Path, private_key: Path | bytes) -> str:
    """Verify a bundle and sign its manifest; a signature that is there is replaced.

    Parameters
    ----------
    folder : Path
        The bundle.
    private_key : Path or bytes
        An ed25519 private key: a PEM file, or its content.

    Returns
    -------
    str
        The manifest's SHA-256, as signed.

    Raises
    ------
    BundleError
        Where the bundle is not sound.
    BadInput
        Where the key cannot be read or the extra `sign` is missing.
    """
    folder = Path(os.path.realpath(folder))
    digest = verify_bundle(folder).digest
    manifest = (folder / MANIFEST).read_bytes()
    if hashlib.sha256(manifest).hexdigest() != digest:  # what is signed is what was checked
        raise BundleError("a bundle that changed meanwhile", "a bundle at rest", "sign it again")
    _place(folder, sign_manifest(manifest, private_key))
    return digest


def _place(folder: Path, signature: bytes) -> None:
    """Write beside the folder, then move in: whoever looks never finds a half or a third file."""
    handle, part = tempfile.mkstemp(prefix=f".{folder.name}.", suffix=".sig", dir=folder.parent)
    try:
        with open(handle, "wb") as file:
            file.write(signature)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(part, 0o644)  # mkstemp makes 0600; a signature is public
        os.replace(part, folder / SIGNATURE)
    finally:
        Path(part).unlink(missing_ok=True)
