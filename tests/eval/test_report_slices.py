"""Slices found by looking: which are looked at, in which order, and by what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from eval_fakes import make_spec, make_steps

from tierwise.eval import evaluate
from tierwise.eval.judge import Draws
from tierwise.eval.slices import MOST, lengths, tenants, worst_slices

TABLE = make_steps()
FACTS = evaluate.facts(TABLE.of_part(2), make_spec(TABLE))[0]
SMALL = np.zeros(len(FACTS.unit), np.int64)


def draws() -> Draws:
    return Draws(100, 0.95, np.random.default_rng(0))


def test_the_worst_slice_comes_first_and_every_one_looked_at_is_there() -> None:
    found = worst_slices(FACTS, SMALL, 2, {"role": FACTS.role, "task": FACTS.task}, 10, draws())
    assert len(found) == 5
    kept = [one.kept[0] for one in found]
    assert kept == sorted(kept)
    one = found[0]
    mask = (FACTS.role if one.kind == "role" else FACTS.task) == one.name
    assert one.steps == mask.sum()
    assert one.units == len(np.unique(FACTS.unit[mask]))
    expected = FACTS.quality[mask, 0].sum() / FACTS.quality[mask, 2].sum()
    np.testing.assert_allclose(one.kept[0], expected)


def test_an_interval_for_all_is_wider_than_one_alone() -> None:
    for one in worst_slices(FACTS, SMALL, 2, {"role": FACTS.role}, 10, draws()):
        assert one.wide[2] - one.wide[1] > one.kept[2] - one.kept[1]


def test_what_all_steps_share_is_no_slice() -> None:
    same = np.full(len(SMALL), "answerer")
    assert worst_slices(FACTS, SMALL, 2, {"role": same}, 10, draws()) == ()


def test_slices_of_few_steps_are_not_looked_at() -> None:
    name = np.array(["rare"] * 9 + ["usual"] * (len(SMALL) - 9))
    found = worst_slices(FACTS, SMALL, 2, {"tenant": name}, 10, draws())
    assert [one.name for one in found] == ["usual"]


def test_where_the_reference_is_never_ok_there_is_no_slice() -> None:
    facts = FACTS.__class__(**{**FACTS.__dict__, "quality": 0 * FACTS.quality})
    assert worst_slices(facts, SMALL, 2, {"role": FACTS.role}, 10, draws()) == ()


def test_of_very_many_slices_the_largest_are_looked_at() -> None:
    name = np.array([str(i) for i in range(len(SMALL))])
    assert len(worst_slices(FACTS, SMALL, 2, {"tenant": name}, 1, draws())) <= MOST


def test_lengths_are_ranges_that_hold_about_as_many_steps() -> None:
    sizes = np.random.default_rng(0).permutation(np.arange(100, 600))
    names, counts = np.unique(lengths(sizes), return_counts=True)
    assert len(names) == 5
    assert counts.min() >= 99
    for size, name in zip(sizes, lengths(sizes), strict=True):
        low, high = name.removesuffix(" bytes").split(" to ")
        assert int(low) <= size <= int(high)


def test_texts_of_one_length_are_one_range() -> None:
    assert set(lengths(np.full(9, 77))) == {"77 to 77 bytes"}


def test_tenants_come_from_the_traces_and_are_unknown_elsewhere(tmp_path: Path) -> None:
    step = np.array(["t/0", "t/1", "t/2"])
    assert tenants(tmp_path / "traces.parquet", step).tolist() == ["", "", ""]
    rows = pd.DataFrame(
        {"trace_id": ["t", "t", "t"], "step_id": ["0", "0", "1"], "tenant": ["a", "a", None]}
    )
    rows.to_parquet(tmp_path / "traces.parquet")
    assert tenants(tmp_path / "traces.parquet", step).tolist() == ["a", "", ""]
