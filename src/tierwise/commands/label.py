"""Other tiers' answers and judges' words for logged steps: `label plan`, `label run`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Annotated

import typer

from tierwise.commands.output import AsJson, show


def label_plan(
    traces: Annotated[Path, typer.Argument(help="The folder of a run, or a trace table.")],
    budget_usd: Annotated[float, typer.Option(help="For all calls, the judge's too.")],
    tiers: Annotated[
        str, typer.Option(help="Replay on these, joined by commas; without: all; none: no replay.")
    ] = "",
    judge: Annotated[
        bool, typer.Option("--judge", help="Judge replays, and logged answers without quality.")
    ] = False,
    judge_tier: Annotated[str, typer.Option(help="Who judges; the dearest tier without.")] = "",
    per_role: Annotated[
        str, typer.Option(help="At least so many steps of a role: critic=200,coder=100.")
    ] = "",
    max_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 1024,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    catalogue: Annotated[
        Path | None, typer.Option(help="A tier catalogue in YAML, with prices.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The plan's file.")] = Path("plan.json"),
    as_json: AsJson = False,
) -> None:
    """Plan which traces to label. Shows the price, and which promise the labels will allow.

    Example: tierwise label plan artifacts/fleet --budget-usd 20 --judge --out plan.json
    """
    from tierwise.data.label_command import plan_labels
    from tierwise.data.label_open import Request

    asked = Request(budget_usd, (), max_tokens=max_tokens, seed=seed)
    told, lines = plan_labels(traces, catalogue, tiers, judge, judge_tier, per_role, asked, out)
    show(told, as_json, lines)


def label_run(
    plan: Annotated[Path, typer.Argument(help="What label plan wrote.")],
    traces: Annotated[Path, typer.Argument(help="The log that the plan was made of.")],
    endpoint: Annotated[
        str, typer.Option(help="An OpenAI-compatible API: http://127.0.0.1:4000/v1.")
    ] = "",
    function: Annotated[
        str, typer.Option("--callable", help="Or a function of yours: module:function.")
    ] = "",
    judge_endpoint: Annotated[str, typer.Option(help="The same, for the judge.")] = "",
    judge_function: Annotated[
        str, typer.Option("--judge-callable", help="The same, for the judge.")
    ] = "",
    rubric: Annotated[
        Path | None, typer.Option(help="Instructions of a judge behind an endpoint.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder of the results.")] = Path(
        "artifacts/labels"
    ),
    budget_usd: Annotated[
        float, typer.Option(help="Cap on all runs into this folder; the plan's without.")
    ] = math.nan,
    concurrency: Annotated[int, typer.Option(help="Calls at a time.")] = 4,
    double_judged: Annotated[float, typer.Option(help="Share judged twice.")] = 0.1,
    models: Annotated[
        str, typer.Option(help="What the endpoint calls the tiers: small=gpt-5-mini.")
    ] = "",
    catalogue: Annotated[Path | None, typer.Option(help="As for the plan.")] = None,
    key_variable: Annotated[
        str, typer.Option("--key-env", help="The environment variable with the API key.")
    ] = "OPENAI_API_KEY",
    judge_key_variable: Annotated[
        str, typer.Option("--judge-key-env", help="The same, for the judge.")
    ] = "OPENAI_API_KEY",
    timeout_s: Annotated[float, typer.Option(help="For one answer.")] = 120.0,
    tries: Annotated[int, typer.Option(help="Of one call, after 429 and 5xx.")] = 4,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Call again what failed for good.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Carry a plan out. Goes on where it stopped; exit code 1 where something is still missing.

    Example: tierwise label run plan.json artifacts/fleet --endpoint http://127.0.0.1:4000/v1
    """
    from tierwise.data.label_command import Who, run_labels
    from tierwise.data.label_work import Limits

    answers = Who(endpoint, function, key_variable, timeout_s)
    judges = Who(judge_endpoint, judge_function, judge_key_variable, timeout_s)
    limits = Limits(budget_usd, concurrency, tries)
    try:
        report = run_labels(
            plan, traces, catalogue, out, answers, judges, rubric, double_judged, models,
            limits, retry_errors,
        )  # fmt: skip
    except KeyboardInterrupt:
        print(
            f"tierwise: interrupted; {out / 'journal.jsonl'} has every answer so far, and the "
            "same command goes on",
            file=sys.stderr,
        )
        raise SystemExit(130) from None
    show(report.as_dict(), as_json, [*report.lines(), f"written to {out}"])
    if not report.complete:
        raise SystemExit(1)
