"""Texts become numbers by tokens, by an encoder imitated, or by an encoder served."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.features.tiny_encoder import DIMENSIONS, shared_encoder
from tests.training.encoded import encoded_fit, params
from tests.training.fits import COLUMNS, SMALL, fit_steps, make_steps, small_fit
from tierwise.data.errors import BadInput
from tierwise.features.encoder import embed, load_encoder
from tierwise.features.steps import LEARN, save_steps
from tierwise.features.token_session import TokenIds
from tierwise.features.tokens import IDS_A_WORD
from tierwise.router_model.encoder import Encoder, read_encoder
from tierwise.router_model.model import load_model
from tierwise.router_model.runtime import PolicyGraph
from tierwise.training import fit as stage
from tierwise.training import reading
from tierwise.training.reading import read_texts, within_size
from tierwise.training.stack import squared_error


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_encoder(tmp_path_factory)


@pytest.fixture(autouse=True)
def cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(reading, "CACHE", folder.parent / "embeddings")
    return folder.parent / "embeddings"


def test_without_an_encoder_none_is_looked_for_and_nothing_is_cached(cache: Path) -> None:
    before = sorted(cache.glob("*"))
    found = read_texts(make_steps(60), SMALL, np.random.default_rng(0))
    assert found.encoder is None
    assert found.notes == {}
    assert sorted(cache.glob("*")) == before


@pytest.mark.parametrize("use", ["distill", "serve"])
def test_an_encoder_says_more_of_a_text_than_its_length(folder: Path, use: str) -> None:
    found = encoded_fit(folder, use)
    learn = found.steps.of_part(LEARN)
    blind = fit_steps(dataclasses.replace(found.steps, text=(b"",) * len(found.steps)))
    error = squared_error(found.fitted.quality, learn.quality)
    assert error < 0.9 * squared_error(blind.quality, learn.quality)


def test_an_imitated_encoder_ships_as_token_rows_alone(folder: Path) -> None:
    found = encoded_fit(folder, "distill")
    plain = small_fit().fitted.model
    assert found.fitted.encoder is None
    assert found.fitted.model.projection is None
    assert found.fitted.model.rows.shape == plain.rows.shape
    assert not np.array_equal(found.fitted.model.rows, plain.rows)
    PolicyGraph(found.graph)


def test_how_well_an_encoder_is_imitated_is_noted(folder: Path) -> None:
    note = encoded_fit(folder, "distill").fitted.notes["encoder"]
    assert isinstance(note, dict)
    assert note["use"] == "distill"
    assert note["dimensions"] == DIMENSIONS
    assert 0.3 < note["imitation_r2"] < 1
    assert 0.5 < note["variance_kept"] <= 1


def test_a_served_encoder_ships_and_its_projection_says_what_was_learned(folder: Path) -> None:
    steps = make_steps(200)
    read = read_texts(steps, params(folder, "serve"), np.random.default_rng(0))
    assert read.encoder is not None
    ridge = np.random.default_rng(1).normal(size=(DIMENSIONS, 3))
    _, projection = read.pack(ridge, SMALL)
    assert projection is not None
    embedding = embed(load_encoder(folder), steps.text)
    said = embedding @ projection.weight + projection.bias
    np.testing.assert_allclose(said[:, :3], read.matrix @ ridge, atol=1e-4)
    np.testing.assert_allclose(said[:, 3:], read.vectors, atol=1e-3)


def test_the_inputs_of_a_served_encoder_are_of_unit_length_on_average(folder: Path) -> None:
    read = read_texts(make_steps(200), params(folder, "serve"), np.random.default_rng(0))
    assert read.matrix.multiply(read.matrix).sum() / 200 == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("use", ["distill", "serve"])
def test_no_text_is_embedded_twice(folder: Path, use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = make_steps(100)
    one = read_texts(steps, params(folder, use), np.random.default_rng(0))

    def fail(*args: object) -> np.ndarray:
        raise AssertionError("embedded again")

    monkeypatch.setattr(reading, "embed", fail)
    monkeypatch.setattr(reading.Encoder, "embed", fail)
    monkeypatch.setattr("tierwise.router_model.encoder_export.check_parity", lambda *args: None)
    two = read_texts(steps, params(folder, use), np.random.default_rng(0))
    assert one.vectors.tobytes() == two.vectors.tobytes()


@pytest.mark.parametrize("use", ["distill", "serve"])
def test_the_same_steps_give_the_same_model(folder: Path, use: str) -> None:
    one, two = encoded_fit(folder, use).fitted, fit_steps(make_steps(), params(folder, use))
    assert one.model.rows.tobytes() == two.model.rows.tobytes()
    assert one.model.pair_rows.tobytes() == two.model.pair_rows.tobytes()
    assert one.quality.tobytes() == two.quality.tobytes()
    assert one.encoder == two.encoder


def test_an_unknown_use_is_refused() -> None:
    wrong = dataclasses.replace(SMALL, encoder="x", encoder_use="imitate")
    with pytest.raises(BadInput, match="distill or serve"):
        read_texts(make_steps(10), wrong, np.random.default_rng(0))


def test_steps_without_any_text_are_fitted_too(folder: Path) -> None:
    steps = make_steps(120)
    silent = dataclasses.replace(steps, text=(b"",) * len(steps))
    for use in ("distill", "serve"):
        found = fit_steps(silent, params(folder, use))
        assert np.isfinite(found.quality).all()


def test_the_stage_leaves_the_encoder_beside_the_model_and_none_of_an_earlier_fit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, run, settings = make_steps(120), tmp_path / "run", tmp_path / "params.yaml"
    save_steps(run / "steps.npz", steps)
    tiers = [{"name": name, "latency_s": None} for name in steps.tiers]
    (run / "tiers.json").write_text(json.dumps({"tiers": tiers}))
    columns = [dataclasses.asdict(column) for column in COLUMNS]
    (run / "context.json").write_text(json.dumps(columns))
    monkeypatch.setattr(sys, "argv", ["fit", "--run", str(run), "--params", str(settings)])
    small = "bits: 8, pair_bits: 9, dims: 4, trees: 5"
    settings.write_text(f"fit: {{{small}, encoder: {folder}, encoder_use: serve}}")
    stage.main()
    files = read_encoder(run / "encoder")
    projection = load_model(run / "model.npz").projection
    assert files is not None
    assert projection is not None
    assert Encoder(files).n_dimensions == len(projection.weight)
    settings.write_text(f"fit: {{{small}}}")
    stage.main()
    assert read_encoder(run / "encoder") is None
    assert load_model(run / "model.npz").projection is None


def test_token_rows_say_of_a_text_what_was_learned_of_it() -> None:
    steps = make_steps(200)
    read = read_texts(steps, SMALL, np.random.default_rng(0))
    ridge = np.random.default_rng(1).normal(size=(read.matrix.shape[1], 3))
    rows, _ = read.pack(ridge, SMALL)
    tokens = TokenIds(SMALL.bits, SMALL.pair_bits)
    for i, text in enumerate(steps.text):
        words, pairs = np.split(tokens.ids(text), [len(tokens.ids(text)) // IDS_A_WORD])
        of_words = rows.rows[words].mean(axis=0) * rows.scale
        of_pairs = rows.pair_rows[pairs].mean(axis=0) * rows.pair_scale
        quality = of_words[:3] + of_pairs[:3]
        np.testing.assert_allclose(quality, (read.matrix[i] @ ridge)[0], atol=0.05)
        np.testing.assert_allclose(of_words[3:-1], read.vectors[i], atol=0.03)


@pytest.mark.parametrize(("name", "bits"), [("bits", 0), ("bits", 19), ("pair_bits", 40)])
def test_a_table_of_an_impossible_size_is_refused(name: str, bits: int) -> None:
    wrong = dataclasses.replace(SMALL, **{name: bits})
    with pytest.raises(BadInput, match=f"fit.{name} = {bits}; expected 1 to 18"):
        fit_steps(make_steps(10), wrong)


@pytest.mark.parametrize("n_tiers", [2, 5, 16])
def test_many_tiers_have_fewer_rows_so_that_all_rows_stay_within_six_megabytes(
    n_tiers: int,
) -> None:
    asked = dataclasses.replace(SMALL, bits=17, pair_bits=18, dims=24)
    found = within_size(asked, n_tiers)
    size = (n_tiers + 25 << found.bits) + (n_tiers + 1 << found.pair_bits)
    assert 2_500_000 < size < 6_000_000
    assert dataclasses.replace(found, bits=17, pair_bits=18) == asked
    assert (found.bits, found.pair_bits) == ((17, 18) if n_tiers <= 5 else (16, 17))
