"""A name for each step where the log has none."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from tierwise.data.schema import PANDAS, TEXT
from tierwise.data.seen import Seen, hashes


class StepIds:
    """Names steps over the batches of a table.

    `step_index` names the step where it is known. Else the text does: rows of one trace with the
    same text are the tiers' answers to one step, until one of the tiers comes again, which starts
    the next step of that text.
    """

    def __init__(self) -> None:
        self._seen = Seen()
        self._again: Counter[int] = Counter()

    def fill(self, frame: pd.DataFrame) -> pd.Series:
        """Give the step_id of good rows of the trace table, shape (n_rows,), none null."""
        named = frame["step_id"].fillna(frame["step_index"].astype(PANDAS[TEXT]))
        open_rows = np.flatnonzero(named.isna())
        if not len(open_rows):
            return named
        rows = frame.iloc[open_rows]
        attempt = rows["attempt"].astype(PANDAS[TEXT])
        texts = hashes(rows["text"])  # the one long column: once
        keys = hashes(rows["trace_id"], pd.Series(texts), attempt, rows["tier"])
        repeats = self._seen.add(keys)
        names = []
        for key, text, repeat in zip(keys, texts, repeats, strict=True):
            self._again[int(key)] += int(repeat)
            names.append(f"{text:016x}" + (f".{self._again[int(key)]}" if repeat else ""))
            if not repeat:
                del self._again[int(key)]
        filled = named.astype("object")
        filled.iloc[open_rows] = names
        return filled.astype(PANDAS[TEXT])
