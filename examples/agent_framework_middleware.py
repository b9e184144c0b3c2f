"""Microsoft Agent Framework: a chat middleware that sets the model of every call of an agent.

    OPENAI_BASE_URL=... OPENAI_API_KEY=... \
        python examples/agent_framework_middleware.py artifacts/fleet/policy "Plan the migration"

A tier's name is the model's name here.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

from agent_framework import Agent, ChatContext, ChatMiddleware
from agent_framework.openai import OpenAIChatCompletionClient

from tierwise.serve import Router


class Routed(ChatMiddleware):
    """Decides before each call, those after a tool's answer included."""

    def __init__(self, router: Router, role: str) -> None:
        self.router, self.role = router, role
        self.tiers: list[str] = []

    async def process(self, context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
        """Choose the tier of one call."""
        options = context.options or {}
        said = [{"role": str(one.role), "content": one.text} for one in context.messages]
        told = options.get("instructions")  # not among the messages, and the model reads them first
        messages = [{"role": "system", "content": told}, *said] if told else said
        decision = self.router.decide(messages, role=self.role)
        self.tiers.append(decision.tier)
        context.options = {**options, "model": decision.tier}
        await call_next()


async def main(policy: str, text: str) -> None:
    """Ask one agent."""
    routed = Routed(Router.load(policy), "planner")
    client = OpenAIChatCompletionClient(model=routed.router.manifest.fallback)
    agent = Agent(client, "You plan the work of others.", name="planner", middleware=[routed])
    answer = await agent.run(text)
    print(f"{', '.join(routed.tiers)}: {answer.text}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
