"""The MLflow registry of a run's bundles: who is champion, who was before, and by whose word.

The alias `champion` is the one truth about what serves. The versions that were champion before it
are a tag of the model, the last one at the end; who moved the alias, when and why are tags of the
version. The registry is transport, not trust: a bundle that comes out of it is verified.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tierwise.data.errors import BadInput

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

CHAMPION = "champion"
BEFORE = "champions.before"  # a tag of the model: versions, the last champion at the end
KEPT = 200  # of them; MLflow cuts a tag at 5,000 characters
# MLflow's and its libraries' warnings about themselves, which nobody here can act on.
NOISE = ("noload", "Any type hint is inferred as AnyType", "Starting with pandas version 4.0")


@dataclass(frozen=True)
class Word:
    """By whose word a champion serves: who, why, and what kind of move it was."""

    who: str
    why: str
    move: str


def actor() -> str:
    """Return who acts: $TIERWISE_ACTOR, else the user's name."""
    return os.environ.get("TIERWISE_ACTOR", "").strip() or getpass.getuser()


def model_name(run: Path) -> str:
    """Return the name of a run's model."""
    return f"tierwise-{run.resolve().name}"


def manifest_sha256(policy: Path) -> str:
    """Return the 64 hex digits in the bundle's manifest.sha256, empty where there is none."""
    try:
        return (policy / "manifest.sha256").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def database(run: Path) -> Path:
    """Return the registry's file: beside the run, shared by all runs there."""
    return run.resolve().parent / "mlflow.db"


@contextmanager
def opened(run: Path, *, create: bool = False) -> Iterator[MlflowClient]:
    """Yield a client of the registry beside the run; nothing is reported to anyone.

    Parameters
    ----------
    run : Path
        artifacts/<name>.
    create : bool
        Whether to make a registry where there is none.

    Raises
    ------
    BadInput
        Where there is none.
    """
    file = database(run)
    if not create and not file.exists():
        raise BadInput(f"no registry {file}", "a registered run", "run the register stage first")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    import mlflow

    with warnings.catch_warnings():
        for words in NOISE:
            warnings.filterwarnings("ignore", message=f"(?s).*{words}")
        mlflow.set_tracking_uri(f"sqlite:///{file}")
        mlflow.set_registry_uri(f"sqlite:///{file}")
        yield mlflow.MlflowClient()


@contextmanager
def alone(run: Path) -> Iterator[None]:
    """Hold the registry's lock: what is read of the champion stays true while the block runs.

    The system frees the lock when the process ends, whatever ended it.
    """
    with database(run).with_suffix(".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def version_of(client: MlflowClient, name: str, sha256: str) -> str | None:
    """Return the version that holds the bundle of this manifest."""
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.tags.get("sha256") == sha256:
            return str(version.version)
    return None


def champion(client: MlflowClient, name: str) -> ModelVersion | None:
    """Return the version that serves, None where none does."""
    aliases = _aliases(client, name)
    return client.get_model_version(name, aliases[CHAMPION]) if CHAMPION in aliases else None


def champions_before(client: MlflowClient, name: str) -> list[str]:
    """Return the versions that were champion before the present one, the last at the end.

    The tag is written before the alias moves up and after it moves down, so that a process that
    is killed in between leaves at most the present champion at its end.
    """
    found = str(client.get_registered_model(name).tags.get(BEFORE, "")).split()
    serving = str(_aliases(client, name).get(CHAMPION, ""))
    while found and found[-1] == serving:
        found.pop()
    return found


def crown(client: MlflowClient, name: str, version: str, word: Word) -> None:
    """Make a version champion and keep the one before it; call it within `alone`."""
    serving = champion(client, name)
    if serving is not None:
        before = [*champions_before(client, name), str(serving.version)]
        client.set_registered_model_tag(name, BEFORE, " ".join(before[-KEPT:]))
    _move(client, name, version, word)


def restore(client: MlflowClient, name: str, version: str, word: Word) -> None:
    """Make a former champion champion again and forget those since; call it within `alone`."""
    before = champions_before(client, name)
    last = len(before) - 1 - before[::-1].index(version)
    _move(client, name, version, word)
    client.set_registered_model_tag(name, BEFORE, " ".join(before[:last]))


def _move(client: MlflowClient, name: str, version: str, word: Word) -> None:
    """Say by whose word, then move the alias: a champion is never without its tags."""
    told = {
        "move": word.move,
        "by": word.who,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "why": word.why,
    }
    for key, value in told.items():
        client.set_model_version_tag(name, version, f"champion.{key}", value[:5000])
    client.set_registered_model_alias(name, CHAMPION, version)


def _aliases(client: MlflowClient, name: str) -> dict[str, str]:
    from mlflow.exceptions import MlflowException

    try:
        return dict(client.get_registered_model(name).aliases)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise BadInput(f"no model {name}", "a registered run", "run the register stage") from None
