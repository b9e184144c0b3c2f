"""The shipped policy as a folder: written whole, and verified before a byte of it is used.

Every file is read once; what is hashed, checked and run are those bytes, so that nobody can change
a file in between. A digest says only that the bundle is the one somebody wrote: where the folder
comes by a road that others can write to, give `verify_bundle` the digest by another road, or the
public key of whoever may sign bundles.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tierwise.data.errors import BadInput
from tierwise.router_model import encoder as encoders
from tierwise.router_model import golden as examples
from tierwise.router_model.encoder import Encoder, EncoderFiles
from tierwise.router_model.encoder_check import ENCODER
from tierwise.router_model.golden import Golden, check_golden
from tierwise.router_model.graph_check import MAX_BYTES as MAX_MODEL_BYTES
from tierwise.router_model.graph_check import check_graph
from tierwise.router_model.manifest import MAX_BYTES as MAX_MANIFEST_BYTES
from tierwise.router_model.manifest import BundleError, BundleFile, Manifest
from tierwise.router_model.runtime import PolicyGraph
from tierwise.router_model.signature import MAX_SIGNATURE_BYTES, SIGNATURE, check_signature
from tierwise.router_model.swap import write_folder

__all__ = ["BundleError", "VerifiedBundle", "read_digest", "verify_bundle", "write_bundle"]

MANIFEST, DIGEST = "manifest.json", "manifest.sha256"
NAMES = {"policy": "policy.onnx", "golden": "golden.jsonl"}
ENCODER_NAMES = {"encoder": encoders.MODEL, "tokenizer": encoders.TOKENIZER}
_DIGEST_BYTES = 65  # 64 hexadecimal digits and a newline
_CAPS = {
    "policy": MAX_MODEL_BYTES,
    "golden": examples.MAX_BYTES,
    "encoder": encoders.MAX_MODEL_BYTES,
    "tokenizer": encoders.MAX_TOKENIZER_BYTES,
}
_OTHER_CAP = 256 << 20


@dataclass(frozen=True)
class VerifiedBundle:
    """A bundle that passed every check, and the session opened from the bytes that were hashed."""

    manifest: Manifest
    model_bytes: bytes
    golden: tuple[Golden, ...]
    graph: PolicyGraph
    digest: str


def write_bundle(
    folder: Path,
    graph: bytes,
    manifest: Manifest,
    golden: Sequence[Golden],
    encoder: EncoderFiles | None = None,
) -> Manifest:
    """Write a bundle, whole or not at all; a bundle that is there stays until the new one is.

    Parameters
    ----------
    folder : Path
        Where it goes.
    graph : bytes
        The policy graph.
    manifest : Manifest
        Its `files` are filled in.
    golden : sequence of Golden
        Examples from `make_golden`.
    encoder : EncoderFiles, optional
        Where the graph takes its embedding.

    Returns
    -------
    Manifest
        As written.

    Raises
    ------
    BundleError
        Where the graph uses what a policy may not use.
    """
    check_graph(graph)
    contents = {"policy": graph, "golden": examples.to_bytes(golden)}
    if encoder is not None:
        check_graph(encoder.model, ENCODER)
        contents |= {"encoder": encoder.model, "tokenizer": encoder.tokenizer}
    names = NAMES | ENCODER_NAMES
    files = tuple(
        BundleFile(names[role], role, len(content), hashlib.sha256(content).hexdigest())
        for role, content in contents.items()
    )
    manifest = replace(manifest, files=files)
    text = manifest.to_bytes()
    digest = hashlib.sha256(text).hexdigest() + "\n"
    write_folder(
        Path(folder),
        {
            **{names[role]: content for role, content in contents.items()},
            MANIFEST: text,
            DIGEST: digest.encode(),
        },
    )
    return manifest


def verify_bundle(
    folder: Path, digest: str | None = None, *, public_key: Path | bytes | None = None
) -> VerifiedBundle:
    """Read a bundle and check all of it.

    Parameters
    ----------
    folder : Path
        The bundle.
    digest : str, optional
        The manifest's SHA-256 as known from elsewhere; where given, it has to be this one.
    public_key : Path or bytes, optional
        An ed25519 public key, a PEM file or its content; where given, the bundle has to be signed
        by it, and without it a signature is not looked at.

    Raises
    ------
    BundleError
        One line: what was found, what was expected, what to do.
    BadInput
        Where the key cannot be read, or an extra is missing.
    """
    folder = Path(folder)
    text = _read(folder, MANIFEST, MAX_MANIFEST_BYTES)
    found = hashlib.sha256(text).hexdigest()
    if _read(folder, DIGEST, _DIGEST_BYTES) != f"{found}\n".encode():
        raise _refused(f"a manifest of digest {found[:12]}...", f"the digest in {DIGEST}")
    if digest is not None and digest.strip().lower() != found:
        raise _refused(f"a manifest of digest {found[:12]}...", f"{digest.strip()[:64]}")
    if public_key is not None:
        check_signature(text, _read_signature(folder), public_key)
    manifest = Manifest.from_bytes(text)
    contents = _read_files(folder, manifest)
    check_graph(contents["policy"])
    golden = examples.from_bytes(contents["golden"])
    graph = _open(contents["policy"], manifest, _open_encoder(contents))
    try:
        check_golden(graph, golden)
    except BundleError:
        raise
    except Exception as error:  # onnxruntime's errors have no common base but this one
        raise _refused(f"a graph that fails ({_line(error)})", "every example decided") from None
    return VerifiedBundle(manifest, contents["policy"], golden, graph, found)


def read_digest(folder: Path) -> str:
    """Return what manifest.sha256 says; whether it is true, `verify_bundle` finds out.

    Raises
    ------
    BundleError
        Where there is no such file, or it is no regular one.
    """
    return _read(Path(folder), DIGEST, _DIGEST_BYTES).decode("ascii", "replace").strip()


def _read_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """Read all files that the manifest names, by role; check names, sizes and digests."""
    known = [(one.role, one.name) for one in manifest.files if one.role in _CAPS]
    has_encoder = any(role in ENCODER_NAMES for role, _ in known)
    wanted = NAMES | (ENCODER_NAMES if has_encoder else {})
    if sorted(known) != sorted(wanted.items()):
        raise _refused(f"files {dict(known)}", f"{wanted}")
    expected = {one.name for one in manifest.files} | {MANIFEST, DIGEST}
    present = _names(folder) - {SIGNATURE}  # a bundle may be signed or not
    if present != expected or len(expected) != len(manifest.files) + 2:
        raise _refused(f"files {sorted(present)}"[:300], f"{sorted(expected)}"[:300])
    contents = {}
    for one in manifest.files:
        content = _read(folder, one.name, min(one.size, _CAPS.get(one.role, _OTHER_CAP)))
        if len(content) != one.size or hashlib.sha256(content).hexdigest() != one.sha256:
            raise _refused(f"other bytes in {one.name}", "the digest in the manifest")
        if one.role in wanted:
            contents[one.role] = content
    return contents


def _read_signature(folder: Path) -> bytes | None:
    if SIGNATURE not in _names(folder):
        return None
    return _read(folder, SIGNATURE, MAX_SIGNATURE_BYTES)


def _open_encoder(contents: dict[str, bytes]) -> Encoder | None:
    if "encoder" not in contents:
        return None
    check_graph(contents["encoder"], ENCODER)
    try:
        return Encoder(EncoderFiles(contents["encoder"], contents["tokenizer"]))
    except BadInput:  # what is missing is an extra, not a sound bundle
        raise
    except Exception as error:  # the libraries' errors have no common base but this one
        raise _refused(f"an encoder that does not open ({_line(error)})", "an encoder") from None


def _open(model: bytes, manifest: Manifest, encoder: Encoder | None) -> PolicyGraph:
    try:
        graph = PolicyGraph(model, encoder)
    except Exception as error:  # onnxruntime's errors have no common base but this one
        raise _refused(f"a graph that does not open ({_line(error)})", "a policy") from None
    sizes, wanted = (graph.n_tiers, graph.n_context), (len(manifest.tiers), len(manifest.context))
    if sizes != wanted:
        raise _refused(f"a graph of {sizes} tiers and context columns", f"{wanted}")
    return graph


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except OSError as error:
        raise _refused(f"no folder ({error.strerror})", "a bundle") from None


def _read(folder: Path, name: str, most: int) -> bytes:
    """Read a regular file of at most `most` bytes; follow no link, wait for no pipe."""
    try:
        handle = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _refused(f"{name} not readable ({error.strerror})", "a regular file") from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _refused(f"{name} is no regular file", "a regular file")
        with open(handle, "rb", closefd=False) as file:
            content = file.read(most + 1)
    finally:
        os.close(handle)
    if len(content) > most:
        raise _refused(f"{name} has more bytes", f"at most {most}")
    return content


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


def _refused(found: str, expected: str) -> BundleError:
    return BundleError(f"bundle: {found}", expected, "keep the old policy and build a new bundle")
