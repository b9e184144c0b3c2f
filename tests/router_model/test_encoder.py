"""A shipped encoder: the exporter's graph says what the model says, for any text."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

from tests.features.tiny_encoder import (
    DIMENSIONS,
    LONGEST,
    make_encoder,
    shared_encoder,
    tokenizer,
)
from tierwise.data.errors import BadInput
from tierwise.features.encoder import embed, load_encoder
from tierwise.router_model import encoder_export
from tierwise.router_model.encoder import Encoder, EncoderFiles, read_encoder, write_encoder
from tierwise.router_model.encoder_check import ENCODER
from tierwise.router_model.encoder_export import PROBES, check_parity, export_encoder
from tierwise.router_model.graph_check import check_graph
from tierwise.router_model.manifest import BundleError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_encoder(tmp_path_factory)


@pytest.fixture(scope="module")
def files(folder: Path) -> EncoderFiles:
    return export_encoder(load_encoder(folder))


@pytest.fixture(scope="module")
def encoder(files: EncoderFiles) -> Encoder:
    return Encoder(files)


def test_it_says_what_the_model_says_of_any_text(folder: Path, encoder: Encoder) -> None:
    texts = [*PROBES, b"x" * 5000, " \u00a0ünïcode\u2028 ".encode(), b"sort  the\tfile\r\n", b"\0"]
    wanted = embed(load_encoder(folder), texts)
    for text, row in zip(texts, wanted, strict=True):
        np.testing.assert_allclose(encoder.embed(text)[0], row, atol=1e-5, err_msg=repr(text[:40]))


def test_an_embedding_is_one_row_of_float32(encoder: Encoder) -> None:
    found = encoder.embed(b"sort the file")
    assert found.shape == (1, DIMENSIONS) == (1, encoder.n_dimensions)
    assert found.dtype == np.float32


def test_a_long_text_is_cut_and_a_short_one_is_not_padded(encoder: Encoder) -> None:
    assert len(encoder.ids(b"list " * 500)) == LONGEST
    assert len(encoder.ids(b"")) == 2  # its beginning and its end


@pytest.mark.parametrize(
    ("kind", "pooling"),
    [("mpnet", "cls"), ("roberta", "max"), ("distilbert", "mean_sqrt_len_tokens")],
)
def test_other_architectures_and_poolings_export_too(
    tmp_path: Path, kind: str, pooling: str
) -> None:
    model = load_encoder(make_encoder(tmp_path, kind, pooling))
    files = export_encoder(model, [b"prove the report", b"list " * 100])
    check_graph(files.model, ENCODER)


def test_the_same_model_gives_the_same_bytes(folder: Path, files: EncoderFiles) -> None:
    assert export_encoder(load_encoder(folder)) == files


def test_a_graph_that_says_something_else_is_refused(folder: Path, files: EncoderFiles) -> None:
    proto = onnx.load_from_string(files.model)
    weights = max(proto.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    values = np.array(onnx.numpy_helper.to_array(weights))[::-1].copy()
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    other = EncoderFiles(proto.SerializeToString(), files.tokenizer)
    with pytest.raises(BadInput, match="differs by"):
        check_parity(load_encoder(folder), other, PROBES)


def test_what_is_exported_was_compared_with_its_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Encoder.embed
    monkeypatch.setattr(Encoder, "embed", lambda self, text: plain(self, text) + 2e-4)
    with pytest.raises(BadInput, match=r"differs by 0\.0002"):
        export_encoder(load_encoder(folder))


def test_a_model_that_is_no_transformer_is_left_to_distillation() -> None:
    table = SentenceTransformer(modules=[StaticEmbedding(tokenizer(), embedding_dim=8)])
    with pytest.raises(BadInput, match=r"no transformer;.*encoder_use to distill"):
        export_encoder(table)


def test_a_model_too_large_to_ship_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = dataclasses.replace(ENCODER, max_bytes=1000)
    monkeypatch.setattr(encoder_export, "ENCODER", small)
    with pytest.raises(BadInput, match=r"at most 1000.*encoder_use to distill"):
        export_encoder(load_encoder(folder))


def test_the_graph_keeps_to_its_operators_and_its_own_weights(files: EncoderFiles) -> None:
    check_graph(files.model, ENCODER)
    proto = onnx.load_from_string(files.model)
    proto.graph.node[0].op_type = "Loop"
    with pytest.raises(BundleError, match=r"encoder: operator 'Loop'"):
        check_graph(proto.SerializeToString(), ENCODER)


def test_without_tokenizers_the_extra_is_named(
    files: EncoderFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(BadInput, match=r"pip install 'tierwise\[text\]'"):
        Encoder(files)


def test_a_graph_that_is_no_encoder_is_refused(files: EncoderFiles, model_bytes: bytes) -> None:
    with pytest.raises(ValueError, match="expected ids, embedding"):
        Encoder(EncoderFiles(model_bytes, files.tokenizer))


def test_a_run_holds_both_files_or_none(tmp_path: Path, files: EncoderFiles) -> None:
    write_encoder(tmp_path / "encoder", files)
    assert read_encoder(tmp_path / "encoder") == files
    write_encoder(tmp_path / "encoder", None)
    assert [path.name for path in (tmp_path / "encoder").iterdir()] == ["served.json"]
    assert read_encoder(tmp_path / "encoder") is None
    (tmp_path / "encoder" / "tokenizer.json").write_bytes(b"{}")
    with pytest.raises(BadInput, match=r"tokenizer\.json alone"):
        read_encoder(tmp_path / "encoder")
