"""Why a step got its tier: the same graph asked again with one thing left out at a time.

What a word or a context column did is the change in how far the served tier is ahead of the
runner-up by the rule's score when that word is taken out of the text, or that column is made
unknown (occlusion: Zeiler and Fergus 2014, section 4). Nothing of the model's inside is looked at,
so that this holds for every bundle. What it cannot see: two words of which either one suffices
each seem to do nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.data.messages import KEPT_BYTES
from tierwise.features.words import FOLD, HUMP, TOKEN
from tierwise.router_model.layout import BLOCKS, POINT, TIER, block
from tierwise.router_model.manifest import Manifest
from tierwise.serve.decision import Decision
from tierwise.serve.explain_text import because, details
from tierwise.serve.explanation import Explanation, Move, TierView

WORDS = 256
"""At most so many different words are tried, the first of the text."""
MOVES = 5
ENOUGH = 1.0
"""A margin of the reference beyond this is shown as this: no quality in 0..1 overcomes either."""
NOTHING = 1e-9  # a change below this is rounding

Floats = NDArray[np.float32]
Parts = NDArray[np.float64]
Decide = Callable[[bytes, Floats, Any, float | None, float | None], Floats]


@dataclass(frozen=True)
class Question:
    """What the graph was asked: as `PolicyGraph.decide` takes it; `text_bytes` is before the cap.

    `allowed` holds a number a tier, 1 = may be served.
    """

    text: bytes
    text_bytes: int
    context: Floats
    allowed: tuple[float, ...]
    floor: float | None = None
    max_latency_s: float | None = None


class _Rule:
    """The score's three parts, from what the manifest holds of the rule."""

    def __init__(self, manifest: Manifest, question: Question) -> None:
        self.n_tiers = len(manifest.tiers)
        self.allowed = np.array(question.allowed) > 0.5
        self.most = math.inf if question.max_latency_s is None else question.max_latency_s
        section = manifest.rule
        try:
            self.reference = manifest.tier_names.index(section["reference"])
            self.margin = np.array(section["margin"], np.float64)
            self.weight = np.array(section["weight"], np.float64) / section["mean_reference_cost"]
            self.known = len(self.margin) == len(self.weight) > 0
        except (KeyError, ValueError, TypeError, ZeroDivisionError):
            self.known = False

    def usable(self, numbers: Parts) -> NDArray[np.bool_]:
        """Return which tiers may serve; one of unknown latency is not too slow."""
        return self.allowed & ~(numbers[block("latency_s", self.n_tiers)] > self.most)

    def weighs(self, numbers: Parts) -> bool:
        """Say whether the rule is known and holds: without the reference, quality alone decides."""
        return self.known and bool(self.usable(numbers)[self.reference])

    def parts(self, numbers: Parts) -> Parts:
        """Return what quality, cost and floor add to each tier's score, shape (3, n_tiers)."""
        out = np.zeros((3, self.n_tiers))
        out[0] = numbers[block("quality", self.n_tiers)]
        point = int(numbers[POINT])
        if self.weighs(numbers) and 0 <= point < len(self.margin):
            cost = numbers[block("total_cost_usd", self.n_tiers)]
            out[1] = -self.weight[point] * cost
            out[2, self.reference] = min(self.margin[point], ENOUGH)
        return out


def explain(
    manifest: Manifest, decision: Decision, question: Question, decide: Decide
) -> Explanation:
    """Say why a step got its tier.

    Parameters
    ----------
    manifest : Manifest
        Of the policy that decided.
    decision : Decision
        What it decided.
    question : Question
        What it was asked.
    decide : callable
        The graph: `PolicyGraph.decide`, asked about 300 times.
    """
    found = Explanation(decision, because(manifest, decision))
    if not decision.numbers:
        return found
    numbers, rule = np.array(decision.numbers), _Rule(manifest, question)
    tiers, runner_up = manifest.tier_names, _runner_up(rule, decision, question, decide)
    words = _words(question.text)
    found = replace(
        found,
        details=details(manifest, decision, question.context, question.floor, rule.weighs(numbers)),
        runner_up=None if runner_up is None else tiers[runner_up],
        tiers=_views(tiers, numbers, rule),
        words=len(words),
        cut=question.text_bytes > 2 * KEPT_BYTES,
    )
    parts = rule.parts(numbers)
    if runner_up is None:
        return replace(found, notes=("No other tier may serve: nothing could move it.",))
    if not np.isfinite(parts[:, [decision.tier_index, runner_up]]).all():
        return replace(found, notes=("No text is weighed here: the role and the limits decide.",))
    pair = (decision.tier_index, runner_up)
    before = _lead(parts, *pair)
    moves = []
    for kind, name, value, text, context in _without(manifest, question, words):
        after = _ask(decide, question, text, context)
        change = before - _lead(rule.parts(after), *pair)
        other = int(after[TIER])
        if np.isfinite(change).all() and abs(change.sum()) > NOTHING:
            quality, *rest = (float(part) for part in change)
            cost, floor = rest if rule.known else (math.nan, math.nan)
            instead = tiers[other] if other >= 0 else ""
            moves.append(
                Move(kind, name, value, float(change.sum()), quality, cost, floor, instead)
            )
    moves.sort(key=lambda move: -abs(move.total))
    return replace(
        found,
        moves=tuple(moves[:MOVES]),
        tried=min(len(words), WORDS),
        notes=_notes(rule, found, parts, pair, bool(moves)),
    )


def _ask(
    decide: Decide, question: Question, text: bytes, context: Floats, allowed: Any = None
) -> Parts:
    mask = question.allowed if allowed is None else allowed
    numbers = decide(text, context, mask, question.floor, question.max_latency_s)
    return numbers.astype(np.float64)


def _lead(parts: Parts, served: int, other: int) -> Parts:
    """Return by how much quality, cost and floor put one tier ahead of another, shape (3,)."""
    lead: Parts = parts[:, served] - parts[:, other]
    return lead


def _runner_up(rule: _Rule, decision: Decision, question: Question, decide: Decide) -> int | None:
    """Return the best of the other tiers that may serve; asked of the graph without the rule."""
    numbers, served = np.array(decision.numbers), decision.tier_index
    usable = rule.usable(numbers)
    usable[served] = False
    if not usable.any():
        return None
    score = rule.parts(numbers).sum(axis=0)
    if rule.known and np.isfinite(score[usable]).all():
        return int(np.where(usable, score, -math.inf).argmax())
    tier = int(_ask(decide, question, question.text, question.context, usable)[TIER])
    return tier if tier >= 0 else None


def _views(tiers: tuple[str, ...], numbers: Parts, rule: _Rule) -> tuple[TierView, ...]:
    usable, n = rule.usable(numbers), len(tiers)
    score = rule.parts(numbers).sum(axis=0) if rule.known else np.full(n, math.nan)

    def ahead(place: int) -> float:
        others = score[usable & (np.arange(n) != place)]
        return float(score[place] - others.max()) if len(others) else math.nan

    rows = zip(*(numbers[block(name, n)].tolist() for name in BLOCKS), strict=True)
    return tuple(
        TierView(name, bool(usable[i]), quality, cost, total, time, float(score[i]), ahead(i))
        for i, (name, (quality, cost, total, time)) in enumerate(zip(tiers, rows, strict=True))
    )


def _words(text: bytes) -> dict[bytes, list[tuple[int, int]]]:
    """Return where each different word stands, in order of their first places."""
    places: dict[bytes, list[tuple[int, int]]] = {}
    for match in TOKEN.finditer(text):
        start = match.start()
        for word in HUMP.split(match.group()):
            places.setdefault(word.translate(FOLD), []).append((start, start + len(word)))
            start += len(word)
    return places


def _without(
    manifest: Manifest, question: Question, words: dict[bytes, list[tuple[int, int]]]
) -> Iterator[tuple[str, str, str, bytes, Floats]]:
    """Yield kind, name, value, and the text and context that are left without it."""
    for _, spans in zip(range(WORDS), words.values(), strict=False):
        left = bytearray(question.text)
        for start, end in spans:
            left[start:end] = b" " * (end - start)
        shown = question.text[slice(*spans[0])].decode(errors="replace")
        often = f"{len(spans)} x" if len(spans) > 1 else ""
        yield "word", shown, often, bytes(left), question.context
    for place, column in enumerate(manifest.context):
        value = float(question.context[0, place])
        if math.isnan(value):
            continue
        context = question.context.copy()
        context[0, place] = math.nan
        in_words = column.vocabulary[int(value)] if column.kind == "category" else f"{value:g}"
        if column.kind == "flag":
            in_words = "true" if value > 0.5 else "false"
        yield "context", column.name, in_words, question.text, context


def _notes(
    rule: _Rule, found: Explanation, parts: Parts, pair: tuple[int, int], moved: bool
) -> tuple[str, ...]:
    notes = []
    always = abs(parts[2, pair[0]] - parts[2, pair[1]]) >= ENOUGH
    if not moved:
        notes.append("No single word or context column moved the served tier's lead.")
    if not rule.known:
        notes.append(
            "This bundle does not hold its rule (an earlier version built it): scores are unknown "
            "and what moved the decision is told by expected quality alone; build it again."
        )
    if moved and always and found.decision.reason == "guard":
        notes.append(
            "The guard keeps the reference whatever the estimates say: only what brings the text "
            "back within it could have changed the tier."
        )
    elif moved and always:
        notes.append(
            "The floor keeps the reference whatever the estimates say: what is listed moved the "
            "estimates, and could not have changed the tier."
        )
    if found.words > WORDS:
        notes.append(f"Only the first {WORDS} of {found.words} different words were left out.")
    if found.cut:
        notes.append("The text is longer than 4,096 bytes: only its two ends were looked at.")
    return tuple(notes)
