from __future__ import annotations

from pathlib import Path

import yaml

from tierwise.data.role_table import position, read_role_table
from tierwise.data.starter import write_starter
from tierwise.data.tiers import read_catalogue


def test_the_example_catalogue_is_one_that_ingest_accepts(tmp_path: Path) -> None:
    write_starter(tmp_path)
    assert read_catalogue(tmp_path / "tiers.yaml").names == ("small", "mid", "frontier")


def test_the_example_role_table_names_tiers_of_the_example_catalogue(tmp_path: Path) -> None:
    write_starter(tmp_path)
    names = read_catalogue(tmp_path / "tiers.yaml").names
    table = read_role_table(tmp_path / "roles.yaml")
    assert position(table.roles["planner"], names) == 2
    assert position(table.default, names) == 1


def test_the_example_params_have_the_sections_of_the_projects_own(
    tmp_path: Path, root: Path
) -> None:
    write_starter(tmp_path)
    example = yaml.safe_load((tmp_path / "params.yaml").read_text())
    own = yaml.safe_load((root / "params.yaml").read_text())
    for name, section in example.items():
        assert section.items() <= own[name].items()


def test_a_file_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "tiers.yaml").write_text("mine")
    assert write_starter(tmp_path) == (
        ["roles.yaml", "rules.yaml", "params.yaml"],
        ["tiers.yaml"],
    )
    assert (tmp_path / "tiers.yaml").read_text() == "mine"
