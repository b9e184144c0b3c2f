"""What came of a call is written down with the model that really answered."""

from __future__ import annotations

from tests.litellm.proxies import Proxy, served
from tierwise.serve.router import Router

Steps = dict[tuple[str, str], str]


def step_with(steps: Steps, down: str, *, sound: bool) -> tuple[str, str]:
    return next(step for step, tier in steps.items() if (tier != down) == sound)


def test_a_call_that_answered_is_a_row_of_the_trace_table(
    proxy: Proxy, router: Router, steps: Steps, down: str
) -> None:
    text, role = step_with(steps, down, sound=True)
    metadata = {"trace_id": "answered", "step_id": "s1", "role": role, "tenant": "acme"}
    tier = served(proxy.ask(text, metadata=metadata))
    (row,) = proxy.rows("answered", 1)
    assert row["tier"] == tier == steps[text, role]
    assert row["model"] == f"openai/{tier}-model"
    assert (row["step_id"], row["role"], row["tenant"]) == ("s1", role, "acme")
    assert row["policy_version"] == router.manifest.policy_version
    assert (row["attempt"], row["feedback_source"], row["propensity"]) == (0, "serve", 1.0)
    assert row["input_tokens"] > 0
    assert row["output_tokens"] > 0
    assert row["latency_s"] > 0
    assert row["error"] is None
    assert row["quality"] is None  # nobody has read the answer


def test_after_a_fallback_of_litellm_the_row_names_the_model_that_answered(
    proxy: Proxy, steps: Steps, down: str, fallback: str
) -> None:
    text, role = step_with(steps, down, sound=False)
    metadata = {"trace_id": "fell-back", "role": role}
    assert served(proxy.ask(text, metadata=metadata)) == fallback
    failed, answered = proxy.rows("fell-back", 2)
    assert (failed["tier"], failed["attempt"]) == (down, 0)
    assert failed["step_id"] == answered["step_id"]
    assert failed["error"] == "InternalServerError"
    assert failed["quality"] is None
    assert failed["valid"] is None  # an outage says nothing about answers
    assert (answered["tier"], answered["attempt"]) == (fallback, 1)
    assert answered["model"] == f"openai/{fallback}-model"
    assert (answered["feedback_source"], answered["propensity"]) == ("retry", None)


def test_a_refused_pin_leaves_the_failed_call_and_nothing_else(proxy: Proxy, down: str) -> None:
    proxy.ask("Hello", metadata={"trace_id": "refused", "tier": down})
    proxy.ask("Hello", metadata={"trace_id": "refused-after"})  # written after it
    proxy.rows("refused-after", 1)
    (row,) = proxy.rows("refused", 1)
    assert (row["tier"], row["error"]) == (down, "InternalServerError")


def test_a_streamed_answer_is_one_row(proxy: Proxy, steps: Steps, down: str) -> None:
    text, role = step_with(steps, down, sound=True)
    metadata = {"trace_id": "streamed", "role": role}
    answer = proxy.ask(text, metadata=metadata, stream=True)
    assert answer.text.endswith("data: [DONE]\n\n")
    (row,) = proxy.rows("streamed", 1)
    assert row["tier"] == steps[text, role]
    assert row["error"] is None


def test_the_text_is_written_only_where_the_operator_asked_for_it(
    proxy: Proxy, broken: Proxy
) -> None:
    for one, wanted in ((proxy, ""), (broken, "A secret of mine")):
        served(one.ask("A secret of mine", metadata={"trace_id": "secret"}))
        (row,) = one.rows("secret", 1)
        assert row["text"] == wanted
    assert "secret of mine" not in proxy.outcomes.read_text()


def test_a_session_of_litellm_is_a_trace(proxy: Proxy) -> None:
    served(proxy.ask("Hello", {"x-litellm-session-id": "session-9"}))
    assert len(proxy.rows("session-9", 1)) == 1
