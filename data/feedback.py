"""What the log can tell about tiers that were not served, and which promises follow from that."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from tierwise.data.errors import BadInput

FULL, LOGGED, MIXED, NONE = "full", "logged", "mixed", "none"

_NEARLY_ALL = 0.95
CERTIFY_STEPS = 500
"""Outcomes that the certification part needs before a promise is worth computing."""
CERTIFY_SHARE = 0.2


@dataclass(frozen=True)
class Promise:
    """Whether a form of the quality floor can be certified from these logs.

    Attributes
    ----------
    name : str
        `retain`, `miss` or `absolute`.
    allowed : bool
        Enough steps are there.
    have, need, lacks : int
        Steps of the kind that the promise is measured on.
    measured_on : str
        That kind, in words.
    """

    name: str
    allowed: bool
    have: int
    need: int
    lacks: int
    measured_on: str


@dataclass(frozen=True)
class Feedback:
    """The kind of feedback and what it allows.

    Attributes
    ----------
    kind : str
        `full`: nearly every step has the outcome of several tiers; `logged`: of one; `mixed`:
        some have several; `none`: no quality at all.
    paired_steps : int
        Steps with the quality of two tiers or more.
    explored_steps : int
        Steps served at random with a known propensity and a known quality.
    promises : tuple of Promise
        One for each form of the floor.
    """

    kind: str
    paired_steps: int
    explored_steps: int
    promises: tuple[Promise, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        return asdict(self)


def detect(rows: pd.DataFrame, n_tiers: int) -> Feedback:
    """Tell the kind of feedback from who has an outcome at which step.

    Parameters
    ----------
    rows : DataFrame
        `ledger.Ledger.table` with `tier` ranked from cheap to dear.
    n_tiers : int
        Tiers that occur in the table.

    Raises
    ------
    BadInput
        Where steps with several tiers are an escalation log: see `_refuse_escalations`.
    """
    first = rows[rows["first"]]
    steps = first.groupby("step", sort=False)["tier"].size()
    _refuse_escalations(first, steps, n_tiers)
    labeled = first[first["quality"].notna()]
    outcomes = labeled.groupby("step", sort=False)["tier"].size()
    paired = int((outcomes >= 2).sum())
    explored = int(labeled.loc[labeled["explored"], "step"].nunique())
    share = float((steps >= 2).mean()) if len(steps) else 0.0
    kind = NONE if not len(labeled) else _kind(share)
    return Feedback(kind, paired, explored, _promises(kind, paired, explored))


def _kind(share: float) -> str:
    if share >= _NEARLY_ALL:
        return FULL
    return MIXED if share > 0 else LOGGED


def _refuse_escalations(first: pd.DataFrame, steps: pd.Series, n_tiers: int) -> None:
    """Refuse retries that pass for full feedback.

    In a log of escalations a dear tier is only ever called where the cheaper ones failed: read as
    full feedback it says that cheap tiers always fail. The mark of such a log: not every step has
    every tier, and where a step has several, all but the dearest have failed. Rows that tell
    their feedback_source are believed.
    """
    if (steps == n_tiers).all():
        return
    several = first[first["step"].isin(steps.index[steps >= 2]) & ~first["told"]]
    if several.empty:
        return
    lower = several[several["tier"] < several.groupby("step")["tier"].transform("max")]
    escalated = float(lower.groupby("step")["failed"].all().mean())
    if escalated >= _NEARLY_ALL:
        n_several = several["step"].nunique()
        raise BadInput(
            f"{n_several} steps have several tiers, and in {escalated:.0%} of them every tier "
            "below the last had failed: these look like retries, not like full feedback",
            "attempt (0 first, 1 the first retry) or feedback_source for these rows",
            "number the attempts, or set feedback_source to shadow, replay or benchmark where "
            "tiers answered whatever the others did",
        )


def _promises(kind: str, paired: int, explored: int) -> tuple[Promise, ...]:
    both = "steps with the quality of several tiers"
    drawn = "steps with the quality of several tiers, or served at random with a propensity"
    counts = [("retain", paired, both), ("miss", paired, both)]
    counts.append(("absolute", paired if kind == FULL else paired + explored, drawn))
    need = round(CERTIFY_STEPS / CERTIFY_SHARE)
    return tuple(
        Promise(name, have >= need, have, need, max(need - have, 0), on)
        for name, have, on in counts
    )
