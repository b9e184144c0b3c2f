"""A policy that takes an embedding: the rule of any other, and a bundle that holds its encoder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.features.tiny_encoder import DIMENSIONS, shared_encoder
from tests.training.encoded import EncodedFit, encoded_fit, write_served_bundle
from tests.training.fits import COLUMNS
from tierwise.features.steps import CERTIFY
from tierwise.router_model import layout
from tierwise.router_model.bundle import verify_bundle
from tierwise.router_model.estimate import estimate_embedded
from tierwise.router_model.export import ParityError, check_parity
from tierwise.router_model.graph_embedding import is_clear
from tierwise.router_model.manifest import BundleError
from tierwise.router_model.model import load_model, save_model
from tierwise.router_model.runtime import PolicyGraph


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> EncodedFit:
    return encoded_fit(shared_encoder(tmp_path_factory), "serve")


@pytest.fixture(scope="module")
def graph(served: EncodedFit) -> PolicyGraph:
    return PolicyGraph(served.graph, served.encoder)


@pytest.fixture
def bundle(served: EncodedFit, tmp_path: Path) -> Path:
    return write_served_bundle(served, tmp_path / "policy")


def test_it_takes_an_embedding_in_place_of_text_and_gives_no_ids(served: EncodedFit) -> None:
    proto = onnx.load_from_string(served.graph)
    inputs = {one.name: one.type.tensor_type.shape for one in proto.graph.input}
    assert set(inputs) == {"embedding", "context", "allowed", "floor", "max_latency_s"}
    assert [dim.dim_value for dim in inputs["embedding"].dim] == [1, DIMENSIONS]
    assert [one.name for one in proto.graph.output] == ["decision"]


def test_graph_and_numpy_agree_on_every_step(served: EncodedFit) -> None:
    fitted, rng = served.fitted, np.random.default_rng(0)
    steps = served.steps.of_part(CERTIFY)
    check_parity(served.graph, fitted.model, fitted.spec, steps, rng, served.encoder)


def test_a_graph_of_another_projection_is_found_out(served: EncodedFit) -> None:
    fitted, rng = served.fitted, np.random.default_rng(0)
    projection = fitted.model.projection
    assert projection is not None
    other = dataclasses.replace(projection, bias=projection.bias + np.float32(0.01))
    model = dataclasses.replace(fitted.model, projection=other)
    steps = served.steps.of_part(CERTIFY)
    with pytest.raises(ParityError, match="quality"):
        check_parity(served.graph, model, fitted.spec, steps, rng, served.encoder)


def test_the_text_moves_the_estimate_and_counts_as_seen(
    served: EncodedFit, graph: PolicyGraph
) -> None:
    context = served.steps.context[:1]
    easy, hard = (graph.decide(t, context) for t in (b"copy list sort", b"prove derive diagnose"))
    cheapest = layout.block("quality", 3).start
    assert abs(easy[cheapest] - hard[cheapest]) > 0.02
    assert easy[layout.OOD] == hard[layout.OOD] == 0


def test_a_vector_on_a_threshold_is_not_clear(served: EncodedFit) -> None:
    model = served.fitted.model
    assert model.trees is not None
    assert model.projection is not None
    split = int(np.flatnonzero(model.trees.feature >= len(COLUMNS))[0])
    place = model.n_tiers + model.trees.feature[split] - len(COLUMNS)
    bias = model.projection.bias.copy()
    bias[place] = model.trees.threshold[split]  # a zero embedding lies on it
    on = dataclasses.replace(model, projection=dataclasses.replace(model.projection, bias=bias))
    zero = np.zeros((1, DIMENSIONS), np.float32)
    assert not is_clear(on, zero).any()
    assert is_clear(dataclasses.replace(on, trees=None), zero).all()


def test_a_model_with_a_projection_reads_back(served: EncodedFit, tmp_path: Path) -> None:
    model = served.fitted.model
    save_model(tmp_path / "model.npz", model)
    again = load_model(tmp_path / "model.npz")
    embedding = np.random.default_rng(0).normal(size=(5, DIMENSIONS)).astype(np.float32)
    context = served.steps.context[:5]
    one, two = (estimate_embedded(m, embedding, context) for m in (model, again))
    assert one.quality.tobytes() == two.quality.tobytes()


def test_an_encoder_of_another_length_is_refused(served: EncodedFit) -> None:
    class Longer:
        n_dimensions = DIMENSIONS + 1

        def ids(self, text: bytes) -> np.ndarray:
            return np.zeros(1, np.int64)

        def embed(self, text: bytes) -> np.ndarray:
            return np.zeros((1, self.n_dimensions), np.float32)

    with pytest.raises(ValueError, match=f"embedding of {DIMENSIONS + 1}"):
        PolicyGraph(served.graph, Longer())
    with pytest.raises(ValueError, match="inputs"):
        PolicyGraph(served.graph)


def test_a_bundle_with_an_encoder_verifies_and_decides_as_the_run_did(
    bundle: Path, served: EncodedFit, graph: PolicyGraph
) -> None:
    verified = verify_bundle(bundle)
    roles = {one.role: (one.name, one.required) for one in verified.manifest.files}
    assert roles["encoder"] == ("encoder.onnx", True)
    assert roles["tokenizer"] == ("tokenizer.json", True)
    for text in (b"", b"prove the file", "日本語".encode()):
        context = served.steps.context[:1]
        here, there = graph.decide(text, context), verified.graph.decide(text, context)
        np.testing.assert_array_equal(here, there)


def test_examples_hold_the_tokenizers_ids_and_are_checked_through_the_whole_path(
    bundle: Path, served: EncodedFit
) -> None:
    assert served.encoder is not None
    for one in verify_bundle(bundle).golden:
        assert one.ids == tuple(served.encoder.ids(one.text).tolist())


def seal(bundle: Path, change: dict[str, bytes]) -> None:
    """Replace files and mend the manifest, as somebody would who can write to the folder."""
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    for one in manifest["files"]:
        if one["name"] in change:
            content = change[one["name"]]
            (bundle / one["name"]).write_bytes(content)
            one |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps(manifest).encode()
    (bundle / "manifest.json").write_bytes(text)
    (bundle / "manifest.sha256").write_text(hashlib.sha256(text).hexdigest() + "\n")


def test_a_tokenizer_that_cuts_elsewhere_is_found_out(bundle: Path) -> None:
    tokenizer = json.loads((bundle / "tokenizer.json").read_bytes())
    tokenizer["truncation"]["max_length"] = 12
    seal(bundle, {"tokenizer.json": json.dumps(tokenizer).encode()})
    with pytest.raises(BundleError, match="other ids for example"):
        verify_bundle(bundle)


def test_an_encoder_of_other_weights_is_found_out(bundle: Path) -> None:
    proto = onnx.load_from_string((bundle / "encoder.onnx").read_bytes())
    weights = max(proto.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    values = np.array(onnx.numpy_helper.to_array(weights))
    weights.CopyFrom(onnx.numpy_helper.from_array(values[::-1].copy(), weights.name))
    seal(bundle, {"encoder.onnx": proto.SerializeToString()})
    with pytest.raises(BundleError, match="another decision for example"):
        verify_bundle(bundle)


def test_an_encoder_with_an_operator_off_the_list_is_refused_unopened(bundle: Path) -> None:
    proto = onnx.load_from_string((bundle / "encoder.onnx").read_bytes())
    next(node for node in proto.graph.node if node.op_type == "Softmax").op_type = "Hardmax"
    seal(bundle, {"encoder.onnx": proto.SerializeToString()})
    with pytest.raises(BundleError, match="encoder: operator 'Hardmax'"):
        verify_bundle(bundle)


@pytest.mark.parametrize("name", ["encoder.onnx", "tokenizer.json"])
def test_a_damaged_encoder_is_refused_in_one_line(bundle: Path, name: str) -> None:
    seal(bundle, {name: b"damage"})
    with pytest.raises(BundleError) as refused:
        verify_bundle(bundle)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("role", ["encoder", "tokenizer"])
def test_an_encoder_comes_with_its_tokenizer_or_not_at_all(bundle: Path, role: str) -> None:
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    (gone,) = (one for one in manifest["files"] if one["role"] == role)
    manifest["files"].remove(gone)
    (bundle / gone["name"]).unlink()
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    seal(bundle, {})
    with pytest.raises(BundleError, match="files"):
        verify_bundle(bundle)


def test_a_policy_that_takes_text_has_no_use_for_an_encoder(
    bundle: Path, model_bytes: bytes
) -> None:
    seal(bundle, {"policy.onnx": model_bytes})
    with pytest.raises(BundleError, match="does not open"):
        verify_bundle(bundle)
