"""The report and the summary: offline, escaped, and complete about what is not promised."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from eval_fakes import FakeGraph, make_steps, write_run

from tierwise.data.files import read_json, write_json
from tierwise.eval import evaluate, report, summary
from tierwise.eval.drawing import Frame, cost_quality, round_numbers, together

VOID = {"meta"}


class Balanced(HTMLParser):
    """Fails on a tag that is closed twice or never."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "own"
    write_run(folder, make_steps())
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(evaluate, "PolicyGraph", FakeGraph)
        params = str(folder / "params.yaml")
        monkeypatch.setattr(sys, "argv", ["evaluate", "--run", str(folder), "--params", params])
        evaluate.main()
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    return (run / "report.html").read_text()


def test_the_page_asks_the_network_for_nothing(page: str) -> None:
    assert not re.search(r"https?:|//[a-z]|src=|href=|url\(|@import", page)
    assert "default-src 'none'" in page


def test_words_from_the_logs_are_escaped(page: str) -> None:
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "Promised &amp; &lt;b&gt;kept&lt;/b&gt;." in page


def test_the_page_is_well_formed(page: str) -> None:
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert {"svg", "table", "h2"} <= parser.seen


def test_the_page_is_readable_in_the_dark_and_on_a_phone(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
    assert "overflow-x: auto" in page
    assert {'<svg class="broad"', '<svg class="narrow"'} <= set(
        re.findall(r"<svg class=\"\w+\"", page)
    )


def test_the_page_shows_the_numbers_that_were_measured(run: Path, page: str) -> None:
    policy = read_json(run / "metrics.json")["policy"]
    assert f"{100 * policy['cost_saved']['value']:.1f} %" in page
    assert f"{100 * policy['quality_kept']['low']:.1f} %" in page


def test_the_page_says_what_is_not_promised(page: str) -> None:
    assert "What is not promised" in page
    assert "differs from the logs" in page


def test_a_note_is_shown_before_the_numbers_it_explains(run: Path) -> None:
    metrics = read_json(run / "metrics.json") | {"note": "Every quality is <the same>."}
    page = report.render(metrics, {"promise": "Kept."}, {})
    assert page.index("Every quality is &lt;the same&gt;.") < page.index("cost saved")


def test_a_page_without_a_note_has_no_box_for_one(page: str) -> None:
    assert 'class="note"' not in page


def test_without_a_policy_the_page_says_who_costs_what_dearest_role_first() -> None:
    one = {"calls": 1200, "cost_usd": 3.0, "share": 0.25, "quality": None}
    audit = {
        "lines": ["2,400 calls cost 12 USD", "not repeated"],
        "by_role": {
            "coder": {"big": one},
            "planner": {"big": one | {"cost_usd": 9.0, "share": 0.75}, "<small>": one},
        },
        "flags": ["coder: worth a trial"],
    }
    metrics = {"audit": audit, "feedback": "none", "note": "Add quality.", "tiers": ["<small>"]}
    page = report.render(metrics, {"promise": "Nothing is certified."}, {})
    rows = re.findall(r"<tr><td>(\w+)</td><td>([^<]+)</td>", page)
    assert rows == [("planner", "&lt;small&gt;"), ("planner", "big"), ("coder", "big")]
    for words in ("2,400 calls cost 12 USD", "75.0 %", "worth a trial", "Nothing is certified."):
        assert words in page
    assert "not repeated" not in page


def test_an_unknown_calibration_error_is_not_shown_as_none(run: Path) -> None:
    metrics = read_json(run / "metrics.json")
    metrics["calibration"]["small"]["ece"] = None
    row = re.search(r"<td>small</td>.*?</tr>", report.render(metrics, {}, {}).split("come true")[1])
    assert row is not None
    assert row.group().endswith('<td class="n">-</td></tr>')


def test_the_price_of_a_thousand_steps_is_never_in_powers_of_ten() -> None:
    found = [report.thousand(usd) for usd in (6.429e-05, 0.01425, 12.5, None)]
    assert found == ["0.06429", "14.25", "12,500", "-"]


def test_axes_are_marked_with_round_numbers_inside_their_range() -> None:
    assert round_numbers(0.0, 26.7, 7) == [0, 5, 10, 15, 20, 25]
    assert round_numbers(0.581, 0.931, 5) == [0.6, 0.7, 0.8, 0.9]
    assert round_numbers(2.0, 2.0, 5) == [2.0]


def test_names_beside_near_points_do_not_lie_over_each_other() -> None:
    frame = Frame((0.0, 1.0), (0.0, 1.0))
    taken: list[tuple[float, float, float, float]] = []
    for place in ((0.5, 0.5), (0.51, 0.5), (0.5, 0.51), (0.99, 0.5)):
        words, box = frame.label(place, "always something long", taken)
        assert "always something long" in words
        assert all(
            box[2] <= other[0] or other[2] <= box[0] or box[3] <= other[1] or other[3] <= box[1]
            for other in taken
        )
        assert box[2] <= frame.width
        taken.append(box)


def test_points_outside_the_frame_stay_inside_the_drawing() -> None:
    frame = Frame((0.0, 1.0), (0.0, 1.0))
    assert frame.at(9.0, -9.0) == frame.at(1.0, 0.0)
    assert frame.at(0.0, 0.0)[1] > frame.at(0.0, 1.0)[1], "up is better"


def test_a_curve_of_one_free_point_can_be_drawn() -> None:
    point = (np.zeros(1), np.zeros(1))
    assert "nan" not in cost_quality({"router": point}, {}, (0.0, 0.0), {"router": "router"})


def test_the_summary_names_what_was_saved_kept_and_promised(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = {"name": "simple policies", "verdict": "warn", "words": "LOUD"}
    write_json(run / "gate.json", {"passed": True, "rules": [rule]})
    write_json(run / "registered.json", {"name": "tierwise-own", "aliases": ["challenger"]})
    monkeypatch.setattr(sys, "argv", ["summary", "--run", str(run)])
    summary.main()
    said = capsys.readouterr().out
    for words in ("cost saved", "quality kept", "time saved", "Promised & <b>kept</b>.", "LOUD"):
        assert words in said
    assert re.search(r"tier mix +small \d+%, mid \d+%, large \d+%", said)
    controls = re.findall(r"^  (always \w+|role table)", said, re.MULTILINE)
    assert controls == ["always small", "always mid", "always large", "role table"]
    assert "tierwise-own (challenger)" in said
    assert str(run / "report.html") in said


def test_the_summary_on_a_terminal_shows_markup_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    summary.show([("promise", "[bold]kept[/bold]")], "run", terminal=True)
    assert "[bold]kept[/bold]" in capsys.readouterr().out


def test_policies_of_one_place_share_a_label() -> None:
    places = {"always b": (2.0, 0.5), "role table": (2.0, 0.5), "random": (1.0, 0.5)}
    assert together(places) == {"always b, role table": (2.0, 0.5), "random": (1.0, 0.5)}
