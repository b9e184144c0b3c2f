"""Where a person may have a bundle written: the folder there is replaced whole, so not just any."""

from __future__ import annotations

import os
from pathlib import Path

from tierwise.data.errors import BadInput
from tierwise.router_model.bundle import DIGEST, ENCODER_NAMES, MANIFEST, NAMES
from tierwise.router_model.signature import SIGNATURE

_OWN = {MANIFEST, DIGEST, SIGNATURE, *NAMES.values(), *ENCODER_NAMES.values()}


def check_out_folder(folder: Path) -> None:
    """Refuse to replace what is no bundle: a file, or a folder that holds anything else.

    Parameters
    ----------
    folder : Path
        Where the bundle is to go. Missing, empty, or a bundle, sound or not, are all right.

    Raises
    ------
    BadInput
        For anything else; it names what would have been lost.
    """
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        lost = "it is no folder"
    elif others := sorted({one.name for one in folder.iterdir()} - _OWN):
        lost = f"it holds {', '.join(others[:3])}{', ...' if len(others) > 3 else ''}"
    else:
        return
    raise BadInput(f"{folder} is no bundle: {lost}", "a bundle or a new folder", "name another one")
