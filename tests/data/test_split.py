from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.data.errors import BadInput
from tierwise.data.split import SplitParams, assign, folds, split, units

SHARES = (0.6, 0.2, 0.2)
Log = Callable[..., list[dict[str, Any]]]

links = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=60)


def names(prefix: str, numbers: list[int]) -> np.ndarray[Any, Any]:
    return np.array([f"{prefix}{number:02d}" for number in numbers], dtype=object)


def components(pairs: list[tuple[int, int]]) -> list[set[int]]:
    """Merge sets of steps until no two share a trace or a group."""
    merged: list[set[int]] = []
    for step, (trace, group) in enumerate(pairs):
        touching = [
            s for s in merged if any(pairs[i][0] == trace or pairs[i][1] == group for i in s)
        ]
        merged = [s for s in merged if s not in touching] + [{step}.union(*touching)]
    return merged


@given(links)
def test_a_unit_is_what_traces_and_groups_tie_together_named_by_its_smallest_trace(
    pairs: list[tuple[int, int]],
) -> None:
    trace = names("t", [t for t, _ in pairs])
    unit = units(trace, names("g", [g for _, g in pairs]))
    for together in components(pairs):
        assert {unit[step] for step in together} == {min(trace[step] for step in together)}


@settings(max_examples=50)
@given(links, st.integers(0, 3))
def test_no_unit_is_cut_and_every_part_has_one(pairs: list[tuple[int, int]], seed: int) -> None:
    trace, group = names("t", [t for t, _ in pairs]), names("g", [g for _, g in pairs])
    rng = np.random.default_rng(seed)
    if len(components(pairs)) < 3:
        with pytest.raises(BadInput):
            assign(trace, group, None, SHARES, rng)
        return
    unit, part = assign(trace, group, None, SHARES, rng)
    assert pd.Series(part).groupby(unit).nunique().max() == 1
    assert set(part) == {0, 1, 2}


def test_parts_come_as_near_to_their_shares_as_units_allow() -> None:
    trace = names("t", [i // 3 for i in range(3000)])
    _, part = assign(trace, trace, None, SHARES, np.random.default_rng(1))
    assert np.bincount(part).tolist() == [1800, 600, 600]


def test_known_times_put_the_parts_in_order() -> None:
    trace = names("t", [i // 2 for i in range(100)])
    ts = np.datetime64("2026-01-01", "us") + np.random.default_rng(0).permutation(100)
    unit, part = assign(trace, trace, ts, SHARES, np.random.default_rng(1))
    first = pd.Series(ts).groupby(unit).min()
    part_of = pd.Series(part).groupby(unit).first()
    assert part_of[first.sort_values().index].is_monotonic_increasing


def test_one_unknown_time_makes_the_order_random() -> None:
    trace = names("t", list(range(60)))
    ts = np.datetime64("2026-01-01", "us") + np.arange(60)
    ts[59] = np.datetime64("NaT")
    _, part = assign(trace, trace, ts, SHARES, np.random.default_rng(1))
    _, drawn = assign(trace, trace, None, SHARES, np.random.default_rng(1))
    assert (part == drawn).all()
    assert (np.diff(part) < 0).any()


@given(st.lists(st.integers(0, 40), min_size=40, max_size=120), st.integers(2, 5))
def test_folds_keep_units_whole_and_are_of_nearly_equal_size(
    numbers: list[int], n_folds: int
) -> None:
    unit = names("u", numbers)
    if len(set(numbers)) < n_folds:
        return
    fold = folds(unit, n_folds, np.random.default_rng(0))
    sizes = np.bincount(fold, minlength=n_folds)
    assert pd.Series(fold).groupby(unit).nunique().max() == 1
    assert sizes.min() > 0
    assert sizes.max() - sizes.min() <= max(numbers.count(number) for number in numbers)


def test_more_folds_than_units_are_bad_input() -> None:
    with pytest.raises(BadInput, match="2 split units for 3 folds"):
        folds(names("u", [1, 1, 2]), 3, np.random.default_rng(0))


def read(run: Any) -> pd.DataFrame:
    return pd.read_parquet(run.folder / "split.parquet")


def test_the_stage_writes_one_row_a_step_sorted_by_name(run: Any, log: Log) -> None:
    run(log())
    split(run.folder, SplitParams())
    written = read(run)
    assert written["step"].is_monotonic_increasing
    assert set(written["step"]) == {f"t{i // 4:04d}/{i % 4}" for i in range(200)}
    assert written["part"].value_counts().to_dict() == {"learn": 120, "certify": 40, "test": 40}


def test_the_seed_decides_the_parts(run: Any, log: Log) -> None:
    run(log())
    drawn = []
    for seed in (0, 0, 1):
        split(run.folder, SplitParams(seed=seed))
        drawn.append((run.folder / "split.parquet").read_bytes())
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_order_of_the_rows_does_not_matter(run: Any, log: Log) -> None:
    run(log())
    split(run.folder, SplitParams())
    before = read(run)
    run(log()[::-1])
    split(run.folder, SplitParams())
    pd.testing.assert_frame_equal(read(run), before)


def test_groups_of_any_tiers_row_tie_a_step(run: Any, log: Log) -> None:
    rows = log()
    rows[1]["group"] = rows[-1]["group"] = "shared"  # first and last trace, large tier only
    run(rows)
    split(run.folder, SplitParams())
    written = read(run).set_index("step")
    assert written["unit"]["t0000/0"] == written["unit"]["t0049/3"] == "t0000"


def test_two_steps_of_one_name_are_bad_input(run: Any, log: Log) -> None:
    rows = log()
    rows += [row | {"trace_id": "a/b", "step_id": "c"} for row in rows[:1]]
    rows += [row | {"trace_id": "a", "step_id": "b/c"} for row in rows[:1]]
    run([*rows, rows[-1] | {"tier": "large"}, rows[-2] | {"tier": "large"}])
    with pytest.raises(BadInput, match="two steps are called 'a/b/c'"):
        split(run.folder, SplitParams())


@pytest.mark.parametrize("shares", [(0.6, 0.2, 0.3), (1.0, 0.0, 0.0)])
def test_shares_that_are_no_shares_are_bad_input(tmp_path: Path, shares: tuple[float, ...]) -> None:
    with pytest.raises(BadInput, match="split shares"):
        split(tmp_path, SplitParams(0, *shares))


def test_a_missing_trace_table_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("split: {seed: 3}\n")
    command = [sys.executable, "-m", "tierwise.data.split", "--run", str(tmp_path)]
    done = subprocess.run(
        [*command, "--params", str(tmp_path / "params.yaml")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "run the stage ingest" in done.stderr
