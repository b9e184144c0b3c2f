"""Validators: what passes, what fails, and that what could not be checked never passes."""

from __future__ import annotations

import math
import re
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Event, Thread
from typing import Any

import pytest
from pydantic import BaseModel

from tierwise.data.errors import BadInput
from tierwise.serve import validators_run
from tierwise.serve.validators import (
    LARGEST,
    PASS,
    Check,
    Validator,
    has_fields,
    holds,
    judged,
    number_between,
    one_of,
    python_parses,
)
from tierwise.serve.validators_diff import diff_applies
from tierwise.serve.validators_json import json_schema, pydantic_model
from tierwise.serve.validators_regex import matches
from tierwise.serve.validators_run import run_validators


class Invoice(BaseModel):
    total: float
    currency: str


DATED = json_schema(
    {
        "type": "object",
        "properties": {"date": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"}},
        "patternProperties": {"^n_": {"type": "integer"}},
        "required": ["date"],
    }
)
BEFORE = {"src/sheep.py": "one\ntwo\nthree\nfour\nfive\n"}
DIFF = """\
--- a/src/sheep.py
+++ b/src/sheep.py
@@ -1,3 +1,3 @@
 one
-two
+too
 three
"""


@pytest.mark.parametrize(
    ("validator", "output", "verdict"),
    [
        (one_of(["yes", "no"]), " yes\n", "pass"),
        (one_of(["yes", "no"]), "maybe", "fail"),
        (number_between(0, 10), "10", "pass"),
        (number_between(0, 10), 10.5, "fail"),
        (number_between(), "nan", "fail"),
        (number_between(), None, "fail"),
        (has_fields("a", "b"), '{"a": 1, "b": 0}', "pass"),
        (has_fields("a", "b"), {"a": 1, "b": None}, "fail"),
        (has_fields("a"), "[1]", "fail"),
        (has_fields("a"), '{"a": NaN}', "fail"),
        (python_parses, "def f(x):\n    return x + 1", "pass"),
        (python_parses, "def f(x:\n    return", "fail"),
        (python_parses, "a\0b", "fail"),
        (python_parses, "1\n" * LARGEST, "unchecked"),
        (holds(lambda output: len(output) < 5, "too long"), "abc", "pass"),
        (holds(lambda output: len(output) < 5, "too long"), "abcde", "fail"),
        (matches(r"\d+ sheep"), "12 sheep", "pass"),
        (matches(r"\d+ sheep"), "12 sheep or so", "fail"),
        (DATED, '{"date": "2026-01-31", "n_pages": 3}', "pass"),
        (DATED, {"date": "2026-01-31"}, "pass"),
        (DATED, '{"date": "31 January"}', "fail"),
        (DATED, '{"date": "2026-01-31", "n_pages": "three"}', "fail"),
        (DATED, "{}", "fail"),
        (DATED, "The date is 2026-01-31.", "fail"),
        (DATED, '{"date": NaN}', "fail"),
        (DATED, "[" * 100_000, "fail"),
        (DATED, " " * LARGEST + "{}", "unchecked"),
        (pydantic_model(Invoice), '{"total": 3.5, "currency": "EUR"}', "pass"),
        (pydantic_model(Invoice), '{"total": "much", "currency": "EUR"}', "fail"),
        (pydantic_model(Invoice), "no json", "fail"),
    ],
)
def test_a_validator_tells_valid_from_invalid(
    validator: Validator, output: Any, verdict: str
) -> None:
    check = validator(output)
    assert check.verdict == verdict
    assert bool(check.why) == (verdict != "pass")


def test_python_is_parsed_and_never_run() -> None:
    assert python_parses("import os\nos.abort()").verdict == "pass"


@pytest.mark.parametrize(
    ("diff", "verdict"),
    [
        (DIFF, "pass"),
        (DIFF.rstrip("\n"), "pass"),
        ("Here is the change:\n\n" + DIFF, "pass"),
        (DIFF.replace("-1,3 +1,3", "-2,3 +2,3"), "pass"),  # wrong numbers, right lines
        (DIFF.replace(" three", " tree"), "fail"),
        (DIFF.replace("-1,3", "-1,4"), "fail"),
        (DIFF.replace("src/sheep", "src/goat"), "fail"),
        ("--- a/src/sheep.py\n+++ b/src/sheep.py\n", "fail"),
        ("two becomes too", "fail"),
        ("", "fail"),
        ("--- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+new\n", "pass"),
        ("--- /dev/null\n+++ b/src/sheep.py\n@@ -0,0 +1 @@\n+new\n", "fail"),
        (
            "--- a/src/sheep.py\n+++ /dev/null\n"
            "@@ -1,5 +0,0 @@\n-one\n-two\n-three\n-four\n-five\n",
            "pass",
        ),
        ("--- a/src/sheep.py\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-one\n-two\n", "fail"),
        (
            "diff --git a/a.png b/a.png\nindex 1..2 100644\n"
            "Binary files a/a.png and b/a.png differ\n",
            "unchecked",
        ),
    ],
)
def test_a_diff_passes_where_its_lines_stand_in_the_files(diff: str, verdict: str) -> None:
    assert diff_applies(BEFORE)(diff).verdict == verdict


def test_hunks_fit_one_after_the_other() -> None:
    last, first = "@@ -4,2 +4 @@\n four\n-five\n", "@@ -1,2 +1 @@\n-one\n two\n"
    head = "--- a/src/sheep.py\n+++ b/src/sheep.py\n"
    assert diff_applies(BEFORE)(head + first + last).verdict == "pass"
    assert diff_applies(BEFORE)(head + last + first).verdict == "fail"


def test_a_judge_says_how_good_an_answer_is_and_what_asking_cost() -> None:
    good, bad = judged(lambda _: (0.8, 0.002))("x"), judged(lambda _: (0.3, 0.002))("x")
    assert (good.verdict, good.quality, good.cost_usd) == ("pass", 0.8, 0.002)
    assert (bad.verdict, bad.quality, bad.cost_usd) == ("fail", 0.3, 0.002)


def test_a_judge_who_could_not_tell_leaves_the_answer_unchecked_and_is_paid() -> None:
    check = judged(lambda _: (math.nan, 0.002))("x")
    assert (check.verdict, check.quality, check.cost_usd) == ("unchecked", None, 0.002)


def crashes(output: Any) -> Check:
    raise RuntimeError("broken")


def leaves(output: Any) -> Check:
    raise SystemExit(1)


def nests(output: Any) -> Check:
    return nests(output)


def says_yes(output: Any) -> Any:
    return True


@pytest.mark.parametrize("validator", [crashes, leaves, nests, says_yes])
def test_a_validator_that_breaks_leaves_the_output_unchecked(validator: Validator) -> None:
    checked = run_validators("x", [validator, lambda _: PASS])
    assert [check.verdict for check in checked.checks] == ["unchecked", "pass"]
    assert (checked.verdict, checked.valid) == ("unchecked", None)


def test_a_validator_that_hangs_is_left_and_the_output_is_unchecked() -> None:
    go_on = Event()

    def hangs(output: Any) -> Check:
        go_on.wait()
        return PASS

    checked = run_validators("x", [hangs], timeout_s=0.05)
    assert checked.verdict == "unchecked"
    assert validators_run._Call.hanging == 1
    go_on.set()
    deadline = time.monotonic() + 5
    while validators_run._Call.hanging and time.monotonic() < deadline:
        time.sleep(0.001)
    assert validators_run._Call.hanging == 0


def test_hanging_validators_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validators_run._Call, "hanging", validators_run.MOST_HANGING)
    called = []
    checked = run_validators("x", [lambda output: called.append(output) or PASS])  # type: ignore[func-returns-value]
    assert checked.verdict == "unchecked"
    assert not called


def test_an_exploding_pattern_is_given_up() -> None:
    """`re` would hold the whole interpreter for years."""
    assert matches(r"(x|x)*y", timeout_s=0.1)("x" * 40 + "zy").verdict == "unchecked"


def test_an_exploding_pattern_in_a_schema_is_matched_in_linear_time() -> None:
    schema = {
        "properties": {"a": {"pattern": "^(x|x)*y"}},
        "patternProperties": {"^(x|x)*y": True},
        "additionalProperties": {"type": "string"},
    }
    checked = run_validators(
        {"a": "x" * 1000 + "zy", "x" * 1000 + "zy": "b"}, [json_schema(schema)]
    )
    assert checked.verdict == "fail"


def test_validators_after_a_failed_one_are_not_asked() -> None:
    checked = run_validators("maybe", [one_of(["yes"]), judged(lambda _: (1.0, 5.0))])
    assert checked.verdict == "fail"
    assert checked.cost_usd == 0


def test_valid_is_what_the_code_says_and_quality_what_the_judge_says() -> None:
    checked = run_validators("yes", [one_of(["yes"]), judged(lambda _: (0.2, 0.001))])
    assert (checked.verdict, checked.valid) == ("fail", True)
    assert checked.quality is not None
    assert checked.quality.quality == 0.2
    assert run_validators("yes", [judged(lambda _: (0.9, 0.0))]).valid is None


def test_without_validators_an_output_is_unchecked() -> None:
    assert (run_validators("x", []).verdict, run_validators("x", []).valid) == ("unchecked", None)


@pytest.mark.parametrize(
    "make",
    [
        lambda: matches("("),
        lambda: json_schema({"type": "sheep"}),
        lambda: json_schema({"properties": {"a": {"pattern": "(?<=a)b"}}}),
    ],
)
def test_a_validator_that_cannot_work_is_refused_when_it_is_made(make: Any) -> None:
    with pytest.raises(BadInput):
        make()


def test_a_schema_elsewhere_is_refused_and_not_fetched() -> None:
    fetched = []

    class Schemas(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fetched.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Schemas) as server:
        serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        url = f"http://127.0.0.1:{server.server_port}/schema.json"
        try:
            with pytest.raises(BadInput):
                json_schema({"$ref": url})
        finally:
            server.shutdown()
            serving.join()
    assert not fetched


@pytest.mark.parametrize(
    ("module", "make"),
    [
        ("jsonschema_rs", lambda: json_schema({})),
        ("pydantic", lambda: pydantic_model(Invoice)),
        ("regex", lambda: matches("x")),
        ("unidiff.patch", lambda: diff_applies({})),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    module: str, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(BadInput, match=re.escape("tierwise[validators]")):
        make()
