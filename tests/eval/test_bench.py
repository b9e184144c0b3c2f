"""The bench takes its measurements in turns and says what they are; no test here is timed."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.router_model.conftest import tiny_manifest, tiny_model
from tierwise.data.errors import BadInput
from tierwise.eval import bench as module
from tierwise.eval import bench_encoder, bench_texts
from tierwise.eval.bench import Bench, bench, lines
from tierwise.eval.bench_encoder import encoder_call
from tierwise.eval.bench_peer import Peer
from tierwise.eval.bench_texts import LENGTHS, fleet_texts, mixed_texts
from tierwise.eval.clock import clock, quartiles
from tierwise.router_model.bundle import write_bundle
from tierwise.router_model.golden import make_golden
from tierwise.router_model.runtime import PolicyGraph


def test_every_case_is_called_in_every_round_and_one_more_and_each_time_to_warm_up() -> None:
    called: Counter[str] = Counter()
    calls = {(name, "short"): (called.update, [[name]] * 3) for name in ("a", "b")}
    timed, bases = clock(calls, 4, np.random.default_rng(0))
    assert called == {"a": 5 * (3 + 3), "b": 5 * (3 + 3)}
    assert {len(one.ratios) for one in timed.values()} == {4}
    assert len(bases) == 8


def test_quartiles_are_those_of_the_rounds() -> None:
    assert quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == "3.0 (2.0 to 4.0)"


@pytest.mark.parametrize("texts_of", [fleet_texts, mixed_texts])
def test_texts_of_a_length_all_differ_and_have_that_many_words(texts_of: Any) -> None:
    texts = texts_of(np.random.default_rng(0), 5)
    for name, n_words in LENGTHS.items():
        assert {len(text.split()) for text in texts[name]} == {n_words}
        assert len(set(texts[name])) == (5 if n_words else 1)
    assert {len(text) for text in texts["100 KB"]} == {100_000}


def test_mixed_texts_begin_as_steps_and_go_on_with_documentation_or_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench_texts, "_descriptions", lambda: iter(["doc " * 5_000]))
    monkeypatch.setattr(bench_texts, "_sources", lambda: iter(["\n    code" * 5_000]))
    texts = mixed_texts(np.random.default_rng(0), 10)["200 words"]
    steps = " ".join(bench_texts.fleet_words(np.random.default_rng(0)))
    for i, text in enumerate(texts):
        words = text.split()
        assert " ".join(words[:8]) in steps
        assert set(words[8:]) == {("doc", "code")[i % 2]}
    assert "\n    code" in texts[1]


def test_too_little_to_read_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_texts, "_sources", lambda: iter([]))
    with pytest.raises(BadInput, match="4,000 words of each"):
        mixed_texts(np.random.default_rng(0), 2)


def test_the_encoder_reads_the_text_and_cuts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_encoder, "WORDS", 300)
    embed = encoder_call(["copy the file"] * 3, longest=8, layers=1)
    assert embed("copy the file").shape == (1, 384)
    assert not np.allclose(embed("copy the file"), embed("the file copy"))
    np.testing.assert_array_equal(embed("copy " * 8), embed("copy " * 50))
    assert np.isfinite(embed("")).all()


def test_an_environment_without_the_peer_is_said_in_one_line() -> None:
    with Peer(Path(sys.executable)) as peer, pytest.raises(BadInput, match="make peers"):
        peer.median_us(["a"])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder, model = tmp_path_factory.mktemp("bench") / "policy", tiny_model().SerializeToString()
    write_bundle(folder, model, tiny_manifest(), make_golden(PolicyGraph(model)))
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "encoder_call", lambda reading: len)
    try:
        return bench(len, len, lambda: None, folder, 2, None, np.random.default_rng(0))
    finally:
        patch.undo()


def test_all_figures_survive_json(found: Bench) -> None:
    content = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert {one["what"] for one in content["times"]} >= {
        "decide", "decide, fleet's texts", "decide, pinned", "int8 encoder",
    }  # fmt: skip
    assert 0 < content["memory_mb"] < 200


def test_without_the_peer_nothing_is_said_of_it(found: Bench) -> None:
    said = "\n".join(lines(found))
    assert "LiteLLM" not in said
    assert "decide, pinned" in said
