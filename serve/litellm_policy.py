"""The policy that the plug-ins of LiteLLM's proxy serve, and newer bundles in its place."""

from __future__ import annotations

import atexit
import logging
from pathlib import Path

import numpy as np

from tierwise.data.errors import BadInput
from tierwise.serve.accepted import AcceptedFile
from tierwise.serve.decision import Decision
from tierwise.serve.download import from_mlflow
from tierwise.serve.litellm_request import Step
from tierwise.serve.litellm_settings import Settings
from tierwise.serve.polling import Poller, Schedule
from tierwise.serve.reload import ReloadingRouter
from tierwise.serve.router import Router

log = logging.getLogger("tierwise.litellm")


class Policy:
    """A policy that may be replaced, or that may not be there yet.

    Parameters
    ----------
    chosen : Settings

    Raises
    ------
    BadInput
        Where the bundle is not sound and no fallback is named, since nothing could be served then;
        where a registry is named and MLflow is not installed; where the file of what was served
        cannot be read.

    Attributes
    ----------
    tiers : tuple of str
        Of the first bundle served, cheap to dear; the proxy's configuration names models for them.
        Empty while there was none.
    """

    def __init__(self, chosen: Settings) -> None:
        self.tiers: tuple[str, ...] = ()
        self._chosen = chosen
        self._download = from_mlflow(*chosen.registry) if chosen.registry else None
        self._accepted = AcceptedFile(chosen.accepted, allow_older=chosen.allow_older)
        self._serving: ReloadingRouter | None = None
        try:
            self._open()
        except Exception as error:  # whatever a bundle, a disk or a registry may raise
            if chosen.fallback is None:
                raise
            log.error("no policy, %s serves every step: %s", chosen.fallback, _line(error))

    @property
    def router(self) -> Router | None:
        """The present policy; None where no bundle was sound so far.

        A request asks for it once, so that one policy reads and decides its step.
        """
        return None if self._serving is None else self._serving.router

    def follow(self) -> None:
        """Look for newer bundles on a thread until the process ends, unless that is set to 0."""
        if self._chosen.reload_s > 0:
            poller = Poller(self.look, Schedule(np.random.default_rng(), self._chosen.reload_s))
            poller.start()
            atexit.register(poller.stop)

    def look(self) -> bool:
        """Look once for a bundle that is sound and newer; False where it did not work."""
        if self._serving is not None:
            return self._serving.look()
        try:
            self._open()
        except Exception as error:  # as above
            log.warning("still no policy: %s", _line(error))
            return False
        return True

    def _open(self) -> None:
        serving = ReloadingRouter(
            self._chosen.policy, load=self._load, accepted=self._accepted, download=self._download
        )
        self.tiers = serving.manifest.tier_names
        self._serving = serving

    def _load(self, folder: Path) -> Router:
        fresh = Router.load(folder, self._chosen.digest, public_key=self._chosen.public_key)
        unknown = [tier for tier in fresh.manifest.tier_names if tier not in self.tiers]
        if self.tiers and unknown:  # nothing says that the proxy has a model of this name
            raise BadInput(
                f"a bundle with the new tier {unknown[0]!r}",
                f"no others than {', '.join(self.tiers)}",
                "give it a deployment and start the proxy anew",
            )
        return fresh


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


def columns(router: Router | None) -> frozenset[str]:
    """Return the names of a policy's context columns; none without a policy."""
    return frozenset() if router is None else frozenset(c.name for c in router.manifest.context)


def _line(error: Exception) -> str:
    said = error if isinstance(error, BadInput) else f"{type(error).__name__}: {error}"
    return " ".join(f"{said}".split())[:300]
