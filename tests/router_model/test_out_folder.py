from __future__ import annotations

from pathlib import Path

import pytest

from tierwise.data.errors import BadInput
from tierwise.router_model import role_bundle
from tierwise.router_model.out_folder import check_out_folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "roles.yaml").write_text("default: a\n")
    (tmp_path / "tiers.yaml").write_text("tiers: [{name: a}, {name: b}]\n")
    return export(tmp_path, tmp_path / "policy")


def export(source: Path, out: Path) -> Path:
    role_bundle.write(source / "roles.yaml", source / "tiers.yaml", out)
    return out


@pytest.mark.parametrize("kind", ["missing", "empty", "bundle", "spoiled", "signed"])
def test_a_bundle_goes_where_nothing_or_a_bundle_is(kind: str, bundle: Path) -> None:
    out = bundle.parent / "empty" if kind in ("missing", "empty") else bundle
    if kind == "empty":
        out.mkdir()
    if kind == "spoiled":
        (bundle / "manifest.json").unlink()
    if kind == "signed":
        (bundle / "manifest.sig").write_bytes(b"x" * 64)
    check_out_folder(out)
    assert (export(bundle.parent, out) / "manifest.json").is_file()


def test_a_folder_of_other_files_is_kept_and_what_would_be_lost_is_named(bundle: Path) -> None:
    (bundle.parent / "manifest.json").write_text("{}")  # of a web page, say
    with pytest.raises(BadInput, match=r"it holds policy, roles\.yaml, tiers\.yaml;"):
        export(bundle.parent, bundle.parent)
    assert (bundle.parent / "roles.yaml").is_file()


def test_a_file_is_not_replaced_by_a_bundle(bundle: Path) -> None:
    with pytest.raises(BadInput, match="it is no folder"):
        export(bundle.parent, bundle.parent / "roles.yaml")
    assert (bundle.parent / "roles.yaml").read_text() == "default: a\n"


def test_a_link_to_nothing_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(BadInput, match="it is no folder"):
        check_out_folder(tmp_path / "link")
