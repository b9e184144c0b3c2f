"""Text in, tier out: what a gateway calls for every step."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.data.messages import cap, text_of, utf8
from tierwise.router_model.bundle import VerifiedBundle, verify_bundle
from tierwise.router_model.layout import (
    CHECK,
    HEAD,
    LEAD,
    NEXT_TIER,
    OOD,
    REASON,
    TIER,
)
from tierwise.serve.context import ContextRow
from tierwise.serve.decision import Decision, without_estimates
from tierwise.serve.explain import Question, explain
from tierwise.serve.explanation import Explanation

FALLBACK, NONE_ALLOWED = "fallback", "none_allowed"


class Router:
    """A loaded policy; safe to call from many threads.

    Attributes
    ----------
    manifest : Manifest
        What the policy is.
    faults : Counter of str
        Decisions that fell back, by kind: `step`, `allowed`, `floor`, `max_latency_s`, `graph`,
        `output`.
    ignored : Counter of str
        Context values left out: `unknown_column`, `unknown_category`, `bad_value`, `unknown_tier`.
    """

    def __init__(self, bundle: VerifiedBundle) -> None:
        self.manifest = bundle.manifest
        self.digest = bundle.digest
        self.faults: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()
        self._lock = Lock()
        self._decide = bundle.graph.decide
        self._tiers = bundle.manifest.tier_names
        self._n_tiers = len(self._tiers)
        self._reasons = bundle.manifest.reasons
        self._version = bundle.manifest.policy_version
        self._fallback = self._tiers.index(bundle.manifest.fallback)
        self._context = ContextRow(bundle.manifest.context, self._ignore)

    @classmethod
    def load(cls, folder: str | Path, digest: str | None = None) -> Router:
        """Verify a bundle and serve it.

        Parameters
        ----------
        folder : str or Path
            The bundle.
        digest : str, optional
            The manifest's SHA-256 as known from elsewhere.

        Raises
        ------
        BundleError
            Where the bundle is not exactly as it was built.
        """
        return cls(verify_bundle(Path(folder), digest))

    def decide(
        self,
        step: str | Sequence[Mapping[str, Any]],
        *,
        role: str | None = None,
        allowed: Iterable[str] | None = None,
        floor: float | None = None,
        max_latency_s: float | None = None,
        **context: Any,
    ) -> Decision:
        """Decide which tier serves a step. Never raises: on any fault the fallback tier is served.

        So it is where no tier may serve, with the reason `none_allowed`: the caller decides then.

        Parameters
        ----------
        step : str or list of dict
            The text, or chat messages with `role` and `content`.
        role : str, optional
            The step's role: planner, worker, critic, ...
        allowed : iterable of str, optional
            Names of the tiers that may serve; all where left out.
        floor : float, optional
            Quality floor; the certified one of the role where left out.
        max_latency_s : float, optional
            Tiers expected to take longer are left out.
        **context
            Other context columns of the manifest; unknown where left out.
        """
        kind = "step"
        ignored: tuple[str, ...] = ()
        mask: NDArray[np.float32] | None = None
        try:
            text = utf8(step if isinstance(step, str) else text_of(step))
            if role is not None:
                context["role"] = role
            row, ignored = self._context.row(len(text), context)
            if allowed is not None:
                kind = "allowed"
                mask = self._mask(allowed)
            if floor is not None:
                kind = "floor"
                floor = _finite(floor)
            if max_latency_s is not None:
                kind = "max_latency_s"
                max_latency_s = _not_nan(max_latency_s)
            kind = "graph"
            numbers = self._decide(cap(text), row, mask, floor, max_latency_s).tolist()
            kind = "output"
            return self._read(numbers, ignored)
        except Exception:  # whatever it is, the caller's step must go on
            return self._fall_back(kind, mask, ignored)

    def explain(
        self,
        step: str | Sequence[Mapping[str, Any]],
        *,
        role: str | None = None,
        allowed: Iterable[str] | None = None,
        floor: float | None = None,
        max_latency_s: float | None = None,
        **context: Any,
    ) -> Explanation:
        """Decide a step and say why; takes as long as some 300 decisions.

        Parameters are those of `decide`, and what `decide` would fall back on is explained as
        that. An error of the graph after that is raised, not hidden.
        """
        if isinstance(allowed, Iterator):  # it is read twice
            allowed = tuple(allowed)
        decision = self.decide(
            step, role=role, allowed=allowed, floor=floor, max_latency_s=max_latency_s, **context
        )
        text, mask = b"", (1.0,) * self._n_tiers
        row = np.full((1, len(self.manifest.context)), np.nan, np.float32)
        if decision.numbers:  # so that everything given could be read
            text = utf8(step if isinstance(step, str) else text_of(step))
            quiet = ContextRow(self.manifest.context, lambda kind: None)
            row, _ = quiet.row(len(text), context if role is None else {**context, "role": role})
            if allowed is not None:
                names = {allowed} if isinstance(allowed, str) else set(allowed)
                mask = tuple(float(name in names) for name in self._tiers)
            floor = None if floor is None else float(floor)
            max_latency_s = None if max_latency_s is None else float(max_latency_s)
        question = Question(cap(text), len(text), row, mask, floor, max_latency_s)
        return explain(self.manifest, decision, question, self._decide)

    def _read(self, numbers: list[float], ignored: tuple[str, ...]) -> Decision:
        tier, following = int(numbers[TIER]), int(numbers[NEXT_TIER])  # NaN raises
        code = int(numbers[REASON])
        if code < 0:
            raise ValueError(f"reason {code}")
        reason = self._reasons[code]
        if tier == -1 and reason == NONE_ALLOWED:
            at = self._fallback
            return without_estimates(self._tiers[at], at, reason, self._version, ignored)
        if not 0 <= tier < self._n_tiers:
            raise ValueError(f"tier {tier}")
        n, at = self._n_tiers, HEAD + tier
        return Decision(
            self._tiers[tier],
            tier,
            numbers[at],
            numbers[at + n],
            numbers[at + 2 * n],
            reason,
            numbers[LEAD],
            numbers[OOD],
            self._tiers[following] if 0 <= following < n else None,
            numbers[CHECK] > 0,
            self._version,
            1.0,
            tuple(numbers),
            ignored,
        )

    def _mask(self, allowed: Iterable[str]) -> NDArray[np.float32]:
        mask = np.zeros(self._n_tiers, np.float32)
        for name in (allowed,) if isinstance(allowed, str) else allowed:
            if name in self._tiers:
                mask[self._tiers.index(name)] = 1
            else:
                self._ignore("unknown_tier")
        return mask

    def _fall_back(
        self, kind: str, mask: NDArray[np.float32] | None, ignored: tuple[str, ...]
    ) -> Decision:
        with self._lock:
            self.faults[kind] += 1
        tier = self._fallback
        if mask is not None and not mask[tier] and mask.any():
            tier = int(np.flatnonzero(mask)[-1])  # a pin holds in a fault too
        return without_estimates(self._tiers[tier], tier, FALLBACK, self._version, ignored)

    def _ignore(self, kind: str) -> None:
        with self._lock:
            self.ignored[kind] += 1


def _finite(value: float) -> float:
    """Return a limit a caller set; one that cannot be read must not loosen anything, so raise."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number}")
    return number


def _not_nan(value: float) -> float:
    number = float(value)
    if math.isnan(number):
        raise ValueError("nan")
    return number
