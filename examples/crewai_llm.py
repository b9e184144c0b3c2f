"""CrewAI: an LLM that asks the policy before every call which tier serves it.

    OPENAI_BASE_URL=... OPENAI_API_KEY=... \
        python examples/crewai_llm.py artifacts/fleet/policy "Plan the migration"

A tier's name is the model's name here.
"""

from __future__ import annotations

import sys
from typing import Any

from crewai import Agent, BaseLLM, Crew, Task
from openai import OpenAI
from pydantic import PrivateAttr

from tierwise.serve import Router


class RoutedLLM(BaseLLM):
    """One for each agent: its role goes into the decision."""

    role: str
    _router: Router = PrivateAttr()
    _client: OpenAI = PrivateAttr(default_factory=OpenAI)
    _tiers: list[str] = PrivateAttr(default_factory=list)

    def __init__(self, router: Router, role: str) -> None:
        super().__init__(model="tierwise", role=role)
        self._router = router

    def call(self, messages: str | list[Any], *_: Any, **__: Any) -> str:
        """Answer the messages with the tier that the policy chooses; tools are left to CrewAI."""
        asked = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        said = [{"role": one["role"], "content": one["content"]} for one in asked]
        tier = self._router.decide(said, role=self.role).tier
        self._tiers.append(tier)
        answer = self._client.chat.completions.create(model=tier, messages=said)
        return answer.choices[0].message.content or ""


def main(policy: str, text: str) -> None:
    """Let a crew of one work on one task."""
    llm = RoutedLLM(Router.load(policy), "planner")
    agent = Agent(role="Planner", goal="Plan the work", backstory="You plan for others.", llm=llm)
    task = Task(description=text, expected_output="A list of steps", agent=agent)
    found = Crew(agents=[agent], tasks=[task]).kickoff()
    print(f"{', '.join(llm._tiers)}: {found.raw}")


if __name__ == "__main__":
    main(*sys.argv[1:])
