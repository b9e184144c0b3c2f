from __future__ import annotations

from pathlib import Path

import pytest

from tierwise.data.errors import BadInput, run_stage
from tierwise.data.files import read_json


def test_bad_input_of_a_stage_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refused() -> None:
        raise BadInput("no\nfile", "a file", "run ingest")

    with pytest.raises(SystemExit) as stop:
        run_stage(refused)
    assert stop.value.code == 2
    assert capsys.readouterr().err == "tierwise: no file; expected a file; run ingest\n"


def test_a_folder_where_a_stage_reads_a_file_is_one_line_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run_stage(lambda: print(read_json(tmp_path)))
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert said.count("\n") == 1
    assert f"{tmp_path}: Is a directory; expected" in said


def test_both_names_of_a_failed_rename_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    def renamed() -> None:
        raise OSError(18, "Invalid cross-device link", "a", None, "b")

    with pytest.raises(SystemExit):
        run_stage(renamed)
    assert "a -> b: Invalid cross-device link" in capsys.readouterr().err


def test_ctrl_c_ends_a_stage_quietly_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stop:
        run_stage(stopped)
    assert stop.value.code == 130
    assert capsys.readouterr().err == ""


def test_an_error_of_a_stage_that_nobody_foresaw_is_not_hidden() -> None:
    def broken() -> None:
        raise RuntimeError("unforeseen")

    with pytest.raises(RuntimeError, match="unforeseen"):
        run_stage(broken)
