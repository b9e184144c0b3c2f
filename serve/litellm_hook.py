"""A hook of LiteLLM's proxy: the policy chooses the model before the call, any number of tiers.

In the proxy's config.yaml, where a tier's name is the `model_name` of its deployments:

    litellm_settings:
      callbacks: tierwise.serve.litellm_hook.hook

Requests for the model `tierwise` are routed, others pass; docs/gateways.md has the settings, the
headers and what LiteLLM itself does around it. Imported by the proxy only: importing it reads the
settings, opens the policy and follows the folder that it is in.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger

from tierwise.data.messages import text_of
from tierwise.serve.choose import NONE_ALLOWED
from tierwise.serve.decision import Decision, without_estimates
from tierwise.serve.decision_log import DecisionLog
from tierwise.serve.litellm_outcome import Open, outcome
from tierwise.serve.litellm_policy import Policy, columns, decide
from tierwise.serve.litellm_request import Step, step_of
from tierwise.serve.litellm_settings import Settings, settings
from tierwise.serve.outcomes import Memory
from tierwise.serve.router import FALLBACK, Router


class TierwiseHook(CustomLogger):
    """Routes before a call, writes down what came of it afterwards.

    Parameters
    ----------
    chosen : Settings
        What to route, by which policy, and where to write.
    """

    def __init__(self, chosen: Settings) -> None:
        super().__init__()
        self._settings = chosen
        self._policy = Policy(chosen)
        self._policy.follow()
        self._log = DecisionLog(chosen.outcomes) if chosen.outcomes else None
        self._open = Memory[Open]()  # what is forgotten while its call goes on is not written down

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> dict[str, Any]:
        """Set the model of a request that asks for routing.

        Raises
        ------
        HTTPException
            Status 400 for a pin that is no tier, or not the model asked for; 503 where no tier may
            serve the step.
        """
        router = self._policy.router
        step, model = step_of(data, columns(router)), data.get("model")
        if model != self._settings.model:
            if step.pin is not None:
                _hold(step.pin, model, data)
            return data
        decision = self._decide(router, step)
        data["model"] = decision.tier
        if step.pin is not None or decision.allowed != decision.tiers:
            data["disable_fallbacks"] = True  # LiteLLM's know nothing of tiers that may not serve
        call = data.get("litellm_call_id")
        if self._log is not None and call:
            self._open.add(call, Open(self._kept(step), decision))
        return data

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Write down the call that answered."""
        self._write(kwargs, done=True)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Write down a call that failed; LiteLLM may try again."""
        self._write(kwargs, done=False)

    def _decide(self, router: Router | None, step: Step) -> Decision:
        if router is None:  # then a fallback is named, `Policy` saw to it
            return without_estimates(step.pin or str(self._settings.fallback), 0, FALLBACK, "")
        tiers = router.manifest.tier_names
        if step.pin is not None and step.pin not in tiers:
            raise HTTPException(400, f"tier {step.pin!r}; expected one of {', '.join(tiers)}")
        decision = decide(router, step)
        if decision.reason == NONE_ALLOWED:
            raise HTTPException(503, "no tier may serve this step")
        return decision

    def _kept(self, step: Step) -> Step:
        """Return a step with its text in place of its messages, or without either."""
        try:
            text = text_of(step.messages) if self._settings.text else ""
        except Exception:  # no messages: the router has fallen back, and there is no text
            text = ""
        return replace(step, messages=text)

    def _write(self, kwargs: dict[str, Any], *, done: bool) -> None:
        one = self._open.get(kwargs.get("litellm_call_id", ""))
        payload = kwargs.get("standard_logging_object")
        if self._log is None or one is None or payload is None:
            return
        self._log.write(outcome(one, payload))
        one.attempts += 1
        if done:
            self._open.forget(kwargs["litellm_call_id"])


def _hold(pin: str, model: Any, data: dict[str, Any]) -> None:
    """Keep a pin of a request that names its model itself, or that LiteLLM sent there.

    To route it would lead around the models that its key may use.
    """
    if pin != model:
        raise HTTPException(400, f"tier {pin!r} for model {model!r}; expected the same, or routing")
    data["disable_fallbacks"] = True


hook = TierwiseHook(settings(os.environ))
