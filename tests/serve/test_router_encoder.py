"""A gateway calls a policy with an encoder as it calls any other, without the training stack."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.features.tiny_encoder import shared_encoder
from tests.training.encoded import EncodedFit, encoded_fit, write_served_bundle
from tierwise.data.errors import BadInput
from tierwise.router_model.bundle import BundleError
from tierwise.serve import Router


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> EncodedFit:
    return encoded_fit(shared_encoder(tmp_path_factory), "serve")


@pytest.fixture(scope="module")
def folder(served: EncodedFit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_served_bundle(served, tmp_path_factory.mktemp("served") / "policy")


@pytest.mark.parametrize(
    "step",
    [
        "",
        "sort the file",
        "日本語 \ud800 🚀",
        "list " * 5000,
        [{"role": "user", "content": "prove"}],
    ],
)
def test_any_step_is_decided_by_the_graph(folder: Path, step: str) -> None:
    router = Router.load(folder)
    decision = router.decide(step, role="worker", has_schema=True)
    assert decision.reason == "not_certified"  # of an empty floor table, and no fallback
    assert decision.numbers
    assert not router.faults


def test_the_text_moves_what_is_expected_of_the_cheapest_tier(folder: Path) -> None:
    router = Router.load(folder)
    easy, hard = (router.decide(t).estimates() for t in ("copy list sort", "prove derive diagnose"))
    assert abs(easy["quality"][0] - hard["quality"][0]) > 0.02


def test_a_gateway_without_the_training_stack_can_serve_it(folder: Path) -> None:
    heavy = "{'torch', 'transformers', 'sentence_transformers', 'onnx', 'sklearn', 'pandas'}"
    code = (
        "import sys\nfrom tierwise.serve import Router\n"
        f"print(Router.load(sys.argv[1]).decide('sort').reason, sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "not_certified []"


def test_without_tokenizers_the_missing_extra_is_named_and_the_bundle_is_not_blamed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(BadInput, match=r"tierwise\[text\]") as refused:
        Router.load(folder)
    assert not isinstance(refused.value, BundleError)
