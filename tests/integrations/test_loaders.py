"""Loaders in other languages pass every golden vector, and refuse what they cannot serve."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from tests.integrations.conftest import EXAMPLES
from tierwise.router_model.bundle import verify_bundle

RULES = {
    "version": 1,
    "pins": [
        {"name": "plans", "role": ["planner"], "tier": "frontier", "allowed": ["frontier"]},
        {"name": "personal", "data_class": ["personal"], "tier": None, "allowed": ["mid", "small"],
         "unless": {"role": ["planner"]}},
    ],
    "failover": {"vendor-a": ["vendor-b"]},
    "latency_s": {"interactive": 2.0},
    "fixed_roles": {"router": "small"},
}  # fmt: skip


@pytest.fixture(scope="module", params=["node", "rust"])
def loader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loader:
    """Return what runs a loader on a bundle."""
    if request.param == "node":
        return Loader(["node", str(EXAMPLES / "node" / "conformance.mjs")])
    target = tmp_path_factory.mktemp("rust")
    build = ["cargo", "build", "--release", "--offline", "--target-dir", str(target)]
    subprocess.run(build, cwd=EXAMPLES / "rust", check=True)
    return Loader([str(target / "release" / "tierwise-rust-example")])


@dataclass
class Loader:
    """A command that checks itself with a bundle and with vectors."""

    command: list[str]

    def run(self, policy: Path, *more: str) -> subprocess.CompletedProcess[str]:
        (library,) = Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*")
        return subprocess.run(
            [*self.command, str(policy), str(EXAMPLES / "conformance"), *more],
            env=os.environ | {"ORT_DYLIB_PATH": str(library)},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


@pytest.fixture
def copy(policy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(policy, tmp_path / "policy"))


def rewrite(copy: Path, **changes: Any) -> None:
    """Change the manifest of a bundle, and its digest with it."""
    text = json.dumps(json.loads((copy / "manifest.json").read_text()) | changes)
    (copy / "manifest.json").write_text(text)
    (copy / "manifest.sha256").write_text(hashlib.sha256(text.encode()).hexdigest() + "\n")


def test_every_golden_vector_agrees(loader: Loader, policy: Path) -> None:
    done = loader.run(policy)
    count = len(verify_bundle(policy).golden)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"golden vectors: {count} of {count} agree" in done.stdout


def test_every_text_and_every_context_agrees(loader: Loader, policy: Path) -> None:
    said = loader.run(policy).stdout
    assert "differs" not in said
    for name in ("texts", "contexts"):
        count = len((EXAMPLES / "conformance" / f"{name}.jsonl").read_text().splitlines())
        assert f"{name}: {count} of {count} agree" in said


@pytest.mark.parametrize("name", ["manifest.json", "policy.onnx", "golden.jsonl"])
def test_a_changed_byte_in_any_file_is_refused(loader: Loader, copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(bytes(content))
    done = loader.run(copy)
    assert done.returncode == 1
    assert "digest" in done.stdout


def test_another_file_in_the_folder_is_refused(loader: Loader, copy: Path) -> None:
    (copy / "notes.txt").write_text("hello")
    assert "notes.txt" in loader.run(copy).stdout


def test_a_file_behind_a_link_is_refused(loader: Loader, copy: Path, policy: Path) -> None:
    (copy / "policy.onnx").unlink()
    (copy / "policy.onnx").symlink_to(policy / "policy.onnx")
    assert loader.run(copy).returncode == 1


def test_a_required_file_of_an_unknown_role_is_refused(loader: Loader, copy: Path) -> None:
    files = json.loads((copy / "manifest.json").read_text())["files"]
    rewrite(copy, files=[*files, files[0] | {"name": "new.bin", "role": "new"}])
    assert "role new" in loader.run(copy).stdout


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_random_rules_are_applied_as_the_router_applies_them(
    loader: Loader, copy: Path, tmp_path: Path, seed: str
) -> None:
    """The bundle's own rules, and 150 other sets of rules in their place."""
    rewrite(copy, rules=[RULES])
    write = [sys.executable, str(EXAMPLES / "conformance" / "rules.py"), str(copy)]
    said = subprocess.run(
        [*write, "--sets", "150", "--steps", "30", "--seed", seed],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    sets = [json.loads(line) for line in said.splitlines()]
    assert len(sets[0]["rules"][0]["pins"]) == len(RULES["pins"])
    (tmp_path / "rules.jsonl").write_text(said)
    done = loader.run(copy, str(tmp_path / "rules.jsonl"))
    count = sum(len(one["steps"]) for one in sets)
    assert f"decisions under rules: {count} of {count} agree" in done.stdout, done.stdout[-3000:]
    assert done.returncode == 0


@pytest.mark.parametrize(
    "rules",
    [
        {"budgets": {"default": {"usd": 1, "usd_per_day": 1}}},
        {"explore": {"rate": 0.1}},
        {"version": 2},
        {"quotas": {}},
        {"forbidden_vendors": ["vendor-z"]},
        {"fixed_roles": {"worker": "huge"}},
        {
            "pins": [
                {"name": "by weekday", "weekday": ["monday"], "tier": "mid", "allowed": ["mid"]}
            ]
        },
        {"pins": [{"name": "everybody", "tier": "mid", "allowed": ["mid"]}]},
        {"pins": [{"name": "no", "irreversible": False, "tier": "mid", "allowed": ["mid"]}]},
    ],
    ids=lambda rules: next(iter(rules)),
)
def test_rules_that_a_loader_does_not_apply_are_refused(
    loader: Loader, copy: Path, rules: dict[str, Any]
) -> None:
    rewrite(copy, rules=[{"version": 1} | rules])
    done = loader.run(copy)
    assert done.returncode == 1
    assert "rules" in done.stdout


def test_two_objects_of_rules_are_refused(loader: Loader, copy: Path) -> None:
    rewrite(copy, rules=[{"version": 1}, {"version": 1}])
    assert "rules" in loader.run(copy).stdout


def test_a_decision_other_than_the_golden_one_is_refused(loader: Loader, copy: Path) -> None:
    lines = [json.loads(line) for line in (copy / "golden.jsonl").read_text().splitlines()]
    lines[0]["decision"][0] = float(lines[0]["decision"][0] == 0)
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    (copy / "golden.jsonl").write_bytes(content)
    files = json.loads((copy / "manifest.json").read_text())["files"]
    files[1] |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert files[1]["role"] == "golden"
    rewrite(copy, files=files)
    assert "example 1" in loader.run(copy).stdout
