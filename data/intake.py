"""One pass over a source: rows of the trace table on one side, rejects on the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tierwise.data.clean import clean
from tierwise.data.ledger import Ledger
from tierwise.data.mapping import check_source, left_out, rename
from tierwise.data.matching import Matcher
from tierwise.data.prices import fill_costs
from tierwise.data.readers import Batch
from tierwise.data.schema import PANDAS, REJECTS, TEXT, empty_columns
from tierwise.data.seen import Seen, hashes
from tierwise.data.step_ids import StepIds
from tierwise.data.tiers import Catalogue

_DUPLICATE = "a second row of this step, attempt and tier"
_IDENTITY = ("trace_id", "step_id", "tier")


class Intake:
    """Takes batches one by one and remembers what all of them together have to answer.

    Attributes
    ----------
    matcher : Matcher
        The tiers met so far.
    ledger : Ledger
        A few bytes of every accepted row.
    rejects : Counter of str
        Refused rows by reason.
    left_out : set of str
        Columns of the source that went nowhere.
    """

    def __init__(
        self, catalogue: Catalogue | None, mapping: Mapping[str, str], ok_at: float
    ) -> None:
        self.matcher = Matcher(catalogue)
        self.ledger = Ledger(ok_at)
        self.rejects: Counter[str] = Counter()
        self.left_out: set[str] = set()
        self._mapping = mapping
        self._seen, self._step_ids = Seen(), StepIds()
        self._file = ""

    def take(self, batch: Batch) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Split a batch.

        Returns
        -------
        good : DataFrame
            Rows of the trace table, all of its columns.
        refused : DataFrame
            File, row, reason and identity of the others.

        Raises
        ------
        BadInput
            Where the file lacks a required column, or a price is unknown.
        """
        refused = [_broken(batch)] if batch.broken else []
        good = empty_columns(0)
        if len(batch.frame.columns):
            if batch.file != self._file:
                check_source(batch.frame.columns, self._mapping, batch.file)
                self._file = batch.file
            self.left_out |= left_out(batch.frame.columns, self._mapping)
            good, bad = self._sort(batch)
            refused.append(bad)
        bad = (
            pd.concat(refused, ignore_index=True) if refused else _reject_frame(batch.file, [], [])
        )
        self.rejects.update(bad["reason"])
        return good, bad

    def _sort(self, batch: Batch) -> tuple[pd.DataFrame, pd.DataFrame]:
        table, reasons = clean(rename(batch.frame, self._mapping))
        good = _still_good(reasons)
        codes = self.matcher.codes(table.iloc[good])
        reasons.iloc[good] = self.matcher.faults(table.iloc[good], codes)
        good, codes = good[codes >= 0], codes[codes >= 0]
        self.matcher.name(table, good, codes)
        reasons.iloc[good[self._known(table, good)]] = _DUPLICATE
        codes, good = codes[reasons.iloc[good].isna()], _still_good(reasons)
        rows = table.iloc[good].reset_index(drop=True)
        rows["cost_usd"] = fill_costs(rows, codes, self.matcher.catalogue)
        self.ledger.add(rows, codes)
        return rows, _refused(batch, table, reasons)

    def _known(self, table: pd.DataFrame, good: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Name the steps of good rows, and tell which rows have been met before."""
        rows = table.iloc[good]
        step_id = self._step_ids.fill(rows)
        table.loc[rows.index, "step_id"] = step_id
        attempt = rows["attempt"].astype(PANDAS[TEXT])
        return self._seen.add(hashes(rows["trace_id"], step_id, attempt, rows["tier"]))


def _still_good(reasons: pd.Series) -> NDArray[np.int64]:
    return np.flatnonzero(reasons.isna())


def _broken(batch: Batch) -> pd.DataFrame:
    rows, reasons = zip(*batch.broken, strict=True)
    return _reject_frame(batch.file, rows, reasons)


def _refused(batch: Batch, table: pd.DataFrame, reasons: pd.Series) -> pd.DataFrame:
    bad = np.flatnonzero(reasons.notna())
    frame = _reject_frame(batch.file, [batch.rows[i] for i in bad], list(reasons.iloc[bad]))
    for name in _IDENTITY:
        frame[name] = table[name].to_numpy(dtype=object)[bad]
    return frame


def _reject_frame(file: str, rows: Sequence[int], reasons: Sequence[str]) -> pd.DataFrame:
    frame = pd.DataFrame({"file": file, "row": list(rows), "reason": list(reasons)})
    return frame.reindex(columns=list(REJECTS)).astype({name: "object" for name in _IDENTITY})
