"""Bundles from a registry: into a folder of their own first, checked there, then into place."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tierwise.data.errors import BadInput

Download = Callable[[Path, str], Path | None]
"""Bring the newest bundle into an empty folder, unless it is the one of the digest given.

Returns the bundle's folder, or None where there is nothing new; may raise anything and take any
time.
"""
_SUFFIX = ".download"


@contextmanager
def downloaded(download: Download, folder: Path, digest: str) -> Iterator[Path | None]:
    """Yield the newest bundle in a temporary folder beside `folder`, or None; remove it after.

    What an earlier process that was killed left behind is removed first. Who still downloads
    holds a lock, which the system frees when the process ends, however it ends.

    Parameters
    ----------
    download : Download
    folder : Path
        Where the bundle in use lies.
    digest : str
        Of the bundle in use; "" where there is none.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for rest in folder.parent.glob(f".{folder.name}.*{_SUFFIX}"):
        with _locked(rest) as alone:
            if alone:
                shutil.rmtree(rest, ignore_errors=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=_SUFFIX, dir=folder.parent))
    with _locked(part):
        try:
            yield download(part, digest)
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Lock a folder; yield False where another process holds it, or where it is gone."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def from_mlflow(name: str, alias: str = "champion", uri: str | None = None) -> Download:
    """Download what an alias of the MLflow registry points to.

    The registry carries bundles, it vouches for none: what comes from it is verified like any.

    Parameters
    ----------
    name : str
        The registered model, as `tierwise-fleet`.
    alias : str
        As the registry has it.
    uri : str, optional
        Of the registry; MLflow's own setting where left out.

    Returns
    -------
    Download

    Raises
    ------
    BadInput
        Where MLflow is not installed.
    """
    try:
        import mlflow
    except ModuleNotFoundError:
        raise BadInput(
            "a registry is given, and mlflow is not installed",
            "the extra 'train'",
            "run pip install 'tierwise[train]', or copy bundles to a folder",
        ) from None
    client = mlflow.MlflowClient(uri, uri)

    def download(into: Path, digest: str) -> Path | None:
        version = client.get_model_version_by_alias(name, alias)
        if version.tags.get("sha256") == digest:
            return None
        return Path(client.download_artifacts(str(version.run_id), "policy", str(into)))

    return download
