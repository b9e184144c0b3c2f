"""`tierwise sign` and `tierwise verify --public-key`, with keys that openssl makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.bundles import write
from tests.router_model.test_signature import PRIVATE, PUBLIC
from tests.test_cli import call


@pytest.fixture
def policy(tmp_path: Path) -> str:
    write(tmp_path / "policy", "small")
    (tmp_path / "key.pem").write_bytes(PRIVATE)
    (tmp_path / "key.pub").write_bytes(PUBLIC)
    return str(tmp_path / "policy")


def test_what_is_signed_verifies(policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    private, public = f"{policy}/../key.pem", f"{policy}/../key.pub"
    assert call("verify", policy, "--public-key", public) == 1
    assert "an unsigned bundle" in capsys.readouterr().out
    assert call("sign", policy, "--key", private, "--json") == 0
    signed = json.loads(capsys.readouterr().out)["signed"]
    assert signed == (Path(policy) / "manifest.sha256").read_text().strip()
    assert call("verify", policy, "--public-key", public) == 0
    assert "sound, signed by" in capsys.readouterr().out


def test_a_bundle_that_is_not_sound_is_not_signed(
    policy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(policy) / "golden.jsonl").unlink()
    assert call("sign", policy, "--key", f"{policy}/../key.pem") == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("key", ["../gone.pub", "../key.pem"])
def test_a_key_that_cannot_be_used_is_wrong_use_not_a_verdict(
    policy: str, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("verify", policy, "--public-key", f"{policy}/{key}") == 2
    assert "public key" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("sign", "gone", "--key", "key.pem") == 2
    assert "no folder gone" in capsys.readouterr().err
