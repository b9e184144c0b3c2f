"""Random damage to a bundle's folder; each kind leaves something that is not the bundle."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FILES = ("golden.jsonl", "manifest.json", "manifest.sha256", "policy.onnx")
Rng = np.random.Generator


def _one(folder: Path, rng: Rng) -> tuple[Path, bytearray]:
    path = folder / FILES[rng.integers(len(FILES))]
    return path, bytearray(path.read_bytes())


def flip_a_bit(folder: Path, rng: Rng) -> None:
    path, content = _one(folder, rng)
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)


def cut_the_end(folder: Path, rng: Rng) -> None:
    path, content = _one(folder, rng)
    path.write_bytes(content[: rng.integers(len(content))])


def insert_bytes(folder: Path, rng: Rng) -> None:
    path, content = _one(folder, rng)
    place = int(rng.integers(len(content) + 1))
    content[place:place] = rng.bytes(int(rng.integers(1, 9)))
    path.write_bytes(content)


def delete_bytes(folder: Path, rng: Rng) -> None:
    path, content = _one(folder, rng)
    place = int(rng.integers(len(content)))
    del content[place : place + int(rng.integers(1, 9))]
    path.write_bytes(content)


def overwrite_with_zeros(folder: Path, rng: Rng) -> None:
    path, content = _one(folder, rng)
    path.write_bytes(bytes(len(content)))


def exchange_two_files(folder: Path, rng: Rng) -> None:
    first, second = rng.choice(len(FILES), 2, replace=False)
    one, other = folder / FILES[first], folder / FILES[second]
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def remove_a_file(folder: Path, rng: Rng) -> None:
    _one(folder, rng)[0].unlink()


def add_a_file(folder: Path, rng: Rng) -> None:
    (folder / f"{rng.bytes(4).hex()}.onnx").write_bytes(b"")


def link_to_the_same_bytes(folder: Path, rng: Rng) -> None:
    path, content = _one(folder, rng)
    elsewhere = folder.parent / f"elsewhere.{path.name}"
    elsewhere.write_bytes(content)
    path.unlink()
    path.symlink_to(elsewhere)


def make_it_a_pipe(folder: Path, rng: Rng) -> None:
    path, _ = _one(folder, rng)
    path.unlink()
    os.mkfifo(path)


def make_it_a_folder(folder: Path, rng: Rng) -> None:
    path, _ = _one(folder, rng)
    path.unlink()
    path.mkdir()


def weights_elsewhere(folder: Path, rng: Rng) -> None:
    """A graph whose weights lie in another file, here its own manifest."""
    tensor = TensorProto(name="w", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="manifest.json")
    (folder / "policy.onnx").write_bytes(_graph([], [tensor]))


def ask_for_gigabytes(folder: Path, rng: Rng) -> None:
    """Some 200 bytes that would make a tensor of 600 million numbers."""
    size = numpy_helper.from_array(np.array([600_000_000 + rng.integers(1000)]), "n")
    node = helper.make_node("ConstantOfShape", ["n"], ["y"])
    (folder / "policy.onnx").write_bytes(_graph([node], [size]))


def _graph(nodes: list[object], weights: list[TensorProto]) -> bytes:
    graph = helper.make_graph(nodes, "g", [], [], weights)
    opsets = [helper.make_opsetid("", 21)]
    content: bytes = helper.make_model(
        graph, opset_imports=opsets, ir_version=10
    ).SerializeToString()
    return content


KINDS: tuple[Callable[[Path, Rng], None], ...] = (
    flip_a_bit, cut_the_end, insert_bytes, delete_bytes, overwrite_with_zeros, exchange_two_files,
    remove_a_file, add_a_file, link_to_the_same_bytes, make_it_a_pipe, make_it_a_folder,
    weights_elsewhere, ask_for_gigabytes,
)  # fmt: skip
