"""Texts to be timed: the simulated fleet's own, and what agents read on any machine with Python.

The latter are mixed: a few words of a fleet's step, then a stretch of the installed packages'
descriptions or of the standard library's source, line ends and indents as they are. So they differ
between machines, and the figures with them.
"""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import numpy as np

from tierwise.data.errors import BadInput
from tierwise.data.fleet import FleetParams, draw, make_world

LENGTHS = {"0 words": 0, "20 words": 20, "200 words": 200, "2,000 words": 2_000}
LARGE, LARGE_BYTES = "100 KB", 100_000
TEXTS = 100  # of each length
PREFIX = 8  # words of a fleet's step that a mixed text begins with
MOST = 1_500_000  # characters of each kind of reading, about

Texts = dict[str, list[str]]

_WORD = re.compile(r"\S+\s*")


def fleet_texts(rng: np.random.Generator, count: int = TEXTS) -> Texts:
    """Return texts of each length, all different, from the simulated fleet's own steps."""
    words = fleet_words(rng)
    starts = rng.integers(0, len(words) - 2_000, count)
    texts = {name: [" ".join(words[s : s + n]) for s in starts] for name, n in LENGTHS.items()}
    many = " ".join(words)
    many *= LARGE_BYTES * 2 // len(many) + 1
    texts[LARGE] = [many[s : s + LARGE_BYTES] for s in starts]
    return texts


def mixed_texts(rng: np.random.Generator, count: int = TEXTS) -> Texts:
    """Return texts of each length: words of a step, then documentation or, every second, source.

    Those of 100 KB are stretches of both, without a step.

    Raises
    ------
    BadInput
        Where there is too little to read.
    """
    asked = fleet_words(rng)
    kinds = [_WORD.findall(_read(kind)) for kind in (_descriptions(), _sources())]
    if min(map(len, kinds)) < 4_000:
        raise BadInput(
            "too few package descriptions or too little source to read",
            "4,000 words of each",
            "install tierwise with its extras, and Python with its library's source",
        )
    texts: Texts = {}
    for name, n in LENGTHS.items():
        texts[name] = []
        for i in range(count):
            words, start = kinds[i % 2], int(rng.integers(len(kinds[i % 2]) - 2_000))
            first = int(rng.integers(len(asked) - PREFIX))
            prefix = asked[first : first + min(PREFIX, n)]
            texts[name].append(" ".join([*prefix, "".join(words[start : start + n - len(prefix)])]))
    every = "".join("".join(words) for words in kinds)
    every *= LARGE_BYTES * 2 // len(every) + 1
    starts = rng.integers(0, len(every) - LARGE_BYTES, count)
    texts[LARGE] = [every[s : s + LARGE_BYTES] for s in starts]
    return texts


def fleet_words(rng: np.random.Generator) -> list[str]:
    """Return the words of some steps of the simulated fleet, one step after another."""
    fleet = draw(make_world(FleetParams(), rng), 400, rng)
    return " ".join(fleet.steps["text"]).split()


def _read(parts: Iterator[str]) -> str:
    """Join parts until they have `MOST` characters."""
    found, size = [], 0
    for part in parts:
        found.append(part)
        size += len(part)
        if size > MOST:
            break
    return "\n".join(found)


def _descriptions() -> Iterator[str]:
    """Yield the installed packages' long descriptions, by name."""
    for one in sorted(distributions(), key=lambda one: one.metadata["Name"] or ""):
        said = (one.read_text("METADATA") or "").partition("\n\n")[2]
        if len(said) > 1_000:
            yield said


def _sources() -> Iterator[str]:
    """Yield the standard library's modules, by name."""
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        yield path.read_text("utf-8", errors="replace")
