"""The report and the summary: offline, escaped, and complete about what is not promised."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from eval_fakes import FakeGraph, make_spec, make_steps, write_run

from tierwise.data.files import read_json, write_json
from tierwise.eval import evaluate, report, summary
from tierwise.eval.drawing import Frame, round_numbers, together
from tierwise.eval.page import inline_json
from tierwise.eval.words import floor_words, mixed, money, share, short_floor, tight

VOID = {"meta", "input"}


class Balanced(HTMLParser):
    """Fails on a tag that is closed twice or never; keeps what it met."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: set[str] = set()
        self.inside: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("style", "script"):
            self.inside[self.open[-1]] = data  # of scripts the last, which is the one that runs


def parsed(page: str) -> Balanced:
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    return parser


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "own"
    write_run(folder, make_steps())
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(evaluate, "open_policy", lambda graph, folder: FakeGraph(graph))
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


def test_only_the_style_and_script_of_the_page_itself_are_allowed(page: str) -> None:
    found = parsed(page)
    for tag in ("style", "script"):
        digest = hashlib.sha256(found.inside[tag].encode()).digest()
        assert f"{tag}-src 'sha256-{base64.b64encode(digest).decode()}'" in page
    assert "unsafe" not in page
    assert not {name for name in found.attributes if name == "style" or name.startswith("on")}


def test_words_from_the_logs_are_escaped(page: str) -> None:
    assert len(re.findall("<script", page)) == len(re.findall("</script", page)) == 2
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "Promised &amp; &lt;b&gt;kept&lt;/b&gt;." in page


def test_names_in_the_data_cannot_end_its_element() -> None:
    hostile = {"task": "</script><img src=x onerror=alert(1)> & <!--"}
    text = inline_json(hostile)
    assert not set("<>&") & set(text)
    assert json.loads(text) == hostile


def test_the_page_is_well_formed(page: str) -> None:
    assert {"svg", "table", "h2", "input", "output", "noscript"} <= parsed(page).seen


def test_the_page_is_readable_in_the_dark_and_on_a_phone(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert "prefers-reduced-motion: reduce" in page
    assert 'name="viewport"' in page
    assert "overflow-x: auto" in page
    assert re.findall(r"<svg class=\"(broad|narrow)\"", page) == ["broad", "narrow"]


def test_the_page_shows_the_numbers_that_were_measured(run: Path, page: str) -> None:
    policy = read_json(run / "metrics.json")["policy"]
    assert f"{100 * policy['cost_saved']['value']:.1f}\u00a0%" in page
    assert f"{100 * policy['quality_kept']['low']:.1f} to " in page


def test_the_page_says_what_is_not_promised(page: str) -> None:
    assert "What is not promised" in page
    assert "differs from the logs" in page
    assert "picked by looking at this page" in page


def test_the_page_says_how_many_slices_were_looked_at(run: Path, page: str) -> None:
    looked = re.search(r"keep least quality of the (\d+) looked at \(by role, task\)", page)
    assert looked is not None
    assert looked.group(1) == "5", "three roles and two tasks; texts are all of one length"


def test_the_page_names_its_inputs_by_hash_and_no_path(run: Path, page: str) -> None:
    for name in ("graph.onnx", "steps.npz", "certificate.json"):
        assert hashlib.sha256((run / name).read_bytes()).hexdigest() in page
    assert "seed 0, draws 200" in page
    assert str(run) not in page
    assert "roles.yaml" not in page


def test_a_page_holds_every_level_for_those_without_scripts(page: str) -> None:
    every = page.split("All levels as a table")[1]
    assert "<td>90\u00a0%</td>" in every


def test_a_note_is_shown_before_the_numbers_it_explains(run: Path) -> None:
    metrics = read_json(run / "metrics.json") | {"note": "Every quality is <the same>."}
    page = report.render(metrics, {"promise": "Kept."})
    assert page.index("Every quality is &lt;the same&gt;.") < page.index("<h2>")


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
    page = report.render(metrics, {"promise": "Nothing is certified."})
    rows = re.findall(r"<tr><td>(\w+)</td><td>([^<]+)</td><td class", page)
    assert rows == [("planner", "&lt;small&gt;"), ("planner", "big"), ("coder", "big")]
    for words in ("2,400 calls cost 12\u00a0USD", "75.0\u00a0%", "worth a trial"):
        assert words in page
    assert "Nothing is certified." in page
    assert "not repeated" not in page


def test_without_a_policy_the_page_says_what_it_cannot_say_and_runs_no_script() -> None:
    mix = {"small": 0.25, "large": 0.75}
    metrics = {
        "audit": {},
        "feedback": "logged",
        "tiers": ["small", "large"],
        "mix": mix,
        "mix_by_role": {"planner": mix},
        "reasons": {"not_certified": 40},
    }
    page = report.render(metrics, {"promise": "Nothing is certified."})
    assert "What this page cannot say" in page
    assert "small 25\u00a0%, large 75\u00a0%" in page
    assert "<script" not in page
    assert "script-src" not in page, "what default-src says, then holds"
    parsed(page)


def test_the_price_of_a_thousand_steps_is_never_in_powers_of_ten() -> None:
    found = [report.thousand(usd) for usd in (6.429e-05, 0.01425, 12.5, None)]
    assert found == ["0.06429", "14.25", "12,500", "-"]


def test_amounts_and_shares_are_told_with_few_digits() -> None:
    told = [money(usd) for usd in (0.0, 1435.5, 12.345, 0.01234, -0.5, float("nan"))]
    assert told == ["0 USD", "1,436 USD", "12.35 USD", "0.0123 USD", "-0.5000 USD", "-"]
    assert [share(*one) for one in ((0, 9), (1, 1000), (1, 8), (8, 8))] == [
        "0 %",
        "<1 %",
        "13 %",
        "100 %",
    ]


def test_a_mix_of_many_tiers_names_those_that_serve_most() -> None:
    assert mixed([1, 0, 5, 4], "abcd") == "a 10 %, c 50 %, d 40 %"
    assert mixed([1, 0, 5, 4], "abcd", 2) == "c 50 %, d 40 %, 1 other 10 %"
    assert mixed([0, 0], "ab") == "no steps"


def test_floors_are_told_in_words() -> None:
    assert floor_words("retain", 0.985, "big") == "keep at least 98.5 % of big's mean quality"
    assert "by at most 0.05 on average" in floor_words("miss", 0.95, "big")
    assert floor_words("absolute", 0.8, "big") == "have a mean quality of at least 0.8"
    assert [short_floor(k, 0.95) for k in ("retain", "miss", "absolute")] == [
        "95 %",
        "0.05",
        "0.95",
    ]


def test_no_line_ends_between_a_number_and_its_unit() -> None:
    assert tight("5 % of 3 USD, 4 USDT % 9") == "5\u00a0% of 3\u00a0USD, 4 USDT % 9"


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


def test_policies_of_one_place_share_a_label() -> None:
    places = {"always b": (2.0, 0.5), "role table": (2.0, 0.5), "random": (1.0, 0.5)}
    assert together(places) == {"always b, role table": (2.0, 0.5), "random": (1.0, 0.5)}


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


def test_a_role_table_without_quality_shows_what_it_serves_and_promises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = make_steps(feedback="none")
    write_run(tmp_path / "own", steps)
    spec = make_spec(steps, fixed=(2, 0, 1, 1))
    write_json(tmp_path / "own" / "spec.json", spec.as_dict())
    params = str(tmp_path / "own" / "params.yaml")
    monkeypatch.setattr(sys, "argv", ["e", "--run", str(tmp_path / "own"), "--params", params])
    evaluate.main()
    page = (tmp_path / "own" / "report.html").read_text()
    assert re.search(r"<td>worker</td><td>.*?<span class=\"told\">small 100\u00a0%</span>", page)
    assert "a table of a tier for each role serves, without a floor" in page
    assert "Promised" not in page
