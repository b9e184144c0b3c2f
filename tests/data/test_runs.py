from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tierwise.data.errors import BadInput
from tierwise.data.runs import create, only_run


def write(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("trace_id,text,tier\n")
    return str(path)


def settings(root: Path, name: str) -> dict[str, object]:
    run = yaml.safe_load((root / "runs" / name / "run.yaml").read_text())["run"]
    assert isinstance(run, dict)
    return run


def test_a_run_is_named_after_its_file_and_reads_it_from_anywhere(tmp_path: Path) -> None:
    source = write(tmp_path / "in" / "My steps (v2).csv")
    assert create(tmp_path, source) == "my-steps-v2"
    assert settings(tmp_path, "my-steps-v2")["input"] == {"source": source, "tiers": "", "map": ""}


def test_a_relative_path_is_kept_as_an_absolute_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.csv")
    monkeypatch.chdir(tmp_path)
    assert create(tmp_path, "a.csv") == "a"
    assert settings(tmp_path, "a")["source_file"] == str(tmp_path / "a.csv")


def test_a_run_links_to_the_one_pipeline_file(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}")
    create(tmp_path, write(tmp_path / "a.csv"))
    link = tmp_path / "runs" / "a" / "dvc.yaml"
    assert link.resolve() == tmp_path / "dvc.yaml"
    assert not os.path.isabs(os.readlink(link))


def test_the_same_source_again_is_the_same_run(tmp_path: Path) -> None:
    source = write(tmp_path / "a.csv")
    assert create(tmp_path, source) == create(tmp_path, source) == "a"


def test_another_source_of_the_same_name_is_another_run(tmp_path: Path) -> None:
    first = create(tmp_path, write(tmp_path / "x" / "a.csv"))
    second = create(tmp_path, write(tmp_path / "y" / "a.csv"))
    assert first == "a"
    assert second.startswith("a-")
    assert create(tmp_path, str(tmp_path / "y" / "a.csv")) == second
    assert settings(tmp_path, "a")["source_file"] == str(tmp_path / "x" / "a.csv")


@pytest.mark.parametrize("stem", ["fleet", "mlruns", "ci"])
def test_a_run_never_takes_the_place_of_something_else(tmp_path: Path, stem: str) -> None:
    assert create(tmp_path, write(tmp_path / f"{stem}.csv")).startswith(f"{stem}-")


def test_a_catalogue_is_part_of_the_run(tmp_path: Path) -> None:
    tiers = write(tmp_path / "tiers.yaml")
    name = create(tmp_path, write(tmp_path / "a.csv"), tiers)
    assert settings(tmp_path, name)["tiers_file"] == tiers


@pytest.mark.parametrize(("traces", "tiers"), [("gone.csv", ""), ("a.csv", "gone.yaml")])
def test_a_missing_path_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, traces: str, tiers: str
) -> None:
    write(tmp_path / "a.csv")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="gone"):
        create(tmp_path, traces, tiers)
    assert not (tmp_path / "runs").exists()


def test_a_missing_path_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tierwise.data.runs", "--traces", "gone.csv"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "TRACES=gone.csv does not exist" in done.stderr


def test_a_second_run_in_the_checkout_is_refused_while_the_first_lasts(tmp_path: Path) -> None:
    with (
        only_run(tmp_path),
        pytest.raises(BadInput, match="another make repro"),
        only_run(tmp_path),
    ):
        pass
    with only_run(tmp_path):
        pass
