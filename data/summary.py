"""What a trace table turned out to hold, for people and for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tierwise.data.errors import BadInput
from tierwise.data.feedback import Feedback, detect
from tierwise.data.intake import Intake
from tierwise.data.matching import ranked
from tierwise.data.tiers import Catalogue

_LISTED_REASONS = 50
_KNOWN = {
    "quality": "quality",
    "cost_usd": "cost",
    "latency_s": "latency",
    "propensity": "propensity",
}
"""Column of the trace table -> column of the ledger."""


@dataclass(frozen=True)
class Summary:
    """The result of reading a trace table.

    Attributes
    ----------
    rows, rejected, steps, traces : int
        Accepted rows, refused rows, distinct steps and traces.
    tiers : mapping of str to int
        Rows of each tier, from cheap to dear.
    known : mapping of str to float
        Share of rows that know their quality, cost_usd, latency_s, propensity, in 0..1.
    feedback : Feedback
        Its kind and the promises it allows.
    rejects : mapping of str to int
        Refused rows by reason, the commonest first.
    left_out : tuple of str
        Columns of the source that the trace table does not have.
    notes : tuple of str
        What a person should look at.
    """

    rows: int
    rejected: int
    steps: int
    traces: int
    tiers: Mapping[str, int]
    known: Mapping[str, float]
    feedback: Feedback
    rejects: Mapping[str, int]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON form, the content of ingest.json."""
        return {
            "rows": self.rows,
            "rejected": self.rejected,
            "steps": self.steps,
            "traces": self.traces,
            "tiers": [{"name": name, "rows": rows} for name, rows in self.tiers.items()],
            "known": {name: round(share, 6) for name, share in self.known.items()},
            "feedback": self.feedback.as_dict(),
            "rejects": [{"reason": reason, "rows": n} for reason, n in _listed(self.rejects)],
            "left_out": list(self.left_out),
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """Say it in lines for a terminal."""
        tiers = ", ".join(f"{name} ({rows:,} rows)" for name, rows in self.tiers.items())
        known = ", ".join(f"{name} {share:.1%}" for name, share in self.known.items())
        said = [
            f"{self.rows:,} rows, {self.steps:,} steps, {self.traces:,} traces",
            f"tiers, cheap to dear: {tiers}",
            f"known: {known}",
            f"feedback: {self.feedback.kind}",
        ]
        said += [promise_line(promise) for promise in self.feedback.as_dict()["promises"]]
        if self.feedback.kind == "none":
            said.append("without quality: a cost audit and the role table, no learned policy")
        if self.rejected:
            said.append(f"refused: {self.rejected:,} of {self.rows + self.rejected:,} rows")
            said += [f"  {n:,} x {reason}" for reason, n in _listed(self.rejects)]
        if self.left_out:
            said.append(f"columns left out: {', '.join(self.left_out)}")
        return said + [f"note: {note}" for note in self.notes]


def _listed(rejects: Mapping[str, int]) -> list[tuple[str, int]]:
    ranked = sorted(rejects.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(n for _, n in ranked[_LISTED_REASONS:])
    return ranked[:_LISTED_REASONS] + ([("other reasons", rest)] if rest else [])


def promise_line(promise: Mapping[str, Any]) -> str:
    """Say one promise of `Feedback.as_dict` in a line for a terminal."""
    name, have, need = promise["name"], promise["have"], promise["need"]
    if promise["allowed"]:
        return f"  floor {name}: possible ({have:,} {promise['measured_on']}, {need:,} needed)"
    if not have:
        return f"  floor {name}: impossible, {need:,} {promise['measured_on']} needed (0 there)"
    return (
        f"  floor {name}: weak, little or nothing will be certified; {promise['lacks']:,} more "
        f"{promise['measured_on']} needed ({have:,} of {need:,})"
    )


def summarize(
    intake: Intake, source: str, max_reject_share: float, min_steps: int
) -> tuple[Catalogue, Summary]:
    """Judge a pass over a source as a whole.

    Parameters
    ----------
    intake : Intake
        After its last batch.
    source : str
        Its name, for the messages.
    max_reject_share : float
        Greatest share of refused rows, 0..1.
    min_steps : int
        Fewest steps.

    Returns
    -------
    catalogue : Catalogue
        Tiers from cheap to dear with their mean costs.
    summary : Summary
        What the table holds.

    Raises
    ------
    BadInput
        Where the table as a whole cannot be used.
    """
    rows = intake.ledger.table()
    rejected = intake.rejects.total()
    _refuse_bad_rows(source, len(rows), intake.rejects, max_reject_share)
    tiers = intake.matcher.tiers()
    catalogue = ranked(tiers, rows, inferred=intake.matcher.catalogue is None)
    rank = [catalogue.names.index(tier.name) for tier in tiers]
    rows["tier"] = np.array(rank, dtype=np.int16)[rows["tier"]]
    counts = rows["tier"].value_counts()
    n_steps = int(rows["step"].nunique())
    _refuse_useless(source, rows, n_steps, min_steps, catalogue)
    feedback = detect(rows, len(counts))
    summary = Summary(
        rows=len(rows),
        rejected=rejected,
        steps=n_steps,
        traces=int(rows["trace"].nunique()),
        tiers={name: int(counts.get(i, 0)) for i, name in enumerate(catalogue.names)},
        known={name: float(rows[column].notna().mean()) for name, column in _KNOWN.items()},
        feedback=feedback,
        rejects=dict(intake.rejects),
        left_out=tuple(sorted(intake.left_out)),
        notes=tuple(_notes(catalogue, counts)),
    )
    return catalogue, summary


def _refuse_bad_rows(source: str, rows: int, rejects: Counter[str], limit: float) -> None:
    refused = rejects.total()
    if not rows + refused:
        raise BadInput(f"no rows in {source}", "a log with steps", "check the path and the export")
    if refused > limit * (rows + refused):
        reason, count = min(rejects.items(), key=lambda item: (-item[1], item[0]))
        raise BadInput(
            f"{refused:,} of {rows + refused:,} rows of {source} are bad, most often "
            f"({count:,} times): {reason}",
            f"at most {limit:.0%} bad rows",
            "mend the export or --map, or raise ingest.max_reject_share",
        )


def _refuse_useless(
    source: str, rows: pd.DataFrame, n_steps: int, min_steps: int, catalogue: Catalogue
) -> None:
    present = rows["tier"].unique()
    if not len(present):
        raise BadInput(f"every row of {source} is a reject", "rows to keep", "mend the rows")
    if len(present) < 2:
        name = catalogue.names[present[0]]
        raise BadInput(
            f"only the tier {name!r} in {source}",
            "steps of two tiers or more",
            "add logs of other tiers, or map the column that tells them: --map tier=<its column>",
        )
    if n_steps < min_steps:
        raise BadInput(
            f"{n_steps} steps in {source}", f"{min_steps} or more", "log more steps first"
        )
    if rows["cost"].isna().all():
        raise BadInput(
            f"no cost is known in {source}",
            "cost_usd, or input_tokens and output_tokens with prices",
            "map them, or give --tiers tiers.yaml with price_in and price_out, or with "
            "cost_per_hour and capacity",
        )


def _notes(catalogue: Catalogue, counts: pd.Series) -> list[str]:
    tiers = catalogue.tiers
    absent = [tier.name for i, tier in enumerate(tiers) if i not in counts.index]
    unpriced = [t.name for t in tiers if t.mean_cost_usd is None and t.name not in absent]
    costs = [tier.mean_cost_usd for tier in tiers if tier.mean_cost_usd is not None]
    notes = []
    if absent:
        notes.append(f"no rows of the tiers {', '.join(absent)}")
    if unpriced:
        notes.append(f"no cost known of the tiers {', '.join(unpriced)}")
    if costs != sorted(costs):
        notes.append("by their mean costs, the catalogue's tiers are not in order cheap to dear")
    return notes
