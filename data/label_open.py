"""What is left to ask of a log, step by step, and what each step's calls cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.label_price import (
    BYTES_A_TOKEN,
    VERDICT_MOST,
    VERDICT_TOKENS,
    Arm,
    expected_tokens,
)
from tierwise.data.label_steps import Survey

DOUBLE_JUDGED = 0.1
"""Share of the answers that are judged twice."""
RUBRIC_BYTES = 1200
"""Assumed length of the judge's instructions, which the plan does not see."""

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Request:
    """What a person asks for.

    Attributes
    ----------
    budget_usd : float
        For all calls.
    tiers : tuple of str
        To be replayed where they have not answered.
    judge : str
        The tier that judges replays and logged answers without quality; "" for no judge.
    per_role : mapping of str to int
        Least expected number of steps of a role.
    max_tokens : int
        Longest answer.
    seed : int
        Of the draw.
    """

    budget_usd: float
    tiers: tuple[str, ...]
    judge: str = ""
    per_role: Mapping[str, int] | None = None
    max_tokens: int = 1024
    seed: int = 0


@dataclass(frozen=True)
class Open:
    """Steps with something left to ask.

    Attributes
    ----------
    steps : DataFrame, (n_steps, 5)
        trace_id, step_id, role, text_bytes, input_tokens.
    replay, judge : ndarray of bool, shape (n_steps, n_tiers)
        Tiers to be replayed; tiers whose logged answer is to be judged.
    answer_bytes : ndarray of float64, shape (n_steps, n_tiers)
        Length of the logged answers, 0 where there is none.
    """

    steps: pd.DataFrame
    replay: Bools
    judge: Bools
    answer_bytes: Floats


def open_steps(found: Survey, asked: Request) -> Open:
    """Lay the log out by step and tier; keep the steps that a call could add to.

    Raises
    ------
    BadInput
        Where there is no such step.
    """
    answers, n_tiers = found.answers, len(found.catalogue.tiers)
    step = answers.groupby(["trace_id", "step_id"], sort=True).ngroup().to_numpy()
    place = (step, answers["tier"].to_numpy())
    shape = (int(step.max()) + 1, n_tiers)
    has, judge = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    answer_bytes = np.zeros(shape)
    has[place] = True
    to_judge = answers["answer_bytes"].notna() & answers["quality"].isna()
    judge[place] = to_judge.to_numpy() & bool(asked.judge)
    answer_bytes[place] = answers["answer_bytes"].fillna(0)
    wanted = np.isin(np.array(found.catalogue.names), asked.tiers)
    replay = ~has & wanted
    one = answers.groupby(step, sort=True)
    named = ["trace_id", "step_id", "role"]
    columns = {name: one[name].first() for name in named}
    columns |= {name: one[name].max() for name in ("text_bytes", "input_tokens")}
    keep = np.asarray((replay | judge).any(axis=1))
    if not keep.any():
        raise BadInput(
            f"nothing to ask: all {len(keep):,} steps have an answer of {', '.join(asked.tiers)}"
            if asked.tiers else "nothing to judge: no answer (output_text) without quality",
            "steps that a named tier has not answered, or answers without quality",
            "name other --tiers, add --judge, or go on with what is there",
        )  # fmt: skip
    return Open(pd.DataFrame(columns)[keep], replay[keep], judge[keep], answer_bytes[keep])


def prices(found: Survey, left: Open, asked: Request, every: Sequence[Arm]) -> tuple[Floats, float]:
    """Price the calls.

    Returns
    -------
    expected : ndarray of float64, shape (n_steps,)
        USD of each step: its replays, and the judging of them and of logged answers.
    dearest : float
        USD that a single call may cost where its answer is as long as it may be.
    """
    tokens_in, tokens_out = expected_tokens(found, left.steps, asked.max_tokens)
    text_bytes = left.steps["text_bytes"].to_numpy(np.float64)
    longest = int(text_bytes.max())
    total, dearest = np.zeros(len(left.steps)), 0.0
    for rank, arm in enumerate(every):
        if left.replay[:, rank].any():
            cost = arm.cost(1.0, 0.0) - arm.per_call  # linear in the tokens
            call = tokens_in * cost + arm.cost(0.0, float(tokens_out[rank]))
            total += np.where(left.replay[:, rank], call, 0.0)
            dearest = max(dearest, arm.at_most(longest, asked.max_tokens))
    if not asked.judge:
        return total, dearest
    judge = next(arm for arm in every if arm.name == asked.judge)
    read = (text_bytes[:, None] + left.answer_bytes + RUBRIC_BYTES) / BYTES_A_TOKEN
    read = read + np.where(left.replay, tokens_out, 0.0)
    verdict = read * (judge.cost(1.0, 0.0) - judge.per_call) + judge.cost(0.0, VERDICT_TOKENS)
    verdicts = np.where(left.replay | left.judge, verdict, 0.0).sum(axis=1)
    answer = max(left.answer_bytes.max(), BYTES_A_TOKEN * asked.max_tokens)
    dearest = max(dearest, judge.at_most(int(longest + answer + RUBRIC_BYTES), VERDICT_MOST))
    return total + verdicts * (1 + DOUBLE_JUDGED), dearest
