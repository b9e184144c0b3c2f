"""A LangGraph node whose model the policy chooses, by the text and by the node's role.

    OPENAI_BASE_URL=... OPENAI_API_KEY=... \
        python examples/langgraph_node.py artifacts/fleet/policy "Plan the migration"

A tier's name is the model's name here.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from openai import OpenAI

from tierwise.serve import Router


class State(TypedDict):
    """What the nodes share: the conversation, and which tier served each of its steps."""

    messages: Annotated[list[dict[str, Any]], operator.add]
    tiers: Annotated[list[str], operator.add]


def routed(router: Router, client: OpenAI, role: str) -> Callable[[State], dict[str, Any]]:
    """Return a node that answers the conversation so far, in a role."""

    def node(state: State) -> dict[str, Any]:
        before = state["tiers"][-1] if state["tiers"] else None
        decision = router.decide(state["messages"], role=role, previous_tier=before)
        answer = client.chat.completions.create(model=decision.tier, messages=state["messages"])
        message = {"role": "assistant", "content": answer.choices[0].message.content}
        return {"messages": [message], "tiers": [decision.tier]}

    return node


def graph(router: Router, client: OpenAI) -> Any:
    """Return a graph of two nodes, a planner and a critic."""
    builder = StateGraph(State)
    builder.add_node("plan", routed(router, client, "planner"))
    builder.add_node("review", routed(router, client, "critic"))
    builder.add_edge(START, "plan")
    builder.add_edge("plan", "review")
    builder.add_edge("review", END)
    return builder.compile()


if __name__ == "__main__":
    policy, text = sys.argv[1:]
    asked = {"messages": [{"role": "user", "content": text}], "tiers": []}
    found = graph(Router.load(policy), OpenAI()).invoke(asked)
    for tier, message in zip(found["tiers"], found["messages"][1:], strict=True):
        print(f"{tier}: {message['content']}")
