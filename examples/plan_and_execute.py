"""A planner and its workers in plain Python: every step asks the policy which tier serves it.

    python examples/plan_and_execute.py artifacts/fleet/policy

An answer that fails its check goes one rung up. `call_model` stands for your provider's client: it
makes answers up, so that the example runs without any model.
"""

from __future__ import annotations

import json
import sys

from tierwise.serve import Router
from tierwise.serve.escalate import Answer, Outcome, run
from tierwise.serve.validators import has_fields

GOAL = "Plan the migration of the billing service to the new database, step by step."
PLAN = {
    "steps": [
        {"role": "extractor", "task": "Extract the invoice date and the total as JSON."},
        {"role": "coder", "task": "Rename the columns of the invoice table and of its readers."},
        {"role": "critic", "task": "Review the migration: which records could be lost?"},
    ]
}


def call_model(tier: str, prompt: str) -> Answer:
    """Answer a plan to the goal, and something without the wanted fields from the cheapest tier."""
    if prompt == GOAL:
        return Answer(json.dumps(PLAN))
    return Answer("{}" if tier == "small" else json.dumps({"result": f"{tier} did: {prompt}"}))


def main(policy: str = "artifacts/fleet/policy") -> None:
    """Plan, carry out, say who did what; the last lines are rows of the trace table."""
    router = Router.load(policy)
    planned = run(router, GOAL, call_model, [has_fields("steps")], role="planner")
    done: list[Outcome] = [planned]
    for step in json.loads(planned.output)["steps"]:
        before = {"is_recovery": False, "previous_tier": done[-1].attempts[-1].tier}
        done.append(
            run(
                router, step["task"], call_model, [has_fields("result")],
                role=step["role"], **before,
            )
        )  # fmt: skip
    for outcome in done:
        tiers = " -> ".join(attempt.tier for attempt in outcome.attempts)
        print(f"{tiers}: {outcome.status}, {outcome.decision.reason}, {outcome.step}")
    for number, outcome in enumerate(done):
        for row in outcome.rows(trace_id="migration", step_id=f"s{number}", step_index=number):
            print(json.dumps({name: value for name, value in row.items() if value is not None}))


if __name__ == "__main__":
    main(*sys.argv[1:])
