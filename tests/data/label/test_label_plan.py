"""What a plan holds, what it costs, and what it never holds: text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tierwise.data.errors import BadInput
from tierwise.data.label_file import read_plan, write_plan
from tierwise.data.label_open import RUBRIC_BYTES
from tierwise.data.label_plan import lines

Rows = Callable[..., list[dict[str, Any]]]
NAMES = ("small", "mid", "large")


def test_every_step_of_a_drawn_trace_is_replayed_on_the_tiers_that_have_not_answered(
    log: Any, rows: Rows, plan_of: Any
) -> None:
    table = rows()
    plan, _ = plan_of(log.write(table), 0.3, tiers=("small", "large"))
    served = {(row["trace_id"], row["step_id"]): row["tier"] for row in table}
    assert 5 < len(plan.traces) < 60
    for trace in plan.traces:
        got = {step.step_id: set(step.replay) for step in trace.steps}
        wanted = {
            str(step): {"small", "large"} - {served[trace.trace_id, str(step)]} for step in range(4)
        }
        assert got == wanted


def test_the_price_is_tokens_times_the_catalogues_price(log: Any, rows: Rows, plan_of: Any) -> None:
    plan, _ = plan_of(log.write(rows(1)), tiers=("small",))
    # tiers served: small mid large small: two replays on small, 100 tokens in and 50 out each
    assert plan.price_usd == pytest.approx(2 * (100 * 1 + 50 * 2) / 1e6)


def test_without_token_counts_the_texts_length_gives_the_price(
    log: Any, rows: Rows, plan_of: Any
) -> None:
    long = rows(1, text="x" * 40_000, input_tokens=None, output_tokens=None, cost_usd=0.1)
    short = rows(1, text="x" * 4_000, input_tokens=None, output_tokens=None, cost_usd=0.1)
    price = [plan_of(log.write(table), tiers=("small",))[0].price_usd for table in (long, short)]
    assert price[0] - price[1] == pytest.approx(2 * 36_000 / 4 * 1 / 1e6)


def test_a_judge_is_in_the_price_with_the_answers_judged_twice(
    log: Any, rows: Rows, plan_of: Any
) -> None:
    source = log.write(rows(1, quality=None))
    without, _ = plan_of(source, tiers=("small",))
    judged, _ = plan_of(source, tiers=("small",), judge="large")
    text, answer = len("question 0 of task 0"), len("answer 0")
    replayed = 2 * ((text + RUBRIC_BYTES) / 4 + 50)
    logged = 4 * (text + answer + RUBRIC_BYTES) / 4
    verdicts = (replayed + logged) * 10 + 6 * 8 * 20
    assert judged.price_usd - without.price_usd == pytest.approx(1.1 * verdicts / 1e6)


def test_a_judge_takes_logged_answers_without_quality_and_no_others(
    log: Any, rows: Rows, plan_of: Any
) -> None:
    table = rows(2, quality=None)
    table[0]["quality"] = 1.0
    del table[1]["output_text"]
    plan, _ = plan_of(log.write(table), tiers=(), judge="large")
    judged = {(t.trace_id, s.step_id): s.judge for t in plan.traces for s in t.steps}
    assert len(judged) == 6
    assert judged["t000", "2"] == ("large",)


def test_the_price_is_within_the_budget(log: Any, rows: Rows, plan_of: Any) -> None:
    source = log.write(rows())
    for seed in range(6):
        assert 0.1 < plan_of(source, 0.2, seed=seed)[0].price_usd <= 0.2


def test_the_plan_holds_no_text_of_the_log(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path
) -> None:
    table = rows(text="a secret question", output_text="a secret answer", agent="secret-agent")
    plan, _ = plan_of(log.write(table), judge="large")
    write_plan(tmp_path / "plan.json", plan)
    assert "secret" not in (tmp_path / "plan.json").read_text()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_draw(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path
) -> None:
    source = log.write(rows())
    written = []
    for place, seed in enumerate((0, 0, 1)):
        write_plan(tmp_path / f"{place}.json", plan_of(source, 0.3, seed=seed)[0])
        written.append((tmp_path / f"{place}.json").read_bytes())
    assert written[0] == written[1] != written[2]


def test_a_plan_that_is_read_back_is_the_same(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path
) -> None:
    plan, _ = plan_of(log.write(rows()), 0.3, judge="large")
    write_plan(tmp_path / "plan.json", plan)
    assert read_plan(tmp_path / "plan.json") == plan


@pytest.mark.parametrize(
    "damage",
    [{"version": 2}, {"traces": 3}, {"arms": [{"name": "x"}]}, {"arms": []}, {"judge": "nobody"}],
)
def test_a_damaged_plan_is_refused(
    log: Any, rows: Rows, plan_of: Any, tmp_path: Path, damage: dict[str, Any]
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan_of(log.write(rows()))[0].as_dict() | damage))
    with pytest.raises(BadInput, match=r"plan\.json"):
        read_plan(path)


def test_it_says_how_many_paired_steps_there_will_be_and_how_many_lack(
    log: Any, rows: Rows, plan_of: Any
) -> None:
    plan, feedback = plan_of(log.write(rows()), 0.3)
    steps = sum(len(trace.steps) for trace in plan.traces)
    assert (feedback.kind, feedback.paired_steps) == ("mixed", steps)
    said = "\n".join(lines(plan, feedback))
    assert f"{2500 - steps:,} more steps with the quality of several tiers needed" in said
    assert f"the {2500 - steps:,} steps that retain lacks: about" in said


def test_replays_beside_answers_without_quality_make_no_pair(
    log: Any, rows: Rows, plan_of: Any
) -> None:
    source = log.write(rows(quality=None, output_text=None))
    _, two = plan_of(source, tiers=("small",), judge="large")
    assert two.paired_steps == 0
    _, three = plan_of(source, judge="large")
    assert three.paired_steps == 240  # two replays beside each


def test_steps_wanted_of_a_role_are_drawn_more_often(log: Any, rows: Rows, plan_of: Any) -> None:
    source = log.write(rows(role="worker")[:-4] + rows(60, role="critic")[-4:])
    plan, _ = plan_of(source, 0.1, per_role={"critic": 4})
    assert {s.role: s.probability for s in plan.strata}["critic"] == 1
    assert any(trace.probability == 1 for trace in plan.traces)


def test_where_every_named_tier_has_answered_there_is_nothing_to_ask(
    log: Any, rows: Rows, plan_of: Any
) -> None:
    with pytest.raises(BadInput, match="nothing to ask"):
        plan_of(log.write(rows(tier="small") + rows(tier="mid")), tiers=("small", "mid"))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"tiers": ("huge",)}, "no tier 'huge'"),
        ({"judge": "huge"}, "no tier 'huge'"),
        ({"budget_usd": float("nan")}, "budget of nan"),
        ({"max_tokens": 0}, "max-tokens 0"),
    ],
)
def test_wrong_wishes_are_refused(
    log: Any, rows: Rows, plan_of: Any, asked: dict[str, Any], found: str
) -> None:
    with pytest.raises(BadInput, match=found):
        plan_of(log.write(rows()), **asked)


def test_a_tier_without_a_price_is_refused_only_where_it_is_wanted(
    log: Any, rows: Rows, plan_of: Any
) -> None:
    log.tiers.write_text(
        "- {name: small, price_in: 1, price_out: 2}\n- {name: mid, models: [nobody-knows-it]}\n"
        "- {name: large, price_in: 3, price_out: 4}\n"
    )
    source = log.write(rows(input_tokens=None, cost_usd=0.1))
    assert plan_of(source, tiers=("small",))[0].traces
    with pytest.raises(BadInput, match="no price of the tiers mid"):
        plan_of(source, tiers=("small", "mid"))
