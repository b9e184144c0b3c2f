"""rules.yaml -> a new version of a bundle: the manifest changes, no other byte does."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tierwise.router_model.bundle import DIGEST, MANIFEST, BundleError, verify_bundle
from tierwise.router_model.manifest import Manifest
from tierwise.router_model.out_folder import check_out_folder
from tierwise.router_model.rules_file import apply_file
from tierwise.router_model.swap import write_folder


def apply_rules(policy: Path, path: Path, out: Path | None = None) -> tuple[Manifest, list[str]]:
    """Write a bundle with other rules: same graph, same examples, a new version.

    Parameters
    ----------
    policy : Path
        The bundle.
    path : Path
        rules.yaml; its rules take the place of all that the bundle had.
    out : Path, optional
        Where the new bundle goes; the old one's place where left out. Whole or not at all.

    Returns
    -------
    manifest : Manifest
        As written. A signature is not: the new manifest has to be signed anew.
    warned : list of str
        What can be honored and is likely not meant.

    Raises
    ------
    BadInput
        Where the bundle is not sound, or the rules are not, or `out` is a folder of other things.
    """
    target = Path(out or policy)
    check_out_folder(target)
    verified = verify_bundle(policy)
    manifest, warned = apply_file(verified.manifest, path)
    text = manifest.to_bytes()
    files = {one.name: (Path(policy) / one.name).read_bytes() for one in manifest.files}
    for one in manifest.files:
        if hashlib.sha256(files[one.name]).hexdigest() != one.sha256:
            raise BundleError("a bundle that changed meanwhile", "one at rest", "apply it again")
    digest = hashlib.sha256(text).hexdigest() + "\n"
    write_folder(target, {**files, MANIFEST: text, DIGEST: digest.encode()})
    return manifest, warned
