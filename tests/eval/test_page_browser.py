"""The report in a real browser: its slider moves the numbers, and nothing leaves the file.

Needs a Chromium, see `browser`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Opened, browser, chromium
from eval_fakes import TIERS, FakeGraph, make_certificate, make_steps, write_run

from tierwise.eval import evaluate
from tierwise.eval.words import mixed, money

LEVELS = [0.8, 0.85, 0.9, 0.95, 1.0]
HOSTILE = "</script><script>alert('out')</script><img src=x onerror=alert('img')>"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of five levels: certified, in part, and not; its dearest tier has a hostile name."""
    run = tmp_path_factory.mktemp("runs") / "own"
    steps = dataclasses.replace(make_steps(), tiers=(*TIERS[:2], HOSTILE))
    write_run(run, steps)
    spec = json.loads((run / "spec.json").read_text())
    spec["tiers"][2] = HOSTILE
    (run / "spec.json").write_text(json.dumps(spec))
    certificate = make_certificate(9)
    rest, worker = certificate["strata"]
    rest["points"], worker["points"] = [12, 11, 9, 4, 0], [7, 5, -1, -1, -1]
    certificate["levels"] = LEVELS
    (run / "certificate.json").write_text(json.dumps(certificate))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(evaluate, "open_policy", lambda graph, folder: FakeGraph(graph))
        params = str(run / "params.yaml")
        monkeypatch.setattr(sys, "argv", ["evaluate", "--run", str(run), "--params", params])
        evaluate.main()
    return run / "report.html"


@pytest.fixture(scope="module")
def started() -> Iterator[Any]:
    with browser() as one:
        yield one


@pytest.fixture
def opened(started: Any, file: Path) -> Iterator[Opened]:
    one = Opened(started, file)
    yield one
    one.context.close()


def slide(opened: Opened, index: int) -> None:
    opened.page.locator("#floor").fill(str(index))


def inline(opened: Opened) -> Any:
    return json.loads(str(opened.page.locator("#data").text_content()))


def test_the_page_complains_of_nothing_and_asks_for_nothing_but_itself(
    opened: Opened, file: Path
) -> None:
    for index in (0, 4, 2):
        slide(opened, index)
    opened.page.locator("#steps").fill("1000000")
    assert opened.complaints == []
    assert opened.requests == [file.as_uri()]


def test_hostile_names_stay_text(opened: Opened) -> None:
    slide(opened, 4)
    assert HOSTILE in opened.text("p.lead")
    assert opened.page.locator("img").count() == 0
    assert opened.page.locator("script").count() == 2
    assert opened.complaints == []


def test_the_slider_moves_every_number_to_its_level(opened: Opened) -> None:
    data = inline(opened)
    seen = set()
    for index, state in enumerate(data["states"]):
        slide(opened, index)
        for name, words in state["texts"].items():
            for one in opened.page.locator(f"[data-text={name}]").all():
                assert one.text_content() == words
        counts = data["mixes"][state["mix"]]
        told = opened.page.locator(".told").all_text_contents()
        assert [one.replace("\u00a0", " ") for one in told] == [
            mixed(row, data["tiers"], 16 if rank == 0 else 4) for rank, row in enumerate(counts)
        ]
        assert opened.text("#bill") == money(100_000 * state["cost"][0])
        assert opened.text("#bill-less") == money(100_000 * state["less"][0])
        seen.add(opened.text("#bill"))
    assert len(seen) > 3


def test_what_is_not_certified_says_that_the_reference_serves(opened: Opened) -> None:
    slide(opened, 0)
    assert opened.text(".badge") == "certified"
    slide(opened, 2)
    assert opened.text(".badge") == "certified in part"
    slide(opened, 4)
    assert opened.text(".badge") == "not certified: the reference serves"
    assert opened.page.locator(".badge").get_attribute("data-kind") == "not"
    assert opened.text("[data-text=saved]") == "0.0 %"
    assert opened.text("tr[data-row='0'] .told") == f"{HOSTILE} 100 %"


def test_the_dot_and_the_floor_move_in_the_drawing(opened: Opened) -> None:
    places = inline(opened)["places"]["broad"]
    for index in (0, 3):
        slide(opened, index)
        dot = opened.page.locator("svg.broad .spot")
        assert float(dot.get_attribute("cx")) == places[index][0]
        assert float(dot.get_attribute("cy")) == places[index][1]
        line = opened.page.locator("svg.broad .floor-line line")
        assert float(line.get_attribute("y1")) == places[index][6]
    assert places[0][0] < places[3][0], "a stricter floor costs more"


def test_bars_fill_their_width(opened: Opened) -> None:
    slide(opened, 1)
    widths = opened.page.evaluate(
        "[...document.querySelectorAll('tr[data-row]')].map(row => "
        "[...row.querySelectorAll('rect')].reduce((sum, one) => sum + +one.getAttribute('width'),"
        " 0))"
    )
    np.testing.assert_allclose(widths, 100, atol=0.05)


def test_what_the_script_shows_first_is_what_stood_there_without_it(
    started: Any, file: Path, opened: Opened
) -> None:
    still = Opened(started, file, java_script_enabled=False)
    for selector in ("p.lead", ".tiles", ".badge", "svg.broad", "table.mix", "#bill-less-ends"):
        assert still.text(selector) == opened.text(selector)
    assert not still.page.locator("#floor").is_visible()
    assert still.page.locator("noscript p").is_visible()
    assert still.page.locator("summary", has_text="All levels").is_visible()
    still.context.close()


def test_the_bill_follows_the_steps_that_are_typed(opened: Opened) -> None:
    state = inline(opened)["states"][2]
    steps = opened.page.locator("#steps")
    steps.fill("2500000")
    assert opened.text("#bill") == money(2_500_000 * state["cost"][0])
    low, high = (money(2_500_000 * state["cost"][i]) for i in (1, 2))
    assert opened.text("#bill-ends") == f"{low.removesuffix(' USD')} to {high}"
    slide(opened, 0)
    assert opened.text("#bill") == money(2_500_000 * inline(opened)["states"][0]["cost"][0])


def test_steps_that_are_no_number_give_no_bill_and_say_so(opened: Opened) -> None:
    for wrong in ("", "-5"):
        opened.page.locator("#steps").fill(wrong)
        assert opened.text("#bill") == "-"
        assert opened.page.locator("#steps-wrong").is_visible()
        assert opened.page.locator("#steps").get_attribute("aria-invalid") == "true"
    opened.page.locator("#steps").fill("7")
    assert not opened.page.locator("#steps-wrong").is_visible()


def test_the_keyboard_is_enough(opened: Opened) -> None:
    for _ in range(9):
        opened.page.keyboard.press("Tab")
        if opened.page.evaluate("document.activeElement.id") == "floor":
            break
    floor = opened.page.locator("#floor")
    assert opened.page.evaluate("document.activeElement.id") == "floor"
    assert floor.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    opened.page.keyboard.press("ArrowRight")
    assert opened.text("output[data-text=floor]") == "95 %"
    assert floor.get_attribute("aria-valuetext") == "95\u00a0%, certified in part"
    assert "At a floor of 95 %" in opened.text("#said")
    opened.page.keyboard.press("Home")
    assert opened.text("output[data-text=floor]") == "80 %"
    opened.page.locator("#back").press("Enter")
    assert opened.text("output[data-text=floor]") == "90 % (ships)"
    assert opened.page.evaluate("document.activeElement.id") == "floor"


def test_controls_have_names_for_those_who_do_not_see_them(opened: Opened) -> None:
    page = opened.page
    assert page.get_by_role("slider", name="Quality floor").count() == 1
    assert page.get_by_role("spinbutton", name="Steps (model calls) a month").count() == 1
    assert page.locator("#said").get_attribute("aria-live") == "polite"
    unnamed = "[...document.querySelectorAll('svg')].filter(one => !one.getAttribute('aria-label')"
    assert page.evaluate(unnamed + " && one.getAttribute('aria-hidden') !== 'true').length") == 0


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_no_width_needs_scrolling_sideways(started: Any, file: Path, width: int) -> None:
    one = Opened(started, file, viewport={"width": width, "height": 740})
    assert one.page.evaluate("document.documentElement.scrollWidth") <= width
    assert one.page.locator("svg.narrow").is_visible() == (width < 640)
    assert one.page.locator("svg.broad").is_visible() == (width > 640)
    one.context.close()


def test_the_first_screen_of_a_phone_holds_savings_quality_promise_and_floor(
    started: Any, file: Path
) -> None:
    one = Opened(started, file, viewport={"width": 360, "height": 740})
    for selector in ("[data-text=saved]", "[data-text=goal]", "[data-text=sure]", "#floor"):
        box = one.page.locator(selector).bounding_box()
        assert box["y"] + box["height"] <= 740, selector
    one.context.close()


def test_light_and_dark_both_have_contrast(started: Any, file: Path) -> None:
    grays = []
    for scheme in ("light", "dark"):
        one = Opened(started, file, color_scheme=scheme)
        for selector in ("p.lead", ".tile .soft", ".badge", "td.n", "th"):
            ratio = one.page.locator(selector).first.evaluate(CONTRAST)
            assert ratio >= 4.5, (scheme, selector)
        grays.append(one.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        one.context.close()
    assert grays[0] != grays[1]


# WCAG 2.2, "contrast ratio" and "relative luminance", of text on the nearest painted background.
CONTRAST = """one => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  let behind = one;
  while ((parts(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0)
    behind = behind.parentElement;
  const light = (color) => parts(color).slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const [a, b] = [getComputedStyle(one).color, getComputedStyle(behind).backgroundColor]
    .map(light).sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""


def test_nothing_moves_by_itself_where_that_is_not_wanted(started: Any, file: Path) -> None:
    for wish, duration in (("no-preference", "0.15s, 0.15s"), ("reduce", "0s")):
        one = Opened(started, file, reduced_motion=wish)
        told = one.page.locator("svg.broad .spot").evaluate(
            "one => getComputedStyle(one).transitionDuration"
        )
        assert told == duration
        one.context.close()


def test_paper_shows_what_is_folded_and_no_controls(opened: Opened) -> None:
    opened.page.emulate_media(media="print")
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.page.locator("details td").first.is_visible()
    assert not opened.page.locator("#floor").is_visible()
    assert opened.page.pdf()[:5] == b"%PDF-"


def test_a_browser_that_is_named_but_not_there_is_an_error_and_no_skip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TIERWISE_CHROMIUM", "/nowhere/chromium")
    with pytest.raises(pytest.fail.Exception, match="TIERWISE_CHROMIUM names /nowhere/chromium"):
        chromium()


def test_without_a_browser_the_reason_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TIERWISE_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        chromium()
