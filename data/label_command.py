"""`tierwise label plan` and `label run`: what was typed becomes a plan, or a run of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tierwise.data.errors import BadInput
from tierwise.data.label_calls import call, function
from tierwise.data.label_endpoint import Endpoint, ask, endpoint
from tierwise.data.label_file import Plan, read_plan, write_plan
from tierwise.data.label_judge import by_function, by_model, read_rubric
from tierwise.data.label_open import Request
from tierwise.data.label_plan import lines, make_plan
from tierwise.data.label_report import Report
from tierwise.data.label_run import Answer, Judge, run
from tierwise.data.label_steps import locate, survey
from tierwise.data.label_work import Limits

NO_TIERS = "none"
"""What to write for --tiers so that nothing is replayed."""


@dataclass(frozen=True)
class Who:
    """Who answers, or who judges.

    Attributes
    ----------
    url : str
        An OpenAI-compatible endpoint, or "".
    function : str
        module:function, or "".
    key_variable : str
        The environment variable that holds the endpoint's key.
    timeout_s : float
        For one answer of the endpoint.
    """

    url: str
    function: str
    key_variable: str
    timeout_s: float

    def endpoint(self) -> Endpoint:
        """Return the endpoint."""
        return endpoint(self.url, self.key_variable, self.timeout_s)


def plan_labels(
    traces: Path,
    catalogue: Path | None,
    tiers: str,
    judge: bool,
    judge_tier: str,
    per_role: str,
    asked: Request,
    out: Path,
) -> tuple[dict[str, Any], list[str]]:
    """Make a plan and write it.

    Parameters
    ----------
    traces, catalogue
        As in `label_steps.locate`.
    tiers : str
        Names joined by commas; "" is every tier, `none` no tier.
    judge : bool
        Answers are judged.
    judge_tier : str
        Whose price the judge has; "" is the dearest tier.
    per_role : str
        role=steps pairs joined by commas.
    asked : Request
        Budget, max_tokens and seed; the rest is filled in here.
    out : Path
        The plan's file.

    Returns
    -------
    dict, list of str
        The result for machines and for people.
    """
    found = survey(locate(traces, catalogue))
    names = found.catalogue.names
    wanted = () if tiers == NO_TIERS else tuple(pairs_of(tiers)) or names
    least = {role: _steps(role, steps) for role, steps in pairs_of(per_role).items()}
    by = (judge_tier or names[-1]) if judge else ""
    asked = replace(asked, tiers=wanted, judge=by, per_role=least)
    plan, feedback = make_plan(found, asked)
    write_plan(out, plan)
    content = plan.as_dict()
    told = {name: content[name] for name in ("price_usd", "budget_usd", "judge", "strata")}
    told |= {"traces": len(plan.traces), "steps": sum(len(t.steps) for t in plan.traces)}
    told |= {"feedback": feedback.as_dict(), "refused_rows": found.refused, "written": str(out)}
    return told, [*lines(plan, feedback), f"written to {out}"]


def run_labels(
    plan_file: Path,
    traces: Path,
    catalogue: Path | None,
    out: Path,
    answers: Who,
    judges: Who,
    rubric: Path | None,
    double_judged: float,
    models: str,
    limits: Limits,
    retry_errors: bool,
) -> Report:
    """Carry a plan out.

    Parameters
    ----------
    plan_file, traces, catalogue, out
        The plan, the log it was made of with its catalogue, and the folder of the results.
    answers, judges : Who
        Both of their fields empty: nobody.
    rubric : Path or None
        Instructions of a judge behind an endpoint.
    double_judged : float
        Share of the answers that are judged twice, 0..1.
    models : str
        tier=model pairs joined by commas: what the endpoint calls the tiers.
    limits : Limits
        A cap of NaN is the plan's budget.
    retry_errors : bool
        Try again what failed for good.

    Raises
    ------
    BadInput
        For anything that does not fit together; nothing is called then.
    """
    plan = _with_models(read_plan(plan_file), pairs_of(models))
    if limits.cap_usd != limits.cap_usd:
        limits = replace(limits, cap_usd=plan.budget_usd)
    if not 0 <= double_judged <= 1:
        raise BadInput(f"--double-judged {double_judged}", "a share of 0 to 1", "mend it")
    if min(limits.concurrency, limits.tries) < 1 or not answers.timeout_s > 0:
        raise BadInput("a --concurrency, --tries or --timeout-s of 0", "more", "raise it")
    judge = _judge(plan, judges, rubric, double_judged)
    source = locate(traces, catalogue)
    return run(plan, source, out, _answer(plan, answers), judge, limits, retry_errors)


def pairs_of(text: str) -> dict[str, str]:
    """Read `a=1,b=2` or `a,b` into a mapping, in order."""
    parts = [part.partition("=") for part in text.split(",") if part.strip()]
    return {name.strip(): value.strip() for name, _, value in parts}


def _steps(role: str, steps: str) -> int:
    if not steps.isdecimal() or not int(steps):
        raise BadInput(f"--per-role {role}={steps}", "role=steps", "write --per-role critic=200")
    return int(steps)


def _with_models(plan: Plan, models: Mapping[str, str]) -> Plan:
    unknown = sorted(set(models) - {arm.name for arm in plan.arms})
    if unknown:
        called = ", ".join(arm.name for arm in plan.arms)
        raise BadInput(f"--models {unknown[0]}", f"tiers of the plan: {called}", "mend --models")
    arms = [replace(arm, model=models.get(arm.name) or arm.model) for arm in plan.arms]
    return replace(plan, arms=tuple(arms))


def _answer(plan: Plan, who: Who) -> Answer | None:
    if who.url and who.function:
        raise BadInput("--endpoint and --callable", "one of them", "leave one out")
    if who.function:
        of = function(who.function)
        return lambda arm, request: call(of, request, arm)
    if not who.url:
        return None
    replayed = {tier for trace in plan.traces for step in trace.steps for tier in step.replay}
    _refuse_nameless(plan, replayed)
    to = who.endpoint()
    return lambda arm, request: ask(to, arm, request["messages"], request["max_tokens"])


def _judge(plan: Plan, who: Who, rubric: Path | None, double_judged: float) -> Judge | None:
    if who.url and who.function:
        raise BadInput("--judge-endpoint and --judge-callable", "one of them", "leave one out")
    if not (who.url or who.function):
        return None
    if not plan.judge:
        raise BadInput(
            "a judge, and a plan without one", "a plan whose price has the judge in it",
            "make the plan with --judge",
        )  # fmt: skip
    arm = plan.arm(plan.judge)
    if who.function:
        return Judge(by_function(function(who.function), arm), "", double_judged)
    if rubric is None:
        raise BadInput(
            "--judge-endpoint without --rubric", "a file that says what makes an answer good",
            "write one and give --rubric rubric.md",
        )  # fmt: skip
    _refuse_nameless(plan, {plan.judge})
    text = read_rubric(rubric)
    return Judge(by_model(who.endpoint(), arm, text), text, double_judged)


def _refuse_nameless(plan: Plan, called: set[str]) -> None:
    nameless = [arm.name for arm in plan.arms if arm.name in called and not arm.model]
    if nameless:
        raise BadInput(
            f"no exact model name for {', '.join(nameless)}", "what the endpoint calls them",
            f"give --models {nameless[0]}=<model>",
        )  # fmt: skip
