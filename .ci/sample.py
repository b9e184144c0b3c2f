"""Write the traces of a few steps of a table: `python .ci/sample.py TABLE OUT STEPS`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd


def main() -> None:
    """Draw whole steps, the same ones each time, and keep the table's order."""
    table, out, steps = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    frame = pd.read_parquet(table)
    key = frame["trace_id"].astype(str) + "/" + frame["step_id"].astype(str)
    drawn = np.random.default_rng(0).permutation(key.unique())[:steps]
    out.parent.mkdir(parents=True, exist_ok=True)
    frame[key.isin(set(drawn))].to_parquet(out)


if __name__ == "__main__":
    main()
