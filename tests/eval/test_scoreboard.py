"""The scoreboard from a folder of tables to its files: what it judges, skips, keeps and says."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from outcome_tables import outcome_table

from tierwise.data.errors import BadInput
from tierwise.eval import scoreboard_jobs
from tierwise.eval.fitted_controls import CONTROLS
from tierwise.eval.given_scores import text_key
from tierwise.eval.scoreboard import Wanted, scoreboard, settings_of
from tierwise.eval.scoreboard_jobs import Settings
from tierwise.eval.scoreboard_tables import sections


def settings(cache: Path) -> Settings:
    return settings_of(2, 0, 1, draws=20, few=1, cache=cache)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Wanted]:
    """A scoreboard of three tables: of two tiers, of constant quality, and too small."""
    folder = tmp_path_factory.mktemp("board")
    outcome_table(folder / "two.parquet", n=440)
    outcome_table(folder / "tiny.parquet", n=250)
    rows = pd.read_parquet(outcome_table(folder / "same.parquet", n=320, tiers=("a", "b", "c")))
    rows.drop(columns="task_type").assign(quality=1.0).to_parquet(folder / "same.parquet")
    text = pd.read_parquet(folder / "two.parquet").drop_duplicates("trace_id")["text"]
    np.savez(
        folder / "peer.npz",
        text=np.array([text_key(t.encode()) for t in text]),
        knowing=text.str.startswith("prove").to_numpy(dtype=float),
        silent=np.full(len(text), np.nan),
    )
    wanted = Wanted(folder, (), settings(folder / "cache"), 1, folder / "out" / "board.json")
    return scoreboard(replace(wanted, scores=folder / "peer.npz")), wanted


def test_every_full_feedback_table_is_judged_and_the_others_are_skipped_with_a_reason(
    made: tuple[dict, Wanted],
) -> None:
    found, _ = made
    assert set(found["tables"]) == {"two", "same"}
    assert set(found["skipped"]) == {"tiny"}
    assert "250" in found["skipped"]["tiny"]


def test_the_router_and_every_control_are_there_with_their_differences(
    made: tuple[dict, Wanted],
) -> None:
    one = made[0]["tables"]["two"]
    assert set(one["controls"]) == set(CONTROLS)
    for control in one["controls"].values():
        ahead = one["routing_gain"]["value"] - control["routing_gain"]["value"]
        assert control["difference"]["value"] == pytest.approx(ahead)
        assert control["difference"]["low"] <= control["difference"]["high"]
    assert one["controls"]["task mean"]["difference"]["low"] > 0.2
    assert set(one["saved"]) == {"100", "98", "95"}
    assert (one["steps"], one["tiers"]) == (440, ["cheap", "dear"])


def test_the_mean_is_over_the_tables_where_there_is_something_to_route(
    made: tuple[dict, Wanted],
) -> None:
    found, _ = made
    assert found["tables"]["same"]["routing_gain"]["value"] is None
    assert found["mean_routing_gain"] == found["tables"]["two"]["routing_gain"]["value"]
    blend = found["tables"]["two"]["controls"]["stacked blend"]["difference"]
    assert found["difference_to_blend"] == blend


def test_two_tiers_have_routellms_metric_and_others_have_none(made: tuple[dict, Wanted]) -> None:
    tables = made[0]["tables"]
    assert tables["same"]["routellm"] is None
    apgr = {name: one["apgr"] for name, one in tables["two"]["routellm"].items()}
    assert apgr["oracle"] >= apgr["router"] > apgr["random"]


def test_a_given_score_is_judged_by_a_threshold_and_one_with_gaps_is_left_out(
    made: tuple[dict, Wanted],
) -> None:
    peers = made[0]["tables"]["two"]["peers"]
    assert set(peers) == {"knowing"}
    assert peers["knowing"]["routing_gain"]["value"] > 0.7


def test_an_installed_peer_shows_its_speed_and_what_its_own_thresholds_do(
    made: tuple[dict, Wanted],
) -> None:
    found = copy.deepcopy(made[0])
    found["tables"]["two"]["peers"]["knowing"] |= {
        "microseconds": [100.0, 1234.5, 2000.0],
        "default_saved": 0.5,
        "default_kept": 0.9,
    }
    peers = next(s for s in sections(found) if s.title == "Peers")
    shown = dict((row[0], row) for row in peers.rows)["two"][peers.header.index("knowing")]
    assert shown.endswith("1,234 us; saves 0.50, keeps 0.90")


def test_the_files_say_the_same_and_ask_the_network_for_nothing(made: tuple[dict, Wanted]) -> None:
    found, wanted = made
    assert json.loads(wanted.out.read_text()) == found
    page = wanted.out.with_suffix(".html").read_text()
    assert not re.search(r"https?://|src=|@import|url\(|<script", page)
    gain = f"{found['tables']['two']['routing_gain']['value']:.3f}"
    assert gain in page
    assert gain in wanted.out.with_suffix(".md").read_text()
    assert page.count("<svg") == 1  # of the table where there is something to route


def test_a_second_run_computes_nothing_and_says_the_same(
    made: tuple[dict, Wanted], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, wanted = made

    def refuse(*_: object) -> None:
        raise AssertionError("fitted again")

    for name in ("held_out", "fit_controls", "certified_saving", "few_steps"):
        monkeypatch.setattr(scoreboard_jobs, name, refuse)
    again = scoreboard(replace(wanted, scores=wanted.folder / "peer.npz"))
    assert again == found
    assert "6 of 6 were in the cache" in capsys.readouterr().out


def test_a_changed_table_is_judged_anew(
    made: tuple[dict, Wanted], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, wanted = made
    rows = pd.read_parquet(wanted.folder / "two.parquet")
    rows.loc[rows["tier"] == "cheap", "quality"] = 1 - rows["quality"]
    rows.to_parquet(tmp_path / "two.parquet")
    scoreboard(replace(wanted, folder=tmp_path, out=tmp_path / "o.json"))
    assert "in the cache" not in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [{"folds": 1}, {"seeds": 0}, {"seed": -1}, {"draws": 0}])
def test_numbers_that_make_no_scoreboard_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(BadInput):
        settings_of(**{"folds": 5, "seed": 0, "seeds": 1} | wrong)


def test_a_folder_without_a_table_or_a_name_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no \*.parquet"):
        scoreboard(Wanted(tmp_path))
    outcome_table(tmp_path / "tiny.parquet", n=20)
    with pytest.raises(BadInput, match="no table other"):
        scoreboard(Wanted(tmp_path, ("other",)))
    with pytest.raises(BadInput, match="no table to judge"):
        scoreboard(Wanted(tmp_path, (), settings(tmp_path / "cache"), 1, tmp_path / "o.json"))
