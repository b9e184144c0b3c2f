"""What a labeling has reached: answers, judgments, what is missing, and the judge's agreement."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tierwise.data.label_file import Plan
from tierwise.data.label_journal import Journal
from tierwise.data.label_judge import UNREADABLE, Agreement, agreement
from tierwise.data.label_rows import Labels

ANSWER, JUDGE = "answer", "judge"


@dataclass(frozen=True)
class Report:
    """What a run has reached, with all runs before it in the same folder.

    Attributes
    ----------
    stopped : str
        Why it ended early; "" where it did not.
    answers, judged : int
        Replays that are there, and answers that have a judgment.
    missing : mapping of str to int
        Planned and not there: answers by tier, and `judgments`.
    errors : mapping of str to int
        Calls that failed for good, by reason.
    unjudged : int
        Answers whose judge did not reply with a number.
    cut : int
        Answers that ended at max_tokens.
    spent_usd : float
        At most; calls of unknown cost count at their dearest.
    agreement : Agreement
        Of the judge with itself.
    """

    stopped: str
    answers: int
    judged: int
    missing: Mapping[str, int]
    errors: Mapping[str, int]
    unjudged: int
    cut: int
    spent_usd: float
    agreement: Agreement

    @property
    def complete(self) -> bool:
        """Everything planned is there."""
        return not self.missing

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON form, the content of label.json."""
        return {**asdict(self), "complete": self.complete}

    def lines(self) -> list[str]:
        """Say it in lines for a terminal."""
        said = [
            f"answers: {self.answers:,}, judged: {self.judged:,}, "
            f"spent: {self.spent_usd:.4g} USD at most"
        ]
        if self.agreement.answers:
            kappa = self.agreement.kappa
            beyond = "not defined" if kappa is None else f"{kappa:.2f}"
            said.append(
                f"judge's agreement with itself: {self.agreement.equal:.1%} of "
                f"{self.agreement.answers:,} answers judged twice, kappa {beyond}"
            )
        if self.unjudged:
            said.append(f"unjudged: {self.unjudged:,} replies of the judge were no number")
        if self.cut:
            said.append(f"cut at max_tokens: {self.cut:,} answers; their quality may suffer")
        said += [f"failed: {n:,} x {reason}" for reason, n in self.errors.items()]
        if self.stopped:
            said.append(f"stopped: {self.stopped}")
        if self.missing:
            left = ", ".join(f"{name} {n:,}" for name, n in self.missing.items())
            said.append(f"missing: {left}; the same command goes on")
        return said


def name_of(kind: str, trace_id: str, step_id: str, tier: str, repeat: int = 0) -> str:
    """Name a call in the journal."""
    return json.dumps([kind, trace_id, step_id, tier, repeat])


def labels_of(plan: Plan, journal: Journal) -> Labels:
    """Sort the journal's results into answers and verdicts, in the order of the plan."""
    answers, verdicts = {}, {}
    for trace in plan.traces:
        for step in trace.steps:
            for tier in (*step.replay, *step.judge):
                place = (trace.trace_id, step.step_id, tier)
                if (found := journal.results.get(name_of(ANSWER, *place))) is not None:
                    answers[place] = found
                if (found := journal.results.get(name_of(JUDGE, *place))) is not None:
                    verdicts[place] = float(found["quality"])
    return Labels(answers, verdicts)


def report_of(plan: Plan, journal: Journal, labels: Labels, stopped: str) -> Report:
    """Count what is there and what is missing; `stopped` says why the run ended early."""
    missing: Counter[str] = Counter()
    for trace in plan.traces:
        for step in trace.steps:
            places = {tier: (trace.trace_id, step.step_id, tier) for tier in step.replay}
            missing.update(t for t, place in places.items() if place not in labels.answers)
            if plan.judge:
                there = [*places.values(), *((trace.trace_id, step.step_id, t) for t in step.judge)]
                missing["judgments"] += sum(not labels.graded(place) for place in there)
    return Report(
        stopped=stopped,
        answers=len(labels.answers),
        judged=len(labels.verdicts),
        missing={name: n for name, n in missing.items() if n},
        errors=dict(sorted(Counter(journal.errors.values()).items())),
        unjudged=sum(reason == UNREADABLE for reason in journal.errors.values()),
        cut=sum(bool(one.get("cut")) for one in labels.answers.values()),
        spent_usd=journal.spent_usd,
        agreement=agreement(_pairs(journal)),
    )


def _pairs(journal: Journal) -> Sequence[tuple[float, float]]:
    pairs = []
    for key in sorted(journal.results):
        kind, trace_id, step_id, tier, repeat = json.loads(key)
        second = journal.results.get(name_of(JUDGE, trace_id, step_id, tier, 1))
        if kind == JUDGE and repeat == 0 and second is not None:
            first = journal.results[key]
            pairs.append((float(first["quality"]), float(second["quality"])))
    return pairs
