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
Imported by the proxy only: importing it reads the settings, opens the policy and follows the folder
that it is in.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

from tierwise.data.errors import BadInput
from tierwise.serve.choose import NONE_ALLOWED
from tierwise.serve.litellm_policy import Policy, columns, decide
from tierwise.serve.litellm_request import step_of
from tierwise.serve.litellm_settings import settings
from tierwise.serve.router import FALLBACK

COMPLEXITIES = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")


class RoutingContext(Protocol):
    """What LiteLLM hands over of a request."""

    structured_messages: list[dict[str, Any]]
    metadata: dict[str, Any]


class TierClassifier:
    """Names the complexity that stands for the tier of a step.

    Parameters
    ----------
    policy : Policy
        While it has no sound bundle every step is left to LiteLLM's `classifier_fallback`.

    Raises
    ------
    BadInput
        Where the policy has more tiers than there are complexities.
    """

    def __init__(self, policy: Policy) -> None:
        if len(policy.tiers) > len(COMPLEXITIES):
            raise BadInput(
                f"a policy of {len(policy.tiers)} tiers",
                f"at most {len(COMPLEXITIES)}, one for each complexity",
                "use the callback tierwise.serve.litellm_hook.hook",
            )
        self._policy = policy

    def __deepcopy__(self, memo: dict[int, Any]) -> TierClassifier:
        """Return itself: LiteLLM copies its configuration, and a session cannot be copied."""
        return self

    async def classify(self, context: RoutingContext) -> str | None:
        """Return the complexity of a request; None where the policy did not decide."""
        router = self._policy.router
        if router is None:
            return None
        metadata: Mapping[str, Any] = context.metadata
        data = {
            "messages": context.structured_messages,
            "metadata": metadata,
            "proxy_server_request": {"headers": metadata.get("headers")},
        }
        decision = decide(router, step_of(data, columns(router)))
        if decision.reason in (FALLBACK, NONE_ALLOWED):
            return None
        # By the first bundle's tiers, which the configuration was written for: a later bundle may
        # have fewer. One of more than four that came after a broken one has no name beyond.
        return dict(zip(self._policy.tiers, COMPLEXITIES, strict=False)).get(decision.tier)


def _following() -> Policy:
    policy = Policy(settings(os.environ))
    policy.follow()
    return policy


classifier = TierClassifier(_following())
