"""The policy as classifier of LiteLLM's complexity router, for catalogues of at most four tiers.

In the proxy's config.yaml:

    model_list:
      - model_name: tierwise
        litellm_params:
          model: auto_router/complexity_router
          complexity_router_default_model: frontier       # while there is no sound policy
          complexity_router_config:
            classifier_type: custom
            classifier_plugin: tierwise.serve.litellm_classifier.classifier
            classifier_fallback: default_model
            classifier_plugin_timeout_ms: 50
            max_tokens_from_tier_model: false             # LiteLLM would set its own max_tokens
            tiers: {SIMPLE: small, MEDIUM: mid, COMPLEX: mid-high, REASONING: frontier}

The tiers of the policy are these four names in order, cheap to dear. What a classifier cannot do:
keep LiteLLM's fallbacks away from a pinned step, and write outcomes down. `litellm_hook` does both.
Imported by the proxy only: importing it reads the settings and opens the policy.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

from tierwise.data.errors import BadInput
from tierwise.serve.choose import NONE_ALLOWED
from tierwise.serve.litellm_request import step_of
from tierwise.serve.litellm_settings import decide, load, settings
from tierwise.serve.router import FALLBACK, Router

COMPLEXITIES = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")


class RoutingContext(Protocol):
    """What LiteLLM hands over of a request."""

    structured_messages: list[dict[str, Any]]
    metadata: dict[str, Any]


class TierClassifier:
    """Names the complexity that stands for the tier of a step.

    Parameters
    ----------
    router : Router or None
        The policy; without one every step is left to LiteLLM's `classifier_fallback`.

    Raises
    ------
    BadInput
        Where the policy has more tiers than there are complexities.
    """

    def __init__(self, router: Router | None) -> None:
        tiers = () if router is None else router.manifest.tier_names
        if len(tiers) > len(COMPLEXITIES):
            raise BadInput(
                f"a policy of {len(tiers)} tiers",
                f"at most {len(COMPLEXITIES)}, one for each complexity",
                "use the callback tierwise.serve.litellm_hook.hook",
            )
        self._router = router
        self._complexity = dict(zip(tiers, COMPLEXITIES, strict=False))
        self._columns = frozenset(
            () if router is None else (column.name for column in router.manifest.context)
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> TierClassifier:
        """Return itself: LiteLLM copies its configuration, and a session cannot be copied."""
        return self

    async def classify(self, context: RoutingContext) -> str | None:
        """Return the complexity of a request; None where the policy did not decide."""
        if self._router is None:
            return None
        metadata: Mapping[str, Any] = context.metadata
        data = {
            "messages": context.structured_messages,
            "metadata": metadata,
            "proxy_server_request": {"headers": metadata.get("headers")},
        }
        step = step_of(data, self._columns)
        decision = decide(self._router, step)
        if decision.reason in (FALLBACK, NONE_ALLOWED):
            return None
        return self._complexity[decision.tier]


classifier = TierClassifier(load(settings(os.environ)))
