"""What is kept is found again, and only where nothing that it depends on has changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tierwise.eval import scoreboard_cache
from tierwise.eval.scoreboard_cache import JUDGES, Cache, code_hash


def test_what_was_saved_is_loaded_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "new")
    path = cache.path("router", "t", content="x", seed=1)
    cache.save(path, {"quality": np.arange(3.0)})
    found = cache.load(path)
    assert found is not None
    assert found["quality"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("change", [{"content": "y"}, {"seed": 2}, {"more": None}])
def test_any_change_of_what_a_result_depends_on_is_another_file(
    tmp_path: Path, change: dict[str, object]
) -> None:
    cache, depends = Cache(tmp_path), {"content": "x", "seed": 1}
    assert cache.path("router", "t", **depends) != cache.path("router", "t", **depends | change)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 cut"])
def test_a_damaged_file_is_no_result(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    assert Cache(tmp_path).load(path) is None
    assert Cache(tmp_path).load(tmp_path / "missing.npz") is None


def sources(monkeypatch: pytest.MonkeyPatch, names: list[str]) -> dict[str, bytes]:
    """Let the hash read sources from a dict that holds the real ones."""
    texts: dict[str, bytes] = {}
    real = scoreboard_cache._source

    def source(name: str) -> bytes | None:
        found = real(name)
        return texts.get(name, found)

    monkeypatch.setattr(scoreboard_cache, "_source", source)
    for name in names:
        text = real(name)
        assert text is not None, f"no module {name}"
        texts[name] = text
    return texts


@pytest.mark.parametrize(
    ("start", "changed", "matters"),
    [
        ("tierwise.eval.held_out", "tierwise.training.ridge", True),
        ("tierwise.eval.held_out", "tierwise.router_model.graph", True),
        ("tierwise.eval.held_out", "tierwise.eval.fitted_controls", False),
        ("tierwise.eval.fitted_controls", "tierwise.eval.text_controls", True),
        ("tierwise.eval.fitted_controls", "tierwise.eval.controls", True),
        ("tierwise.eval.fitted_controls", "tierwise.training.ridge", False),
        ("tierwise.eval.fitted_controls", "tierwise.router_model.graph", False),
        ("tierwise.eval.fitted_controls", "tierwise.training.frontier", False),
    ],
)
def test_estimates_are_made_anew_after_a_change_of_their_own_code_and_no_other(
    start: str, changed: str, matters: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = JUDGES if start.endswith("controls") else ()
    texts = sources(monkeypatch, [changed])
    before = code_hash.__wrapped__((start,), without)
    texts[changed] += b"\n# changed\n"
    assert (code_hash.__wrapped__((start,), without) != before) is matters
