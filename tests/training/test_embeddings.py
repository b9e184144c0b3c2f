"""A text is embedded once; a damaged file costs time and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tierwise.training.embeddings import cached


class Counting:
    """Embeds a text as its length and first byte, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, texts: Sequence[bytes]) -> np.ndarray:
        self.asked += texts
        return np.array([[len(t), t[0] if t else -1] for t in texts], np.float32)


def test_each_text_has_its_own_embedding_in_the_order_given(tmp_path: Path) -> None:
    found = cached(tmp_path / "m.npz", [b"bb", b"a", b"bb", b""], Counting())
    assert found.tolist() == [[2, 98], [1, 97], [2, 98], [0, -1]]


def test_a_text_is_embedded_once_however_often_it_occurs(tmp_path: Path) -> None:
    embed = Counting()
    cached(tmp_path / "m.npz", [b"a", b"b", b"a"], embed)
    again = cached(tmp_path / "m.npz", [b"c", b"b", b"a"], embed)
    assert embed.asked == [b"a", b"b", b"c"]
    assert again.tolist() == [[1, 99], [1, 98], [1, 97]]


def test_nothing_is_loaded_where_all_is_known(tmp_path: Path) -> None:
    cached(tmp_path / "m.npz", [b"a"], Counting())
    before = (tmp_path / "m.npz").read_bytes()

    def fail(texts: Sequence[bytes]) -> np.ndarray:
        raise AssertionError(texts)

    assert cached(tmp_path / "m.npz", [b"a", b"a"], fail).shape == (2, 2)
    assert (tmp_path / "m.npz").read_bytes() == before


def test_a_damaged_file_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    for damage in (b"", b"PK\x03\x04 no archive", b"\x93NUMPY"):
        path.write_bytes(damage)
        assert cached(path, [b"a"], Counting()).tolist() == [[1, 97]]
    np.savez(path, digest=np.zeros((3, 32), np.uint8), vector=np.zeros((2, 2), np.float32))
    assert cached(path, [b"a"], Counting()).tolist() == [[1, 97]]


def test_no_texts_have_an_embedding_of_the_right_length(tmp_path: Path) -> None:
    assert cached(tmp_path / "m.npz", [], Counting()).shape == (0, 2)
