"""The step table: what is written is what is read, and damage is told in one line."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.training.fits import make_steps
from tierwise.data.errors import BadInput
from tierwise.features.steps import CERTIFY, StepTable, load_steps, save_steps


@pytest.fixture(scope="module")
def steps() -> StepTable:
    table = make_steps(20, feedback="logged")
    return dataclasses.replace(table, text=(b"", "日本 🚀".encode(), b"\xff\x00", *table.text[3:]))


def assert_same(one: StepTable, other: StepTable) -> None:
    for field in dataclasses.fields(StepTable):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b, err_msg=field.name)
            assert a.dtype == b.dtype, field.name
        else:
            assert a == b, field.name


def test_a_step_table_survives_its_file(steps: StepTable, tmp_path: Path) -> None:
    save_steps(tmp_path / "steps.npz", steps)
    assert_same(load_steps(tmp_path / "steps.npz"), steps)


def test_a_table_of_no_steps_survives_its_file(steps: StepTable, tmp_path: Path) -> None:
    none = steps.rows(np.zeros(0, np.int64))
    save_steps(tmp_path / "steps.npz", none)
    assert_same(load_steps(tmp_path / "steps.npz"), none)


def test_the_same_table_gives_the_same_bytes(steps: StepTable, tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        save_steps(tmp_path / name, steps)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_bad_input(steps: StepTable, tmp_path: Path, kept: float) -> None:
    path = tmp_path / "steps.npz"
    save_steps(path, steps)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(BadInput, match="run features again"):
        load_steps(path)


def test_any_flipped_byte_is_bad_input_or_changes_nothing(steps: StepTable, tmp_path: Path) -> None:
    path = tmp_path / "steps.npz"
    save_steps(path, steps)
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content), 41):
        damaged = bytearray(content)
        damaged[place] ^= 0x09
        path.write_bytes(damaged)
        try:
            assert_same(load_steps(path), steps)
        except BadInput:
            refused += 1
    assert refused > 100


def test_a_missing_file_or_a_missing_array_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        load_steps(tmp_path / "none.npz")
    np.savez(tmp_path / "part.npz", step=np.array(["a"]))
    with pytest.raises(BadInput, match="KeyError"):
        load_steps(tmp_path / "part.npz")


def test_rows_takes_positions_in_their_order_and_masks(steps: StepTable) -> None:
    some = steps.rows(np.array([5, 2]))
    assert some.text == (steps.text[5], steps.text[2])
    assert some.step.tolist() == [steps.step[5], steps.step[2]]
    mask = np.zeros(len(steps), np.bool_)
    mask[[2, 5]] = True
    assert_same(steps.rows(mask), steps.rows(np.array([2, 5])))


def test_a_part_holds_its_steps_alone(steps: StepTable) -> None:
    part = steps.of_part(CERTIFY)
    assert set(part.part) == {CERTIFY}
    assert len(part) == (steps.part == CERTIFY).sum() == len(part.text)


def test_a_tier_of_which_anything_is_known_was_called() -> None:
    steps = make_steps(6, feedback="logged")
    nothing = np.full_like(steps.cost, np.nan)
    assert steps.called.sum(axis=1).tolist() == [1] * 6
    by_cost = dataclasses.replace(steps, quality=nothing, latency=nothing, valid=nothing)
    np.testing.assert_array_equal(by_cost.called, steps.called)
    assert not dataclasses.replace(by_cost, cost=nothing).called.any()
