"""A registry in a folder, that may fail in every way."""

from __future__ import annotations

import shutil
from pathlib import Path
from threading import Event


class Registry:
    """Downloads what lies in a folder.

    Attributes
    ----------
    fault : Exception or None
        Raised in the middle of a download.
    begun, go_on : Event
        A download has begun; it may go on. Clear `go_on` for a registry that hangs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fault: Exception | None = None
        self.begun, self.go_on = Event(), Event()
        self.go_on.set()

    def __call__(self, into: Path, digest: str) -> Path | None:
        self.begun.set()
        assert self.go_on.wait(10)
        if (self.folder / "manifest.sha256").read_text().strip() == digest:
            return None
        shutil.copytree(self.folder, into / "policy")
        if self.fault:
            (into / "policy" / "policy.onnx").write_bytes(b"half")
            raise self.fault
        return into / "policy"
