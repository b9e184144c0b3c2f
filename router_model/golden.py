"""Golden vectors: inputs with the exact ids and the decision that the graph gave when it was built.

They are run wherever a bundle is loaded: another runtime, or another build of the same one, that
computes something else is found out before it decides anything.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.data.messages import KEPT_BYTES, cap
from tierwise.router_model.layout import LEAD, NEXT_TIER, POINT, REASON, TIER
from tierwise.router_model.manifest import BundleError
from tierwise.router_model.runtime import Floats, PolicyGraph

TOLERANCE = 1e-4
"""Largest difference of a number, absolute for numbers up to 1 and relative above."""
LEAST_LEAD = 1e-3
"""A decision with less lead than this might fall the other way elsewhere, and is no example."""
MAX_BYTES = 16 << 20
MAX_EXAMPLES = 256
_LONGEST = 2 * KEPT_BYTES + 1  # a text that was cut
_EXACT = (TIER, REASON, POINT, NEXT_TIER)


def _made_up(n_words: int) -> bytes:
    """Return a text of words that are in no language: far beyond the guard where there is one."""
    letters = bytes.maketrans(b"0123456789abcdef", b"qwxzvkjybfgpmhud")
    words = (hashlib.sha256(b"%d" % i).hexdigest()[:9].encode() for i in range(n_words))
    return b" ".join(word.translate(letters) for word in words)


_TEXTS = (
    b"",
    b" \n",
    "Zusammenfassung für Ωραία: 日本語 🚀 ПРИВЕТ".encode(),
    b"\xff\xfe broken \xc3 \xed\xa0\x80 bytes",
    cap(b"def getUserName(id_2): return HTTPServer[id_2] == None  # note\n" * 200),
    _made_up(48),
)


@dataclass(frozen=True)
class Golden:
    """One example; None for an optional input that is left out."""

    text: bytes
    context: tuple[float, ...]
    ids: tuple[int, ...]
    decision: tuple[float, ...]
    allowed: tuple[float, ...] | None = None
    floor: float | None = None
    max_latency_s: float | None = None


def make_golden(
    graph: PolicyGraph, texts: Sequence[bytes] = (), contexts: Floats | None = None
) -> tuple[Golden, ...]:
    """Choose examples: odd texts, unknown context, the given steps, every reason that occurs.

    Parameters
    ----------
    graph : PolicyGraph
        The graph of the bundle.
    texts : sequence of n_steps bytes
        Real-looking steps, capped.
    contexts : ndarray of shape (n_steps, n_context), optional
        Their context; unknown where left out.
    """
    unknown = np.full((1, graph.n_context), np.nan, np.float32)
    if contexts is None:
        contexts = np.repeat(unknown, len(texts), axis=0)
    contexts = np.asarray(contexts, np.float32)
    steps = [(text, unknown) for text in _TEXTS]
    steps += [(text, contexts[i : i + 1]) for i, text in enumerate(texts)]
    plain = [_example(graph, text, context) for text, context in steps]
    examples = plain[: len(_TEXTS)]  # kept whatever their lead: they are about the ids
    examples += [one for one in plain[len(_TEXTS) :] if _is_clear(one)]
    seen = {one.decision[REASON] for one in examples}
    for text, context in steps:
        for options in _options(graph.n_tiers):
            one = _example(graph, text, context, **options)
            if one.decision[REASON] not in seen and _is_clear(one):
                seen.add(one.decision[REASON])
                examples.append(one)
    return tuple(examples)


def _options(n_tiers: int) -> Iterator[dict[str, Any]]:
    yield {"allowed": (0.0,) * n_tiers}
    yield {"floor": 1.0}
    yield {"floor": 0.0}
    yield {"max_latency_s": 0.0}
    for tier in range(n_tiers):
        yield {"allowed": tuple(float(i == tier) for i in range(n_tiers))}
        yield {"allowed": tuple(float(i != tier) for i in range(n_tiers))}


def _is_clear(one: Golden) -> bool:
    return not one.decision[LEAD] < LEAST_LEAD  # an unknown lead is clear


def _example(
    graph: PolicyGraph,
    text: bytes,
    context: Floats,
    allowed: tuple[float, ...] | None = None,
    floor: float | None = None,
    max_latency_s: float | None = None,
) -> Golden:
    decision = graph.decide(text, context, allowed, floor, max_latency_s)
    return Golden(
        text,
        tuple(context[0].tolist()),
        tuple(graph.ids(text).tolist()),
        tuple(decision.tolist()),
        allowed,
        floor,
        max_latency_s,
    )


def check_golden(graph: PolicyGraph, examples: Sequence[Golden]) -> None:
    """Run every example.

    Raises
    ------
    BundleError
        Where ids, tier, reason, path point or next tier differ, or another number by more than
        `TOLERANCE`.
    """
    if not examples:
        raise _wrong("no examples", "at least one")
    for number, one in enumerate(examples, start=1):
        context = np.array([one.context], np.float32)
        if context.shape[1] != graph.n_context:
            raise _wrong(f"context of example {number}", f"{graph.n_context} numbers")
        if tuple(graph.ids(one.text).tolist()) != one.ids:
            raise _wrong(f"other ids for example {number}", "the ids it was built with")
        got = graph.decide(one.text, context, one.allowed, one.floor, one.max_latency_s)
        wanted = np.array(one.decision, np.float64)
        if got.shape != wanted.shape or not _same(got.astype(np.float64), wanted):
            raise _wrong(f"another decision for example {number}", "the one it was built with")


def _same(got: NDArray[np.float64], wanted: NDArray[np.float64]) -> bool:
    exact = list(_EXACT)
    near = np.isclose(got, wanted, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    return bool(near.all() and np.array_equal(got[exact], wanted[exact], equal_nan=True))


def to_bytes(examples: Sequence[Golden]) -> bytes:
    """Return golden.jsonl: an example a line, text in base64, null for NaN."""
    lines = [
        json.dumps(
            {
                "text": base64.b64encode(one.text).decode(),
                "context": _numbers(one.context),
                "allowed": None if one.allowed is None else _numbers(one.allowed),
                "floor": one.floor,
                "max_latency_s": one.max_latency_s,
                "ids": list(one.ids),
                "decision": _numbers(one.decision),
            },
            sort_keys=True,
            allow_nan=False,
        )
        for one in examples
    ]
    return "".join(line + "\n" for line in lines).encode()


def from_bytes(content: bytes) -> tuple[Golden, ...]:
    """Read golden.jsonl.

    Raises
    ------
    BundleError
        Where a line is not an example, or has a text that no router would pass on whole; where
        there are more examples than loading should take time for.
    """
    lines = content.splitlines()
    if len(lines) > MAX_EXAMPLES:
        raise _wrong(f"{len(lines)} examples", f"at most {MAX_EXAMPLES}")
    examples = []
    for number, line in enumerate(lines, start=1):
        try:
            examples.append(_read(json.loads(line)))
        except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
            raise _wrong(f"line {number} is no example", "text, context, ids, decision") from None
        if len(examples[-1].text) > _LONGEST:
            raise _wrong(f"a long text in line {number}", "a text that was cut as texts are")
    return tuple(examples)


def _read(value: dict[str, Any]) -> Golden:
    return Golden(
        text=base64.b64decode(value["text"], validate=True),
        context=_floats(value["context"]),
        ids=tuple(int(one) for one in value["ids"]),
        decision=_floats(value["decision"]),
        allowed=None if value["allowed"] is None else _floats(value["allowed"]),
        floor=None if value["floor"] is None else float(value["floor"]),
        max_latency_s=None if value["max_latency_s"] is None else float(value["max_latency_s"]),
    )


def _numbers(values: Sequence[float]) -> list[float | str | None]:
    """Give JSON numbers; NaN is null, an infinity is the word for it."""
    return [
        None if math.isnan(one) else one if math.isfinite(one) else "inf" if one > 0 else "-inf"
        for one in values
    ]


def _floats(values: Sequence[float | str | None]) -> tuple[float, ...]:
    return tuple(math.nan if one is None else float(one) for one in values)


def _wrong(found: str, expected: str) -> BundleError:
    return BundleError(f"golden.jsonl: {found}", expected, "build the bundle again")
