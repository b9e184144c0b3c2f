"""An encoder is read from safetensors and settings alone, offline, and embeds any bytes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.features.tiny_encoder import DIMENSIONS, shared_encoder
from tierwise.data.errors import BadInput
from tierwise.features import encoder
from tierwise.features.encoder import embed, find_encoder, fingerprint, load_encoder

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_encoder(tmp_path_factory)


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "model"))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def spoil_by_pickle(folder: Path) -> None:
    """Leave a file that runs code when it is unpickled in place of the weights."""

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(folder / "unpickled"),)

    torch.save({"weight": Trap()}, folder / "pytorch_model.bin")


def test_any_text_has_an_embedding_of_length_one(folder: Path) -> None:
    texts = [b"", b" ", b"sort the file", b"\xff\xfe \xc3", "日本語 🚀".encode(), b"list " * 900]
    found = embed(load_encoder(folder), texts)
    assert found.shape == (len(texts), DIMENSIONS)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_an_embedding_does_not_depend_on_the_texts_beside_it(folder: Path) -> None:
    model = load_encoder(folder)
    words = [b"sort", b"prove", b"list", b"the", b"file", b"report", b"untangle"]
    texts = [b" ".join((words * 7)[i : 2 * i + 1]) for i in range(20)]
    together = embed(model, texts)
    alone = np.concatenate([embed(model, [text]) for text in texts])
    assert together.tobytes() == alone.tobytes()


def test_no_prompt_is_put_before_a_text(folder: Path, copy: Path) -> None:
    path = copy / "config_sentence_transformers.json"
    settings = json.loads(path.read_text())
    settings |= {"prompts": {"query": "prove: "}, "default_prompt_name": "query"}
    path.write_text(json.dumps(settings))
    with_prompt, without = (embed(load_encoder(one), [b"sort"]) for one in (copy, folder))
    np.testing.assert_array_equal(with_prompt, without)


def test_weights_that_are_pickled_are_not_read(copy: Path) -> None:
    (copy / WEIGHTS).unlink()
    spoil_by_pickle(copy)
    with pytest.raises(BadInput, match="no safetensors weights"):
        load_encoder(copy)
    assert not (copy / "unpickled").exists()


def test_pickled_weights_of_one_module_beside_sound_ones_are_not_read(copy: Path) -> None:
    modules = json.loads((copy / "modules.json").read_text())
    dense = "sentence_transformers.base.modules.dense.Dense"
    modules.append({"idx": 3, "name": "3", "path": "3_Dense", "type": dense})
    (copy / "modules.json").write_text(json.dumps(modules))
    (copy / "3_Dense").mkdir()
    sizes = {"in_features": 32, "out_features": 4, "bias": True}
    activation = {"activation_function": "torch.nn.modules.activation.Tanh"}
    (copy / "3_Dense" / "config.json").write_text(json.dumps(sizes | activation))
    spoil_by_pickle(copy / "3_Dense")
    with pytest.raises(BadInput, match="safetensors"):
        load_encoder(copy)
    assert not (copy / "3_Dense" / "unpickled").exists()


def test_code_that_comes_with_a_model_is_not_run(copy: Path) -> None:
    (copy / "own.py").write_text("raise SystemExit('ran')\n")
    modules = json.loads((copy / "modules.json").read_text())
    modules[1]["type"] = "own.Pooling"
    (copy / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(BadInput, match=r"own\.Pooling") as refused:
        load_encoder(copy)
    assert "\n" not in str(refused.value)


def test_a_folder_that_is_no_such_model_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadInput, match=r"modules\.json"):
        load_encoder(tmp_path)
    with pytest.raises(BadInput, match="no such folder"):
        find_encoder(str(tmp_path / "missing"))


@pytest.mark.usefixtures("offline")
def test_a_name_that_cannot_be_loaded_is_refused_in_one_line() -> None:
    for name in ("no-such-model", "nobody/no-such-model", "not a name"):
        with pytest.raises(BadInput, match=r"mend fit\.encoder") as refused:
            find_encoder(name)
        assert "\n" not in str(refused.value)


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    with pytest.raises(BadInput, match=r"sentence_transformers is not .* extra 'train'"):
        load_encoder(Path("anything"))


def test_the_fingerprint_follows_weights_and_settings_but_no_other_file(
    folder: Path, copy: Path
) -> None:
    before = fingerprint(copy)
    assert before == fingerprint(folder)
    (copy / "README.md").write_text("words")
    assert fingerprint(copy) == before
    content = bytearray((copy / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (copy / WEIGHTS).write_bytes(bytes(content))
    assert fingerprint(copy) != before


def test_only_listed_kinds_of_files_are_shown_to_the_loader(copy: Path) -> None:
    (copy / "model.bin").write_bytes(b"")
    (copy / "code.py").write_bytes(b"")
    with encoder.shown_files(copy) as view:
        shown = {path.suffix for path in view.rglob("*") if path.is_file()}
    assert shown == {".json", ".safetensors"}
