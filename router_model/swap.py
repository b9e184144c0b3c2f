"""A folder that is there as a whole or not at all, also while it is being replaced."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

_AT_FDCWD = -100
_EXCHANGE = 2


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files, or leave what was there.

    The files go to a new folder beside `folder`, reach the disk, and then the two change places:
    in one step where the system can do that, else in two with the old one put back on failure.

    Parameters
    ----------
    folder : Path
        The final folder; what is there is replaced whole.
    files : mapping of str to bytes
        Content by file name.
    """
    folder = Path(os.path.realpath(folder))  # behind a link, what it leads to
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        for name, content in files.items():
            _write(part / name, content)
        part.chmod(0o755)
        _sync(part)
        _place(part, folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)  # what is there now: unfinished, or the old one


def _place(part: Path, folder: Path) -> None:
    if not folder.exists():
        part.rename(folder)
    elif not _exchange(part, folder):
        old = part.with_suffix(".old")
        folder.rename(old)
        try:
            part.rename(folder)
        except OSError:
            old.rename(folder)
            raise
        old.rename(part)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change names in one step; False where the system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    done = rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE)
    return bool(done == 0)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
