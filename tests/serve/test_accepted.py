"""A gateway goes on to newer bundles, and back only when it is told so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tierwise.data.errors import BadInput
from tierwise.router_model.bundle import BundleError
from tierwise.serve.accepted import Accepted, AcceptedFile

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def test_a_fresh_gateway_takes_any_bundle() -> None:
    Accepted().check(0, A)


def test_a_lower_number_is_refused_though_never_seen() -> None:
    with pytest.raises(BundleError, match="sequence 6; expected at least 7"):
        Accepted().then(7, A).check(6, B)


def test_of_the_same_number_what_was_served_before_is_refused() -> None:
    served = Accepted().then(1, A).then(1, B)
    served.check(1, B)
    served.check(1, C)
    with pytest.raises(BundleError, match="served before"):
        served.check(1, A)


def test_a_higher_number_forgets_what_the_lower_ones_served() -> None:
    assert Accepted().then(1, A).then(1, B).then(2, C) == Accepted(2, (C,))


def test_going_back_by_hand_makes_what_was_left_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "served.json"
    before = AcceptedFile(path)
    before.record(1, A)
    before.record(1, B)
    by_hand = AcceptedFile(path, allow_older=True)
    by_hand.check(1, A)
    by_hand.record(1, A)
    after = AcceptedFile(path)
    after.check(1, A)
    with pytest.raises(BundleError):
        after.check(1, B)


def test_a_restart_remembers(tmp_path: Path) -> None:
    AcceptedFile(tmp_path / "served.json").record(5, A)
    with pytest.raises(BundleError):
        AcceptedFile(tmp_path / "served.json").check(4, B)


def test_without_a_file_it_is_remembered_while_it_runs() -> None:
    accepted = AcceptedFile()
    accepted.record(5, A)
    with pytest.raises(BundleError):
        accepted.check(4, B)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"sequence": "5", "digests": []}', '{"sequence": 5, "digests": [1]}',
     '{"sequence": 5, "digests": null}'],
)  # fmt: skip
def test_a_damaged_file_is_not_taken_for_an_empty_one(tmp_path: Path, content: str) -> None:
    (tmp_path / "served.json").write_text(content)
    with pytest.raises(BadInput):
        AcceptedFile(tmp_path / "served.json")


def test_what_cannot_be_written_is_not_remembered(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    accepted = AcceptedFile(tmp_path / "file" / "served.json")
    with pytest.raises(OSError, match="file"):
        accepted.record(5, A)
    assert accepted.now == Accepted()
