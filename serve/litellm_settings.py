"""How LiteLLM's proxy is told about a policy: environment variables, read once at its start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tierwise.data.errors import BadInput

RELOAD_S = 10.0
"""Seconds between two looks for a newer bundle, where nothing is set."""
_ALIAS = "champion"


@dataclass(frozen=True)
class Settings:
    """What the plug-ins are told.

    Attributes
    ----------
    policy : Path
        TIERWISE_POLICY, the bundle; with a registry, the local copy of its last good one.
    digest : str or None
        TIERWISE_DIGEST, its manifest's SHA-256 as known from elsewhere.
    public_key : Path or None
        TIERWISE_PUBLIC_KEY, the ed25519 key that has to have signed it.
    model : str
        TIERWISE_MODEL, the model name that asks for routing; `tierwise` where not set.
    fallback : str or None
        TIERWISE_FALLBACK, the model that serves while there is no sound policy.
    outcomes : Path or None
        TIERWISE_OUTCOMES, the file that outcomes are appended to.
    text : bool
        TIERWISE_OUTCOMES_TEXT=1: the steps' texts go into that file.
    reload_s : float
        TIERWISE_RELOAD, seconds between two looks for a newer bundle; 0 never looks.
    registry : tuple of str, or None
        TIERWISE_MLFLOW, `name@alias` of a model in MLflow's registry, whose bundles are followed in
        place of the folder; the alias is `champion` where not said.
    accepted : Path or None
        TIERWISE_ACCEPTED, the file that remembers what was served, so that a restart takes no older
        bundle.
    allow_older : bool
        TIERWISE_ALLOW_OLDER=1: older bundles than those served before are taken.
    """

    policy: Path
    digest: str | None = None
    public_key: Path | None = None
    model: str = "tierwise"
    fallback: str | None = None
    outcomes: Path | None = None
    text: bool = False
    reload_s: float = RELOAD_S
    registry: tuple[str, str] | None = None
    accepted: Path | None = None
    allow_older: bool = False


def settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises
    ------
    BadInput
        Where no policy is named, or a setting cannot be read.
    """
    given = {name: value for name, value in environ.items() if value}
    if "TIERWISE_POLICY" not in given:
        raise BadInput("no TIERWISE_POLICY", "the folder of a bundle", "set it for the proxy")
    key, outcomes, accepted = (
        Path(given[name]) if name in given else None
        for name in ("TIERWISE_PUBLIC_KEY", "TIERWISE_OUTCOMES", "TIERWISE_ACCEPTED")
    )
    return Settings(
        policy=Path(given["TIERWISE_POLICY"]),
        digest=given.get("TIERWISE_DIGEST"),
        public_key=key,
        model=given.get("TIERWISE_MODEL", "tierwise"),
        fallback=given.get("TIERWISE_FALLBACK"),
        outcomes=outcomes,
        text=given.get("TIERWISE_OUTCOMES_TEXT") == "1",
        reload_s=_seconds(given.get("TIERWISE_RELOAD", str(RELOAD_S))),
        registry=_registry(given["TIERWISE_MLFLOW"]) if "TIERWISE_MLFLOW" in given else None,
        accepted=accepted,
        allow_older=given.get("TIERWISE_ALLOW_OLDER") == "1",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise BadInput(f"TIERWISE_RELOAD {text!r}"[:99], "seconds; 0 never looks", "mend it")
    return seconds


def _registry(text: str) -> tuple[str, str]:
    name, _, alias = text.partition("@")
    if not name:
        raise BadInput(f"TIERWISE_MLFLOW {text!r}"[:99], "name@alias of a model", "mend it")
    return name, alias or _ALIAS
