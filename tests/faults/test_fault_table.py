"""Every fault that is to be expected: no decision raises, something sound serves, it is counted.

One test a row of the table in docs/reliability.md.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from tests.faults.bundles import model_for, rehash, write
from tests.faults.registry import Registry
from tests.router_model.policies import random_model, random_spec
from tests.serve.routers import bundle_of, router_of
from tierwise.router_model.bundle import verify_bundle
from tierwise.router_model.graph import build_graph, serialize
from tierwise.router_model.layout import HEAD, LEAD
from tierwise.router_model.model import Model
from tierwise.router_model.runtime import PolicyGraph
from tierwise.serve import Router
from tierwise.serve.accepted import AcceptedFile
from tierwise.serve.polling import Poller, Schedule
from tierwise.serve.reload import ReloadingRouter

FLOORS = {
    "floor": {"kind": "retain", "level": 0.95},
    "levels": [0.95],
    "strata": [{"name": "rest", "roles": ["rest"], "points": [4]}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "gateway" / "policy", "small")
    return tmp_path / "gateway" / "policy"


@pytest.fixture
def router(folder: Path) -> ReloadingRouter:
    return ReloadingRouter(folder)


# Faults of a bundle: the old policy goes on.


def truncated_file(folder: Path) -> None:
    content = (folder / "policy.onnx").read_bytes()
    (folder / "policy.onnx").write_bytes(content[: len(content) // 2])


def flipped_bit(folder: Path) -> None:
    content = bytearray((folder / "policy.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "policy.onnx").write_bytes(content)


def wrong_digest(folder: Path) -> None:
    (folder / "manifest.sha256").write_text("0" * 64 + "\n")


def missing_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def changed_graph(folder: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    model = onnx.load_from_string(model_for("large")[0])
    change(model)
    rehash(folder, "policy.onnx", model.SerializeToString())


def wrong_dims(folder: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[1].type.tensor_type.shape.dim[1].dim_value = 9

    changed_graph(folder, change)


def opset_99(folder: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        model.opset_import[0].version = 99

    changed_graph(folder, change)


def bomb(folder: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        size = numpy_helper.from_array(np.array([600_000_000]), "n")
        model.graph.initializer.append(size)
        model.graph.node.append(helper.make_node("ConstantOfShape", ["n"], ["y"]))

    changed_graph(folder, change)


@pytest.mark.parametrize(
    "fault",
    [truncated_file, flipped_bit, wrong_digest, missing_manifest, wrong_dims, opset_99, bomb],
)
def test_with_a_faulty_bundle_the_old_policy_goes_on(
    router: ReloadingRouter, folder: Path, fault: Callable[[Path], None]
) -> None:
    write(folder, "large")
    fault(folder)
    assert router.reload() == "refused"
    assert router.decide("step").tier == "small"
    assert router.reloads == {"refused": 1}
    assert not router.faults


def no_scales(model: Model) -> Model:
    return replace(model, scale=np.full_like(model.scale, np.nan))


def one_tiers_quality(model: Model) -> Model:
    task = model.task.copy()
    task[:, 0] = np.nan
    return replace(model, task=task)


def one_tiers_cost(model: Model) -> Model:
    slope = model.cost_slope.copy()
    slope[:, 0] = np.inf
    return replace(model, cost_slope=slope)


@pytest.mark.parametrize("fault", [no_scales, one_tiers_quality, one_tiers_cost])
def test_weights_that_are_no_numbers_serve_the_fallback(fault: Callable[[Model], Model]) -> None:
    spec = random_spec()
    router = router_of(serialize(build_graph(fault(random_model()), spec)), spec, FLOORS)
    decision = router.decide("prove it")
    assert (decision.tier, decision.reason) == (spec.tiers[spec.reference], "fallback")
    assert router.faults == {"output": 1}


@pytest.mark.parametrize("place", [LEAD, HEAD, HEAD + 2, HEAD + 2 * 3])
def test_no_tier_is_believed_where_a_number_it_hangs_on_is_none(place: int) -> None:
    """Which score is the greatest is not defined then: a runtime may name any tier."""
    bundle = bundle_of(serialize(build_graph(random_model(), random_spec())), random_spec(), FLOORS)
    sound = Router(bundle).decide("prove it")

    class Unsound(PolicyGraph):
        def decide(self, *args: Any) -> NDArray[np.float32]:
            numbers = super().decide(*args)
            numbers[place] = np.nan
            return numbers

    router = Router(replace(bundle, graph=Unsound(bundle.model_bytes)))
    assert sound.reason != "fallback"
    assert router.decide("prove it").reason == "fallback"
    assert router.faults == {"output": 1}


# Faults of a step: it is decided all the same.


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, 10**400])
def test_a_feature_that_is_no_number_is_unknown(router: ReloadingRouter, value: float) -> None:
    decision = router.decide("step", context_tokens=value)
    assert decision.tier == "small"
    assert (decision.ignored != ()) == (not (isinstance(value, float) and math.isnan(value)))
    assert router.ignored.total() == len(decision.ignored)


@pytest.mark.parametrize("limit", ["floor", "max_latency_s"])
def test_a_limit_that_is_no_number_serves_the_fallback(router: ReloadingRouter, limit: str) -> None:
    given: dict[str, Any] = {limit: math.nan}
    decision = router.decide("step", **given)
    assert (decision.tier, decision.reason) == ("large", "fallback")
    assert router.faults == {limit: 1}


@pytest.mark.parametrize(
    "text",
    ["", "x" * (1 << 20), "\ud800 unpaired \udfff", b"\xff\xfe".decode("latin-1"),
     b"\xff".decode("utf-8", "surrogateescape"), "日本語🚀é" * 2000, "\0" * 10_000],
    ids=["empty", "1 MB", "unpaired", "latin", "invalid UTF-8", "10,000 characters", "zeros"],
)  # fmt: skip
def test_any_text_is_decided(router: ReloadingRouter, text: str) -> None:
    decision = router.decide(text)
    assert (decision.tier, decision.reason) == ("small", "floor")
    assert not router.faults


@pytest.mark.parametrize("step", [None, 7, b"bytes", [None], [{"role": 7}], {"role": "user"}, [[]]])
def test_what_is_no_step_is_decided_or_falls_back(router: ReloadingRouter, step: Any) -> None:
    decision = router.decide(step)
    assert decision.tier in ("small", "large")
    assert router.faults.total() == (decision.reason == "fallback")


# Faults of a registry, a disk, a clock, a process.


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    write(tmp_path / "registry" / "policy", "small")
    return Registry(tmp_path / "registry" / "policy")


@pytest.mark.parametrize(
    "fault",
    [ConnectionError("registry down"), OSError(errno.ENOSPC, "No space left on device")],
    ids=["registry down", "disk full while downloading"],
)
def test_when_a_download_fails_the_old_policy_goes_on(
    registry: Registry, folder: Path, fault: Exception
) -> None:
    router = ReloadingRouter(folder, download=registry)
    digest = write(registry.folder, "large")
    registry.fault = fault
    assert router.reload() == "failed"
    assert router.decide("step").tier == "small"
    assert router.reloads == {"failed": 1}
    assert verify_bundle(folder).digest == router.digest
    registry.fault = None
    assert router.reload() == "swapped"
    assert router.digest == digest


def test_a_slow_registry_holds_up_no_decision(registry: Registry, folder: Path) -> None:
    router = ReloadingRouter(folder, download=registry)
    write(registry.folder, "large")
    registry.go_on.clear()
    look = Thread(target=router.reload)
    look.start()
    assert registry.begun.wait(10)
    assert {router.decide("step").tier for _ in range(100)} == {"small"}
    registry.go_on.set()
    look.join()
    assert router.decide("step").tier == "large"


KILLED = """
import sys, time
from pathlib import Path
from tierwise.serve.reload import ReloadingRouter

def download(into, digest):
    (into / "policy.onnx").write_bytes(b"half")
    print(into, flush=True)
    time.sleep(60)

ReloadingRouter(Path(sys.argv[1]), download=download).reload()
"""


def test_a_download_killed_in_the_middle_harms_nothing_and_is_cleaned_up(
    registry: Registry, folder: Path
) -> None:
    other = ReloadingRouter(folder, download=registry)
    command = [sys.executable, "-c", KILLED, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        rest = Path(process.stdout.readline().strip())
        assert (rest / "policy.onnx").exists()
        assert other.reload() == "unchanged"
        assert rest.exists()  # another process is at work there
        os.kill(process.pid, signal.SIGKILL)
    assert rest.exists()
    assert other.reload() == "unchanged"
    assert not rest.exists()
    assert ReloadingRouter(folder).decide("step").tier == "small"


def test_two_reloads_at_once_are_one(folder: Path) -> None:
    opening, go_on = Event(), Event()
    go_on.set()

    def load(path: Path) -> Router:
        opening.set()
        assert go_on.wait(10)
        return Router.load(path)

    router = ReloadingRouter(folder, load=load)
    opening.clear()
    go_on.clear()
    write(folder, "large")
    first = Thread(target=router.reload)
    first.start()
    assert opening.wait(10)
    assert router.reload() == "busy"
    assert router.decide("step").tier == "small"
    go_on.set()
    first.join()
    assert router.reloads == {"busy": 1, "swapped": 1}
    assert router.decide("step").tier == "large"


def test_a_clock_that_jumps_backwards_stops_no_reload(
    router: ReloadingRouter, folder: Path
) -> None:
    now, looked = [1e9], Event()

    def look() -> bool:
        found = router.look()
        looked.set()
        return found

    schedule = Schedule(np.random.default_rng(0), 0.01, 0.01, lambda: now[0])
    now[0] = 0.0
    write(folder, "large")
    with Poller(look, schedule):
        assert looked.wait(10)
    assert router.decide("step").tier == "large"


UNDER_LOAD = """
import sys, threading
from pathlib import Path
from tests.faults.bundles import write
from tierwise.serve.accepted import AcceptedFile
from tierwise.serve.reload import ReloadingRouter

folder = Path(sys.argv[1])
router = ReloadingRouter(folder, accepted=AcceptedFile(folder.parent / "served.json"))

def decide():
    while True:
        router.decide("step", role="worker")

for _ in range(2):
    threading.Thread(target=decide, daemon=True).start()
sequence = 0
while True:
    sequence += 1
    write(folder, ("small", "large")[sequence % 2], sequence)
    assert router.reload() == "swapped"
    if sequence == 5:
        print("under load", flush=True)
"""


def test_a_stop_under_load_leaves_a_bundle_and_a_memory_that_the_next_start_takes(
    folder: Path, root: Path
) -> None:
    command = [sys.executable, "-c", UNDER_LOAD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "under load\n"
        process.terminate()
    assert process.returncode == -signal.SIGTERM
    accepted = AcceptedFile(folder.parent / "served.json")
    assert accepted.now.sequence >= 5
    assert ReloadingRouter(folder, accepted=accepted).decide("step").reason == "floor"


def test_a_folder_that_is_gone_leaves_the_policy_in_memory(
    router: ReloadingRouter, folder: Path
) -> None:
    shutil.rmtree(folder)
    assert router.reload() == "refused"
    assert router.decide("step").tier == "small"
