"""The manifest survives its JSON, keeps what later versions add, refuses what it cannot honor."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tierwise.router_model.manifest import BundleError, BundleFile, Manifest

DIGEST = "0" * 64


def changed(manifest: Manifest, **values: Any) -> bytes:
    content = json.loads(manifest.to_bytes()) | values
    return json.dumps({k: v for k, v in content.items() if v is not ...}).encode()


def test_a_manifest_survives_its_json(manifest: Manifest) -> None:
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


def test_equal_manifests_give_equal_bytes(manifest: Manifest) -> None:
    assert replace(manifest).to_bytes() == manifest.to_bytes()


def test_output_columns_are_named_with_their_offsets(manifest: Manifest) -> None:
    assert manifest.outputs["tier"] == 0
    assert manifest.outputs["total_cost_usd"] == 14


def test_fields_of_a_later_version_are_kept(manifest: Manifest) -> None:
    later = Manifest.from_bytes(changed(manifest, signature={"key": 1}))
    assert later.extra == {"signature": {"key": 1}}
    assert json.loads(later.to_bytes())["signature"] == {"key": 1}


def test_more_columns_and_reasons_at_the_end_are_accepted(manifest: Manifest) -> None:
    content = changed(
        manifest,
        outputs={**manifest.outputs, "extra_column": 20},
        reasons=[*manifest.reasons, "later"],
    )
    assert Manifest.from_bytes(content).reasons[-1] == "later"


def test_a_manifest_from_before_releases_were_numbered_is_the_oldest(manifest: Manifest) -> None:
    assert Manifest.from_bytes(changed(manifest, sequence=...)).sequence == 0


@pytest.mark.parametrize(
    "odd", [{"vendor": {}}, {"effort": 1}, {"price_in": "1"}, {"latency_s": True}, {"models": [1]}]
)
def test_a_tier_of_strange_values_is_refused(manifest: Manifest, odd: dict[str, Any]) -> None:
    tiers = [{"name": "small", **odd}, {"name": "medium"}, {"name": "large"}]
    with pytest.raises(BundleError, match="tier 'small' of the wrong form"):
        Manifest.from_bytes(changed(manifest, tiers=tiers))


def test_a_bundle_from_before_pairs_had_rows_of_their_own_is_read(manifest: Manifest) -> None:
    assert Manifest.from_bytes(changed(manifest, pair_bits=...)).pair_bits == 0


def test_an_optional_file_of_a_later_role_is_accepted(manifest: Manifest) -> None:
    extra = {"name": "c.onnx", "role": "check", "size": 1, "sha256": DIGEST, "required": False}
    assert Manifest.from_bytes(changed(manifest, files=[extra])).files == (
        BundleFile("c.onnx", "check", 1, DIGEST, False),
    )


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"files": [{"name": "e", "role": "check", "size": 1, "sha256": DIGEST}]}, "'check'"),
        ({"files": [{"name": "../x", "role": "policy", "size": 1, "sha256": DIGEST}]}, "name"),
        ({"files": [{"name": "x", "role": "policy", "size": -1, "sha256": DIGEST}]}, "size"),
        ({"files": [{"name": "x", "role": "policy", "size": 1, "sha256": "0"}]}, "digest"),
        ({"files": [{"name": "x"}]}, "wrong form"),
        ({"files": 5}, "wrong form"),
        ({"schema_version": 2}, "schema version 2"),
        ({"schema_version": True}, "schema version True"),
        ({"schema_version": ...}, "schema version None"),
        ({"tiers": ...}, "no field 'tiers'"),
        ({"tiers": [{"name": "one"}]}, "2 to 16"),
        ({"tiers": [{"name": "one"}, {"name": "one"}]}, "2 to 16"),
        ({"tiers": [{"name": 1}, {"name": 2}]}, "text"),
        ({"fallback": "none of them"}, "fallback"),
        ({"bits": 99}, "bits 99"),
        ({"pair_bits": 99}, "pair_bits 99"),
        ({"sequence": -1}, "sequence -1"),
        ({"sequence": True}, "sequence True"),
        ({"sequence": 1 << 53}, "sequence 9007199254740992"),
        ({"outputs": {"tier": 3}}, "output columns"),
        ({"outputs": []}, "an object"),
        ({"reasons": ["pinned", "floor"]}, "reasons"),
        ({"context": []}, "context"),
        ({"floors": "words"}, "an object"),
    ],
)
def test_what_cannot_be_honored_is_refused_in_one_line(
    manifest: Manifest, values: dict[str, Any], why: str
) -> None:
    with pytest.raises(BundleError) as caught:
        Manifest.from_bytes(changed(manifest, **values))
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"schema_version": 1, "schema_version": 1}',
        b'{"schema_version": NaN}',
        b"[" * 100_000,
        b" " * (5 << 20),
    ],
)
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError):
        Manifest.from_bytes(content)
