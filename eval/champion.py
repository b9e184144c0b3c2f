"""Fetch what serves now out of the registry, verified, into a folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tierwise.data.errors import BadInput
from tierwise.eval import registry
from tierwise.router_model.bundle import verify_bundle
from tierwise.router_model.swap import write_folder


def pull(run: Path, folder: Path) -> str | None:
    """Put the champion's bundle into a folder, whole or not at all.

    Parameters
    ----------
    run : Path
        artifacts/<name>; its registry lies beside it.
    folder : Path
        What is there is replaced; it is emptied where there is no champion.

    Returns
    -------
    str or None
        The champion's version, None where there is none.

    Raises
    ------
    BadInput
        Where there is no registry, or its bundle is not the one that was registered.
    """
    with registry.opened(run) as client, tempfile.TemporaryDirectory() as scratch:
        version = registry.champion(client, registry.model_name(run))
        if version is None:
            write_folder(folder, {})
            return None
        fetched = fetch(str(version.run_id), Path(scratch))
        # Another road than the bundle's own: the digest was written down when it was registered.
        verify_bundle(fetched, version.tags.get("sha256", ""))
        write_folder(folder, {one.name: one.read_bytes() for one in sorted(fetched.iterdir())})
        return str(version.version)


def fetch(run_id: str, folder: Path) -> Path:
    """Download the bundle that an MLflow run holds and return its folder.

    Raises
    ------
    BadInput
        Where the run or its files are gone.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        found = mlflow.artifacts.download_artifacts(
            run_id=run_id, artifact_path="policy", dst_path=str(folder)
        )
    except (MlflowException, OSError) as error:
        words = " ".join(str(error).split())[:160]
        raise BadInput(
            f"the champion's bundle is gone from MLflow run {run_id or '(none)'} ({words})",
            "its folder policy",
            "restore artifacts/mlruns, or roll back to a version that has one",
        ) from None
    return Path(found)
