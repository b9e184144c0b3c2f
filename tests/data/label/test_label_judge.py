"""A judge's reply counts only where it is a number, and its agreement with itself is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tierwise.data.errors import BadInput
from tierwise.data.label_endpoint import Endpoint
from tierwise.data.label_judge import (
    UNREADABLE,
    agreement,
    by_function,
    by_model,
    parse,
    question,
    read_rubric,
)
from tierwise.data.label_price import Arm

ARM = Arm("large", "large-model", None, 10.0, 10.0, 20.0)
ASKED = {"text": "what is asked", "answer": "what was said", "tier": "small"}


@pytest.mark.parametrize(
    ("reply", "quality"),
    [("1", 1.0), ("0", 0.0), (" 0.75\n", 0.75), ("1.0", 1.0), (".5", 0.5), ("0.", None)]
    + [(bad, None) for bad in ("", "1.1", "2", "-0.5", "0.7.", "0.7/1", "score: 0.7", "nan")]
    + [
        (bad, None)
        for bad in ("1e-1", "0,5", "\u0660.\u0665", "0.5 0.6", "yes", "10", "1.01", "00.5")
    ],
)
def test_a_reply_is_one_number_of_0_to_1_and_nothing_else(
    reply: str, quality: float | None
) -> None:
    assert parse(reply) == quality


def test_kappa_is_the_agreement_beyond_chance() -> None:
    # 20 ok twice, 5 ok then not, 10 not then ok, 15 not twice: p_o = .7, p_e = .5
    pairs = [(1.0, 1.0)] * 20 + [(1.0, 0.0)] * 5 + [(0.0, 1.0)] * 10 + [(0.0, 0.0)] * 15
    found = agreement(pairs)
    assert found.answers == 50
    assert found.equal == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)
    assert found.difference == pytest.approx(0.3)


def test_qualities_on_one_side_of_ok_are_the_same_verdict() -> None:
    assert agreement([(0.9, 0.6), (0.1, 0.4)]).equal == 1.0


def test_kappa_is_not_defined_where_all_verdicts_are_alike() -> None:
    assert agreement([(1.0, 0.9)] * 5).kappa is None
    assert agreement([]).equal is None


def test_the_second_time_the_answer_stands_first() -> None:
    first, second = (question("be fair", "Q?", "A!", repeat)[1]["content"] for repeat in (0, 1))
    assert first.index("Q?") < first.index("A!")
    assert second.index("A!") < second.index("Q?")


def test_a_model_judges_with_the_rubric_and_another_seed_the_second_time(api: Any) -> None:
    api.reply = lambda number, body: api.Reply("0.25")
    verdict = by_model(Endpoint(api.url), ARM, "be fair")
    outcomes = [verdict(ASKED, repeat) for repeat in (0, 1)]
    assert [outcome.result for outcome in outcomes] == [{"quality": 0.25}] * 2
    assert outcomes[0].paid_usd == pytest.approx((10 * 10 + 5 * 20) / 1e6)
    assert [body["seed"] for body in api.bodies] == [0, 1]
    assert api.bodies[0]["messages"][0]["content"].startswith("be fair")


def test_a_reply_that_is_no_number_is_paid_for_and_not_a_quality(api: Any) -> None:
    api.reply = lambda number, body: api.Reply("I would say 0.7")
    outcome = by_model(Endpoint(api.url), ARM, "be fair")(ASKED, 0)
    assert (outcome.result, outcome.error) == (None, UNREADABLE)
    assert outcome.paid_usd == pytest.approx((10 * 10 + 5 * 20) / 1e6)
    assert not outcome.again


@pytest.mark.parametrize(
    ("said", "quality", "paid"),
    [
        (0.5, 0.5, None),
        ("0.5", 0.5, None),
        ({"quality": 1, "cost_usd": 0.01}, 1.0, 0.01),
        ({"quality": "0.25", "cost_usd": 0.0}, 0.25, 0.0),
    ],
)
def test_a_function_judges_with_a_number_or_a_mapping(
    said: Any, quality: float, paid: float | None
) -> None:
    outcome = by_function(lambda request: said, ARM)(ASKED, 0)
    assert outcome.result == {"quality": quality}
    assert outcome.paid_usd == paid


def test_a_function_is_told_which_time_it_is() -> None:
    told: list[Mapping[str, Any]] = []

    def judge(request: Mapping[str, Any]) -> float:
        told.append(request)
        return 1.0

    verdict = by_function(judge, ARM)
    verdict(ASKED, 0)
    verdict(ASKED, 1)
    assert [request["repeat"] for request in told] == [0, 1]
    assert told[0]["answer"] == "what was said"


def raising(request: Mapping[str, Any]) -> float:
    raise ValueError("the text was: secret")


@pytest.mark.parametrize("said", [1.5, float("nan"), [1], "good", None, True])
def test_anything_else_a_function_says_is_no_quality(said: Any) -> None:
    outcome = by_function(lambda request: said, ARM)(ASKED, 0)
    assert outcome.result is None
    assert not outcome.again


def test_what_a_function_raises_is_told_without_its_text() -> None:
    assert by_function(raising, ARM)(ASKED, 0).error == "the callable raised ValueError"


def test_an_empty_or_missing_rubric_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.md").write_text("\n")
    for name in ("empty.md", "gone.md"):
        with pytest.raises(BadInput, match="rubric"):
            read_rubric(tmp_path / name)
