"""The plan of a labeling: which traces, which tiers, at which price, and what it will allow."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.feedback import Feedback, detect
from tierwise.data.label_draw import draw, inclusion, least_probability, recorded, strata
from tierwise.data.label_file import Plan, PlannedStep, PlannedTrace, Stratum
from tierwise.data.label_open import Open, Request, open_steps, prices
from tierwise.data.label_price import arms, refuse_unpriced
from tierwise.data.label_steps import Survey
from tierwise.data.seen import hashes
from tierwise.data.summary import promise_line

_ROOM = 0.2
"""The budget's share, at most, that is left so that the last call fits below the cap too."""


def make_plan(found: Survey, asked: Request) -> tuple[Plan, Feedback]:
    """Draw the traces.

    Parameters
    ----------
    found : Survey
        The log.
    asked : Request
        Tiers of the catalogue, a budget above 0.

    Returns
    -------
    plan : Plan
        Its price is below the budget.
    feedback : Feedback
        What ingest will say of the log and the labels together, if every call succeeds and every
        replay comes with a quality.

    Raises
    ------
    BadInput
        For a tier that the catalogue lacks or that has no price, nothing to ask, a role that does
        not occur, or a budget too small.
    """
    every = arms(found)
    _check(asked, [arm.name for arm in every])
    named = {*asked.tiers, asked.judge}
    refuse_unpriced([arm for arm in every if arm.name in named])
    left = open_steps(found, asked)
    expected, dearest = prices(found, left, asked, every)
    trace, names = pd.factorize(left.steps["trace_id"], sort=True)
    roles, role_of_trace = strata(left.steps["role"], trace)
    price = np.bincount(trace, expected).astype(np.float64)
    least = least_probability(left.steps["role"], trace, role_of_trace, roles, asked.per_role or {})
    budget = asked.budget_usd - min(dearest, _ROOM * asked.budget_usd)
    probability = inclusion(role_of_trace, price, least, budget)
    rng = np.random.default_rng(asked.seed)
    chosen = draw(role_of_trace, price, probability, budget, rng)
    kept = recorded(role_of_trace, price, probability, budget)
    drawn = np.bincount(role_of_trace[chosen], minlength=len(roles))
    sizes = np.bincount(role_of_trace, minlength=len(roles))
    drawn_from = [
        Stratum(role, int(size), int(n), float(p))
        for role, size, n, p in zip(roles, sizes, drawn, probability, strict=True)
    ]
    plan = Plan(
        seed=asked.seed,
        budget_usd=asked.budget_usd,
        price_usd=math.fsum(price[chosen]),
        max_tokens=asked.max_tokens,
        judge=asked.judge,
        tiers=found.catalogue.names,
        arms=tuple(arm for arm in every if arm.name in named),
        strata=tuple(drawn_from),
        traces=_planned(left, trace, names, chosen, kept, found),
    )
    return plan, _feedback(found, plan)


def lines(plan: Plan, feedback: Feedback) -> list[str]:
    """Say price, steps and promise in lines for a terminal."""
    steps = [step for trace in plan.traces for step in trace.steps]
    replays = [name for step in steps for name in step.replay]
    judged = sum(len(step.judge) for step in steps) + (len(replays) if plan.judge else 0)
    by_tier = {arm.name: replays.count(arm.name) for arm in plan.arms if arm.name in replays}
    roles = pd.Series([step.role for step in steps]).value_counts().sort_index()
    per_role = ", ".join(f"{role or 'no role'} {n:,}" for role, n in roles.items())
    told = ", ".join(f"{name} {n:,}" for name, n in by_tier.items()) or "none"
    said = [
        f"price: {plan.price_usd:.4g} USD expected, of a budget of {plan.budget_usd:.4g} USD",
        f"traces: {len(plan.traces):,} of {sum(s.traces for s in plan.strata):,}",
        f"steps: {len(steps):,} ({per_role})",
        f"replays: {told}",
        f"answers to judge: {judged:,}" + (f", by {plan.judge}" if plan.judge else ""),
        f"feedback afterwards, if every call succeeds: {feedback.kind}, "
        f"{feedback.paired_steps:,} paired steps",
    ]
    said += [promise_line(promise) for promise in feedback.as_dict()["promises"]]
    lacks = feedback.promises[0].lacks
    if lacks and steps:
        more = lacks * plan.price_usd / len(steps)
        said.append(f"  the {lacks:,} steps that retain lacks: about {more:.4g} USD more")
    if replays and not plan.judge:
        said.append("note: without --judge, quality has to come from your callable")
    return said


def _check(asked: Request, names: Sequence[str]) -> None:
    for name in (*asked.tiers, *([asked.judge] if asked.judge else [])):
        if name not in names:
            raise BadInput(f"no tier {name!r}", f"one of {', '.join(names)}", "mend --tiers")
    if not asked.budget_usd > 0 or math.isinf(asked.budget_usd):
        raise BadInput(f"a budget of {asked.budget_usd} USD", "a number above 0", "--budget-usd 5")
    if asked.max_tokens < 1:
        raise BadInput(f"--max-tokens {asked.max_tokens}", "1 or more", "raise it")


def _planned(
    left: Open,
    trace: NDArray[np.int64],
    names: pd.Index,
    chosen: NDArray[np.int64],
    probability: NDArray[np.float64],
    found: Survey,
) -> tuple[PlannedTrace, ...]:
    tiers = np.array(found.catalogue.names, dtype=object)
    steps: dict[int, list[PlannedStep]] = {int(one): [] for one in chosen}
    columns = (trace, left.steps["step_id"], left.steps["role"], left.replay, left.judge)
    for one, step_id, role, replay, judge in zip(*columns, strict=True):
        if one in steps:
            step = PlannedStep(str(step_id), str(role), tuple(tiers[replay]), tuple(tiers[judge]))
            steps[int(one)].append(step)
    return tuple(
        PlannedTrace(str(names[one]), float(probability[one]), tuple(steps[one]))
        for one in chosen.tolist()
    )


def _feedback(found: Survey, plan: Plan) -> Feedback:
    """Ask `feedback.detect`, which ingest asks too, about the log with the planned rows."""
    rank = {name: place for place, name in enumerate(found.catalogue.names)}
    asked = [(t.trace_id, s) for t in plan.traces for s in t.steps]
    added = [(trace, s.step_id, rank[name]) for trace, s in asked for name in s.replay]
    judged = [(trace, s.step_id, rank[name]) for trace, s in asked for name in s.judge]
    columns = ["step", "tier", "first", "told", "quality", "failed", "explored"]
    rows = found.rows[columns]
    now = pd.MultiIndex.from_frame(_keys(judged))
    known = pd.MultiIndex.from_frame(rows[["step", "tier"]]).isin(now) & rows["first"]
    rows = rows.assign(quality=rows["quality"].mask(known, 1.0))  # any number: it is known
    new = _keys(added).assign(first=True, told=True, quality=1.0, failed=False, explored=False)
    rows = pd.concat([rows, new[columns]], ignore_index=True)
    return detect(rows, int(rows["tier"].nunique()))


def _keys(of: list[tuple[str, str, int]]) -> pd.DataFrame:
    trace, step, tier = (list(column) for column in zip(*of, strict=True)) if of else ([], [], [])
    names = hashes(pd.Series(trace, dtype=object), pd.Series(step, dtype=object))
    return pd.DataFrame({"step": names, "tier": np.array(tier, dtype=np.int16)})
