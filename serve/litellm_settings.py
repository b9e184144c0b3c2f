"""How LiteLLM's proxy is told about a policy: environment variables, read once at its start."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tierwise.data.errors import BadInput
from tierwise.serve.decision import Decision
from tierwise.serve.litellm_request import Step
from tierwise.serve.router import Router

log = logging.getLogger("tierwise.litellm")


@dataclass(frozen=True)
class Settings:
    """What the plug-ins are told.

    Attributes
    ----------
    policy : Path
        TIERWISE_POLICY, the bundle.
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
    """

    policy: Path
    digest: str | None = None
    public_key: Path | None = None
    model: str = "tierwise"
    fallback: str | None = None
    outcomes: Path | None = None
    text: bool = False


def settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises
    ------
    BadInput
        Where no policy is named.
    """
    if not environ.get("TIERWISE_POLICY"):
        raise BadInput("no TIERWISE_POLICY", "the folder of a bundle", "set it for the proxy")
    key, outcomes = environ.get("TIERWISE_PUBLIC_KEY"), environ.get("TIERWISE_OUTCOMES")
    return Settings(
        Path(environ["TIERWISE_POLICY"]),
        environ.get("TIERWISE_DIGEST") or None,
        Path(key) if key else None,
        environ.get("TIERWISE_MODEL") or "tierwise",
        environ.get("TIERWISE_FALLBACK") or None,
        Path(outcomes) if outcomes else None,
        environ.get("TIERWISE_OUTCOMES_TEXT") == "1",
    )


def load(chosen: Settings) -> Router | None:
    """Open the policy; None, and a line in the log, where it is not sound but a fallback is named.

    Raises
    ------
    BadInput
        Where it is not sound and no fallback is named: nothing could be served.
    """
    try:
        return Router.load(chosen.policy, chosen.digest, public_key=chosen.public_key)
    except BadInput as error:
        if chosen.fallback is None:
            raise
        log.error("no policy, %s serves every step: %s", chosen.fallback, error)
        return None


def decide(router: Router, step: Step) -> Decision:
    """Decide a step; never raises."""
    return router.decide(
        step.messages,
        role=step.role,
        tenant=step.whose.get("tenant"),
        data_class=step.data_class,
        pin=step.pin,
        **step.limits,
        **step.context,
    )
