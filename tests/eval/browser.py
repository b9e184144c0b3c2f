"""A real Chromium for tests of the report page: found, or named by TIERWISE_CHROMIUM."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NO_BINARY = (
    "no Chromium: install it (Debian and Ubuntu: apt-get install chromium), or name a Chrome or "
    "Chromium in the variable TIERWISE_CHROMIUM"
)
NO_PLAYWRIGHT = "no playwright: pip install -e '.[dev]' (it brings no browser, and none is needed)"


def missing(reason: str) -> NoReturn:
    """Skip, saying what to install; `.ci/run` installs a browser first and says if it could not."""
    pytest.skip(reason)


def chromium() -> str:
    """Return the path of the browser."""
    named = os.environ.get("TIERWISE_CHROMIUM")
    if named:
        found = shutil.which(named)
        if found is None:
            pytest.fail(f"TIERWISE_CHROMIUM names {named}, which is no program")
        return found
    for name in NAMES:
        if found := shutil.which(name):
            return found
    missing(NO_BINARY)


@contextmanager
def browser() -> Iterator[Any]:
    """Start the browser without a window; it is ended with the tests."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        missing(NO_PLAYWRIGHT)
    path = chromium()
    # Its own sandbox does not start for root, which is what tests in containers run as.
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as tools:
        started = tools.chromium.launch(
            executable_path=path, args=["--no-sandbox"] if root else [], timeout=60_000
        )
        try:
            yield started
        finally:
            started.close()


class Opened:
    """A page opened from a file, with everything it complained of and asked for."""

    def __init__(self, started: Any, file: Path, **options: Any) -> None:
        self.context = started.new_context(offline=True, **options)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())

    def text(self, selector: str) -> str:
        """Return the text of the one element that a selector finds, spaces as spaces."""
        return str(self.page.locator(selector).text_content()).replace("\u00a0", " ")
