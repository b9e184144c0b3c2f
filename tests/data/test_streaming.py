"""Tables larger than memory: what is held does not grow with the texts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from tierwise.data.seen import Seen, hashes

N_ROWS = 1000
PEAK = """
import resource, sys
from pathlib import Path
from tierwise.data import readers
from tierwise.data.ingest import IngestParams, ingest
readers.BATCH_BYTES = 8 * 2**20  # half the usual: a smaller file shows the bound
ingest(sys.argv[1], Path(sys.argv[2]), None, {}, IngestParams())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def rows(size: int) -> Iterator[dict[str, Any]]:
    for i in range(N_ROWS):
        tier = ("small", "large")[i % 2]
        cost = 0.1 * (1 + i % 2)
        text = f"{i // 2:06d}" * (size // 6)
        yield {"trace_id": f"t{i // 2}", "text": text, "tier": tier, "cost_usd": cost, "quality": 1}


def write_lines(path: Path, size: int) -> None:
    with path.open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows(size))


def write_csv(path: Path, size: int) -> None:
    with path.open("w") as file:
        file.write("trace_id,text,tier,cost_usd,quality\n")
        file.writelines(",".join(map(str, row.values())) + "\n" for row in rows(size))


def write_parquet(path: Path, size: int) -> None:
    schema = pyarrow.Table.from_pylist([next(rows(6))]).schema
    parts = iter(rows(size))
    with pyarrow.parquet.ParquetWriter(
        path, schema, compression="none", use_dictionary=False
    ) as to:
        for _ in range(N_ROWS // 200):
            to.write_table(pyarrow.Table.from_pylist([next(parts) for _ in range(200)], schema))


def peak_bytes(source: Path, run: Path) -> int:
    """Read a source in a process of its own; give the most memory that it held."""
    command = [sys.executable, "-c", PEAK, str(source), str(run)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return int(done.stdout) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count peak memory otherwise")
@pytest.mark.parametrize(
    ("name", "write"),
    [("a.jsonl", write_lines), ("a.csv", write_csv), ("a.parquet", write_parquet)],
)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, name: str, write: Any) -> None:
    small, large = tmp_path / f"small-{name}", tmp_path / f"large-{name}"
    write(small, 6)
    write(large, 120_000)
    whole = large.stat().st_size
    assert whole > 100 * 2**20
    grown = peak_bytes(large, tmp_path / "run") - peak_bytes(small, tmp_path / "run")
    assert grown < 0.75 * whole, f"{grown / 2**20:.0f} MiB more for {whole / 2**20:.0f} MiB"


def test_duplicates_are_found_across_batches() -> None:
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 5000, 20_000).astype(np.uint64)
    seen = Seen()
    found = np.concatenate([seen.add(part) for part in np.array_split(keys, 37)])
    assert (found == pd.Series(keys).duplicated().to_numpy()).all()


def test_hashes_depend_on_where_a_part_ends_and_on_the_order_of_parts() -> None:
    def one(*parts: str) -> int:
        return int(hashes(*(pd.Series([part]) for part in parts))[0])

    assert len({one("ab", "c"), one("a", "bc"), one("c", "ab"), one("abc", "")}) == 4
    assert one("a", "b") == one("a", "b")
