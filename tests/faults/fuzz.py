"""Random input against everything that reads what others wrote: `make fuzz SECONDS=60`.

Each target may refuse its input in the way it says it does; any other exception is a crash, is
shown with the smallest input that makes it, and ends the run with exit code 1.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import pandas as pd
import yaml
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from tests.faults.fuzz_serving import serving_targets
from tests.faults.strategies import Target, edited, edits, messages, scalars, values, words
from tierwise.data.errors import BadInput
from tierwise.data.ingest import IngestParams, ingest
from tierwise.data.params import section
from tierwise.data.schema import COLUMNS
from tierwise.data.starter import write_starter
from tierwise.data.tiers import read_catalogue

EXAMPLES = 25  # of a target before the next one has its turn
LENIENT = IngestParams(max_reject_share=1.0, min_steps=1)

rows = st.lists(
    st.fixed_dictionaries(
        {"trace_id": scalars, "text": st.one_of(values, messages), "tier": words},
        optional={name: values for name in COLUMNS if name not in ("trace_id", "text", "tier")},
    ),
    min_size=1,
    max_size=8,
)


def targets(folder: Path) -> dict[str, Target]:
    """Return what is fuzzed, by name; `folder` is for their files."""
    write_starter(folder)
    good = pd.DataFrame(
        {"trace_id": [f"t{i // 2}" for i in range(40)], "text": "x", "tier": ["a", "b"] * 20,
         "step_id": "0", "cost_usd": [1.0, 2.0] * 20, "quality": 0.5}
    )  # fmt: skip
    good.to_parquet(folder / "good.parquet")
    parquet = (folder / "good.parquet").read_bytes()

    def read(name: str, content: bytes) -> None:
        (folder / name).write_bytes(content)
        with contextlib.suppress(BadInput):
            ingest(str(folder / name), folder / "out", None, {}, LENIENT)

    @given(rows)
    def json_rows(table: list[dict[str, object]]) -> None:
        read("rows.jsonl", "\n".join(json.dumps(row) for row in table).encode())

    @given(rows)
    def csv_rows(table: list[dict[str, object]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, sorted(set().union(*table)))
        writer.writeheader()
        writer.writerows(table)
        read("rows.csv", text.getvalue().encode(errors="replace"))

    @given(
        st.sampled_from(["x.jsonl", "x.csv", "x.parquet", "x.jsonl.gz", "x.csv.zst"]), st.binary()
    )
    def any_bytes(name: str, content: bytes) -> None:
        read(name, content)

    @given(edits)
    def damaged_parquet(changes: list[tuple[int, int]]) -> None:
        read("damaged.parquet", edited(parquet, changes))

    @given(
        st.one_of(
            values,
            st.lists(
                st.dictionaries(
                    st.sampled_from(["name", "models", "price_in", "effort", "procurement"]), values
                )
            ),
        )
    )
    def catalogue(content: object) -> None:
        (folder / "c.yaml").write_text(yaml.safe_dump({"tiers": content}), errors="replace")
        with contextlib.suppress(BadInput):
            read_catalogue(folder / "c.yaml")

    @given(
        st.one_of(
            st.text(), st.dictionaries(st.sampled_from(["map", "min_steps", "ok_at", "x"]), values)
        )
    )
    def parameters(content: object) -> None:
        text = content if isinstance(content, str) else yaml.safe_dump({"ingest": content})
        (folder / "p.yaml").write_text(text, errors="replace")
        with contextlib.suppress(BadInput):
            section(folder / "p.yaml", "ingest", IngestParams)

    return {
        "traces in JSON lines": json_rows,
        "traces in CSV": csv_rows,
        "files of any bytes": any_bytes,
        "damaged Parquet": damaged_parquet,
        "tier catalogue": catalogue,
        "parameters": parameters,
        **serving_targets(folder),
    }


def limited(target: Target) -> Target:
    """Bound a target to some examples a turn; hypothesis takes settings once only."""
    return settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.normal,
    )(target)


def run(name: str, target: Target, number: int) -> bool:
    """Run some examples of a target; print a crash and return False."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            seed(number)(target)()
    except Exception:
        print(f"CRASH in {name}, seed {number}", said.getvalue(), file=sys.stderr)
        traceback.print_exc()
        return False
    return True


def main() -> None:
    """Take turns until the time is over; a target that crashed has no more turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0, help="the first one; they count up")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of libraries on strange input; a warning is no crash
    end = time.monotonic() + options.seconds
    turns = 0
    with tempfile.TemporaryDirectory() as folder:
        every = {name: limited(target) for name, target in targets(Path(folder)).items()}
        sound = dict(every)
        while sound and time.monotonic() < end:
            for name, target in list(sound.items()):
                if not run(name, target, options.seed + turns):
                    del sound[name]
            turns += 1
    crashed = [name for name in every if name not in sound]
    print(f"fuzz: {len(every)} targets, {turns} turns of {EXAMPLES} examples each")
    print(f"crashed: {', '.join(crashed) or 'none'}")
    raise SystemExit(1 if crashed else 0)


if __name__ == "__main__":
    main()
