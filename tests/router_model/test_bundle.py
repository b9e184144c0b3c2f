"""A bundle is written whole, and nothing but the bundle that was written is accepted."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tierwise.router_model import golden, swap
from tierwise.router_model.bundle import BundleError, verify_bundle, write_bundle
from tierwise.router_model.golden import make_golden
from tierwise.router_model.manifest import Manifest
from tierwise.router_model.runtime import PolicyGraph

FILES = ["golden.jsonl", "manifest.json", "manifest.sha256", "policy.onnx"]


def refused(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        verify_bundle(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def sign(folder: Path) -> None:
    """Write the digest of the manifest as it is: a forger would do that too."""
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    (folder / "manifest.sha256").write_text(digest + "\n")


def forge(folder: Path, name: str, new: bytes) -> None:
    """Replace a file and make the manifest agree."""
    (folder / name).write_bytes(new)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for one in manifest["files"]:
        if one["name"] == name:
            one.update(size=len(new), sha256=hashlib.sha256(new).hexdigest())
    (folder / "manifest.json").write_text(json.dumps(manifest))
    sign(folder)


def test_what_is_written_verifies(bundle: Path, model_bytes: bytes) -> None:
    verified = verify_bundle(bundle)
    assert sorted(content(bundle)) == FILES
    assert verified.model_bytes == model_bytes
    assert verified.manifest.policy_version == "v1"
    assert {one.role for one in verified.manifest.files} == {"policy", "golden"}
    assert verified.graph.n_tiers == 3


def test_the_same_policy_gives_the_same_bytes(
    bundle: Path, tmp_path: Path, graph: PolicyGraph, model_bytes: bytes, manifest: Manifest
) -> None:
    examples = make_golden(graph, [b"one step", b"another"])
    write_bundle(tmp_path / "again", model_bytes, manifest, examples)
    assert content(tmp_path / "again") == content(bundle)


def test_the_digest_file_is_64_digits_and_a_newline(bundle: Path) -> None:
    digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    assert (bundle / "manifest.sha256").read_bytes() == f"{digest}\n".encode()


def test_a_digest_known_from_elsewhere_has_to_be_the_bundles(bundle: Path) -> None:
    digest = (bundle / "manifest.sha256").read_text()
    assert verify_bundle(bundle, digest).digest == digest.strip()
    with pytest.raises(BundleError, match="digest"):
        verify_bundle(bundle, "0" * 64)


def test_200_random_mutations_are_refused(bundle: Path) -> None:
    rng = np.random.default_rng(0)
    good = content(bundle)
    for _ in range(200):
        name = FILES[rng.integers(len(FILES))]
        spoiled = bytearray(good[name])
        kind = rng.integers(4)
        place = int(rng.integers(len(spoiled)))
        if kind == 0:
            spoiled[place] ^= 1 << rng.integers(8)
        elif kind == 1:
            del spoiled[place:]
        elif kind == 2:
            spoiled[place:place] = rng.bytes(int(rng.integers(1, 9)))
        else:
            del spoiled[place : place + int(rng.integers(1, 9))]
        (bundle / name).write_bytes(spoiled)
        refused(bundle)
        (bundle / name).write_bytes(good[name])
    verify_bundle(bundle)


def swap_files(folder: Path) -> None:
    (folder / "policy.onnx").rename(folder / "x")
    (folder / "golden.jsonl").rename(folder / "policy.onnx")
    (folder / "x").rename(folder / "golden.jsonl")


def link_model(folder: Path) -> None:
    shutil.move(folder / "policy.onnx", folder.parent / "elsewhere.onnx")
    (folder / "policy.onnx").symlink_to(folder.parent / "elsewhere.onnx")


def link_manifest(folder: Path) -> None:
    shutil.move(folder / "manifest.json", folder.parent / "elsewhere.json")
    (folder / "manifest.json").symlink_to(folder.parent / "elsewhere.json")


def model_is_a_folder(folder: Path) -> None:
    (folder / "policy.onnx").unlink()
    (folder / "policy.onnx").mkdir()


def model_is_a_pipe(folder: Path) -> None:
    (folder / "policy.onnx").unlink()
    os.mkfifo(folder / "policy.onnx")


def extra_file(folder: Path) -> None:
    (folder / "run.sh").write_text("true")


def hidden_file(folder: Path) -> None:
    (folder / ".env").write_text("A=1")


def no_digest(folder: Path) -> None:
    (folder / "manifest.sha256").unlink()


def no_golden(folder: Path) -> None:
    (folder / "golden.jsonl").unlink()


def long_digest(folder: Path) -> None:
    with (folder / "manifest.sha256").open("a") as file:
        file.write("\n")


def upper_digest(folder: Path) -> None:
    digest = (folder / "manifest.sha256").read_text()
    (folder / "manifest.sha256").write_text(digest.upper())


def nothing(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "change",
    [
        swap_files, link_model, link_manifest, model_is_a_folder, model_is_a_pipe, extra_file,
        hidden_file, no_digest, no_golden, long_digest, upper_digest, nothing,
    ],
)  # fmt: skip
def test_another_folder_than_was_written_is_refused(
    bundle: Path, change: Callable[[Path], None]
) -> None:
    change(bundle)
    refused(bundle)


def test_a_forged_graph_still_has_to_pass_the_operator_list(
    bundle: Path, model: onnx.ModelProto
) -> None:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    other.graph.node.append(onnx.helper.make_node("ConstantOfShape", ["ids"], ["bomb"]))
    forge(bundle, "policy.onnx", other.SerializeToString())
    assert "policy graph: operator 'ConstantOfShape'" in refused(bundle)


def test_a_forged_graph_still_has_to_pass_the_examples(
    bundle: Path, model: onnx.ModelProto
) -> None:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    next(n for n in other.graph.node if n.input[0] == "allowed").op_type = "Less"
    forge(bundle, "policy.onnx", other.SerializeToString())
    assert "another decision" in refused(bundle)


def test_a_graph_that_cannot_be_opened_is_refused(bundle: Path, model: onnx.ModelProto) -> None:
    other = onnx.ModelProto()
    other.CopyFrom(model)
    other.graph.output[0].name = "nowhere"
    forge(bundle, "policy.onnx", other.SerializeToString())
    assert "does not open" in refused(bundle)


def test_a_graph_of_other_tiers_than_the_manifests_is_refused(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    manifest["tiers"].append(manifest["tiers"][0] | {"name": "fourth"})
    manifest["outputs"] |= {"cost_usd": 12, "total_cost_usd": 16, "latency_s": 20}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    sign(bundle)
    assert "tiers and context columns" in refused(bundle)


def test_examples_that_do_not_fit_the_graph_are_refused(bundle: Path, graph: PolicyGraph) -> None:
    one = make_golden(graph)[0]
    wrong = replace(one, allowed=(1.0,) * 7)
    forge(bundle, "golden.jsonl", golden.to_bytes([wrong]))
    assert "fails" in refused(bundle)


def test_a_file_of_a_later_optional_role_is_checked_and_carried(bundle: Path) -> None:
    (bundle / "check.onnx").write_bytes(b"later")
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    digest = hashlib.sha256(b"later").hexdigest()
    entry: dict[str, Any] = {"name": "check.onnx", "role": "check", "required": False}
    manifest["files"].append(entry | {"size": 5, "sha256": digest})
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    sign(bundle)
    assert len(verify_bundle(bundle).manifest.files) == 3
    (bundle / "check.onnx").write_bytes(b"other")
    assert "check.onnx" in refused(bundle)


def test_a_graph_off_the_list_is_not_written(
    tmp_path: Path, manifest: Manifest, graph: PolicyGraph
) -> None:
    node = onnx.helper.make_node("Loop", [], [])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], []), ir_version=10)
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", 21))
    with pytest.raises(BundleError, match="Loop"):
        write_bundle(tmp_path / "policy", model.SerializeToString(), manifest, make_golden(graph))
    assert list(tmp_path.iterdir()) == []


def test_a_new_bundle_replaces_the_old_one_whole(
    bundle: Path, graph: PolicyGraph, model_bytes: bytes, manifest: Manifest
) -> None:
    (bundle / "left.over").write_text("from an earlier version")
    newer = replace(manifest, policy_version="v2")
    write_bundle(bundle, model_bytes, newer, make_golden(graph))
    assert verify_bundle(bundle).manifest.policy_version == "v2"
    assert [path.name for path in bundle.parent.iterdir()] == ["policy"]


@pytest.mark.parametrize("step", ["_write", "_sync", "_place"])
def test_a_failed_write_leaves_the_old_bundle_and_no_rest(
    bundle: Path,
    graph: PolicyGraph,
    model_bytes: bytes,
    manifest: Manifest,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = content(bundle)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(swap, step, full)
    newer = replace(manifest, policy_version="v2")
    with pytest.raises(OSError, match="No space"):
        write_bundle(bundle, model_bytes, newer, make_golden(graph))
    assert content(bundle) == before
    assert [path.name for path in bundle.parent.iterdir()] == ["policy"]


def test_without_an_exchange_the_old_bundle_comes_back_on_failure(
    bundle: Path,
    graph: PolicyGraph,
    model_bytes: bytes,
    manifest: Manifest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newer = replace(manifest, policy_version="v2")
    monkeypatch.setattr(swap, "_exchange", lambda *_: False)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.suffix == ".part":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing)
        with pytest.raises(OSError, match="Input/output"):
            write_bundle(bundle, model_bytes, newer, make_golden(graph))
    assert verify_bundle(bundle).manifest.policy_version == "v1"
    write_bundle(bundle, model_bytes, newer, make_golden(graph))
    assert verify_bundle(bundle).manifest.policy_version == "v2"
    assert [path.name for path in bundle.parent.iterdir()] == ["policy"]


def test_a_bundle_behind_a_link_is_replaced_where_the_link_leads(
    bundle: Path, graph: PolicyGraph, model_bytes: bytes, manifest: Manifest
) -> None:
    link = bundle.parent / "current"
    link.symlink_to(bundle)
    newer = replace(manifest, policy_version="v2")
    write_bundle(link, model_bytes, newer, make_golden(graph))
    assert link.is_symlink()
    assert verify_bundle(bundle).manifest.policy_version == "v2"
