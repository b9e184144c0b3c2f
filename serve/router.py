"""Text in, tier out: what a gateway calls for every step."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np

from tierwise.data.errors import BadInput
from tierwise.data.messages import cap, text_of, utf8
from tierwise.router_model.bundle import VerifiedBundle, verify_bundle
from tierwise.serve.answers import FALLBACK, Answers
from tierwise.serve.budget import BudgetStore
from tierwise.serve.choose import NONE_ALLOWED, Asked, Choice, Chooser
from tierwise.serve.context import ContextRow
from tierwise.serve.decision import Decision
from tierwise.serve.escalate import run
from tierwise.serve.explain import Question, explain
from tierwise.serve.explanation import Explanation
from tierwise.serve.explore import Explorer
from tierwise.serve.rules import RuleBook, flag, word
from tierwise.serve.spending import Spending

__all__ = ["FALLBACK", "NONE_ALLOWED", "Router", "TakesLines"]

Step = str | Sequence[Mapping[str, Any]]

_POSITIONAL = ("self", "step")
_SINGLED_OUT_BY = ("role", "tenant", "data_class")


class TakesLines(Protocol):
    """What a decision is told to, such as `DecisionLog`; it must neither wait nor raise."""

    def write(self, row: Mapping[str, Any]) -> None:
        """Take one line."""


class Router:
    """A loaded policy and its rules; safe to call from many threads.

    Parameters
    ----------
    bundle : VerifiedBundle
    explore : Explorer, optional
        In place of the one that the rules ask for.
    log : DecisionLog, optional
        Gets a line a decision: no text, nothing that a caller wrote.
    budget_store : BudgetStore, optional
        In place of buckets of this process, where several processes share budgets.
    rng : numpy.random.Generator, optional
        Where exploration draws from; the system's where left out.

    Attributes
    ----------
    manifest : Manifest
        What the policy is.
    decided : Counter of str
        Decisions by reason.
    faults : Counter of str
        What failed, by kind. Decisions that fell back: `step`, `pin`, `allowed`, `floor`,
        `max_latency_s`, `graph`, `output`, `steps`. Decisions that did without: `budget`,
        `explore`, `log`.
    ignored : Counter of str
        Context values left out: `unknown_column`, `unknown_category`, `bad_value`, `unknown_tier`.
    """

    def __init__(
        self,
        bundle: VerifiedBundle,
        *,
        explore: Explorer | None = None,
        log: TakesLines | None = None,
        budget_store: BudgetStore | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.manifest = bundle.manifest
        self.digest = bundle.digest
        self.decided: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()
        self._lock = Lock()
        self._count_fault = _counting(self.faults, self._lock)
        self._ignore = _counting(self.ignored, self._lock)
        self._log = log
        self._decide = bundle.graph.decide
        self._tiers = bundle.manifest.tier_names
        self._n_tiers = len(self._tiers)
        self._context = ContextRow(bundle.manifest.context, self._ignore)
        self._book = book = RuleBook(bundle.manifest)
        self._chooser = Chooser(bundle.manifest, book)
        self._answers = Answers(bundle.manifest)
        self._spending = Spending(
            bundle.manifest, book.rules, explore, budget_store, rng, self._count_fault
        )
        self._outages: frozenset[str] = frozenset()
        self._out = 0

    @classmethod
    def load(
        cls,
        folder: str | Path,
        digest: str | None = None,
        *,
        public_key: Path | bytes | None = None,
        explore: Explorer | None = None,
        log: TakesLines | None = None,
        budget_store: BudgetStore | None = None,
        rng: np.random.Generator | None = None,
    ) -> Router:
        """Verify a bundle and serve it.

        Parameters
        ----------
        folder : str or Path
            The bundle.
        digest : str, optional
            The manifest's SHA-256 as known from elsewhere.
        public_key : Path or bytes, optional
            The ed25519 key that has to have signed it.
        explore, log, budget_store, rng
            See `Router`.

        Raises
        ------
        BundleError
            Where the bundle is not exactly as it was built, or its rules contradict each other.
        """
        bundle = verify_bundle(Path(folder), digest, public_key=public_key)
        return cls(bundle, explore=explore, log=log, budget_store=budget_store, rng=rng)

    run = run  # call, check, escalate

    def decide(
        self,
        step: Step,
        *,
        role: str | None = None,
        allowed: Iterable[str] | None = None,
        floor: float | None = None,
        max_latency_s: float | None = None,
        tenant: str | None = None,
        data_class: str | None = None,
        pin: str | None = None,
        **context: Any,
    ) -> Decision:
        """Decide which tier serves a step. Never raises: on any fault the fallback tier is served.

        So it is where no tier may serve, with the reason `none_allowed`: the caller decides then.
        Pins hold in both: another tier than theirs is never named.

        Parameters
        ----------
        step : str or list of dict
            The text, or chat messages with `role` and `content`.
        role : str, optional
            The step's role: planner, worker, critic, ...
        allowed : iterable of str, optional
            Names of the tiers that may serve; all where left out. Rules may forbid more.
        floor : float, optional
            Quality floor; the certified one of the role where left out. A rule's stricter one
            holds.
        max_latency_s : float, optional
            Tiers expected to take longer are left out. A rule's stricter limit holds.
        tenant, data_class : str, optional
            What rules and budgets may hang on.
        pin : str, optional
            The tier that has to serve, if rules and outages allow it.
        **context
            Other context columns of the manifest; unknown where left out.
        """
        at = self._asked()
        try:
            numbers = self._consider(
                at, step, role, allowed, floor, max_latency_s, tenant, data_class, pin, context
            )
            at.kind = "output"
            made = self._answers.made(at, numbers, self._choice(at, numbers, spend=True))
        except Exception:  # whatever it is, the caller's step must go on
            made = self._fall_back(at)
        self._tell(made, at)
        return made

    def decide_many(
        self, steps: Iterable[Step], each: Iterable[Mapping[str, Any]] = (), **common: Any
    ) -> list[Decision]:
        """Decide several steps, one after another; never raises.

        Parameters
        ----------
        steps : iterable of str or list of dict
        each : iterable of mapping, optional
            Keyword arguments of `decide` for each step; none for those beyond its end.
        **common
            Keyword arguments for all steps; those of `each` hold over them.
        """
        found: list[Decision] = []
        try:
            given = iter(each)
            for step in steps:
                found.append(self._decide_one(step, common, next(given, {})))
        except Exception:  # an iterable of somebody's own making
            self._count_fault("steps")
        return found

    def explain(
        self,
        step: Step,
        *,
        role: str | None = None,
        allowed: Iterable[str] | None = None,
        floor: float | None = None,
        max_latency_s: float | None = None,
        tenant: str | None = None,
        data_class: str | None = None,
        pin: str | None = None,
        **context: Any,
    ) -> Explanation:
        """Decide a step and say why; takes as long as some 300 decisions.

        Parameters are those of `decide`, and what `decide` would fall back on is explained as
        that. Nothing is drawn, charged or logged. An error of the graph after that is raised, not
        hidden.
        """
        at = self._asked()
        try:
            numbers = self._consider(
                at, step, role, allowed, floor, max_latency_s, tenant, data_class, pin, context
            )
            at.kind = "output"
            made = self._answers.made(at, numbers, self._choice(at, numbers, spend=False))
        except Exception:  # as in `decide`
            made = self._fall_back(at)
        unknown = np.full((1, len(self.manifest.context)), np.nan, np.float32)
        row = unknown if at.row is None else at.row
        may = tuple(float(at.may >> tier & 1) for tier in range(self._n_tiers))
        question = Question(cap(at.text), len(at.text), row, may, at.floor, at.limit_s)
        return explain(self.manifest, made, question, self._decide)

    def set_outage(self, vendor: str, out: bool = True) -> None:
        """Say that a vendor is out, or is back: its tiers do not serve from the next step on.

        Raises
        ------
        BadInput
            Where no tier of the policy is of this vendor.
        """
        known = self._book.of_vendor
        if vendor not in known:
            found = ", ".join(known) or "no vendor in the tier catalogue"
            raise BadInput(f"vendor {vendor!r}"[:99], found, "name one of them")
        with self._lock:
            self._outages = self._outages | {vendor} if out else self._outages - {vendor}
            self._out = sum(known[name] for name in self._outages)

    @property
    def outages(self) -> frozenset[str]:
        """Vendors that are out."""
        return self._outages

    def charge(self, tenant: str | None, usd: float) -> None:
        """Charge a tenant's budget for what a retry has cost, USD; never raises."""
        self._spending.charge(word(tenant), usd)

    def inherit(self, old: Router) -> None:
        """Go on with the outages, budgets and exploration of a router that this one replaces.

        Budgets and exploration only where the rules for them are the same: else they start anew.
        """
        with self._lock:
            self._outages = old.outages & self._book.of_vendor.keys()
            self._out = sum(self._book.of_vendor[name] for name in self._outages)
        self._spending.inherit(old._spending)

    def _asked(self) -> Asked:
        """Return a step of which nothing is known: no rule singles it out, the call allows all."""
        book, out = self._book, self._out
        return Asked(book.open, book.every, out, book.standing & ~out)

    def _consider(
        self, at: Asked, step: Any, role: Any, allowed: Any, floor: Any, max_latency_s: Any,
        tenant: Any, data_class: Any, pin: Any, context: dict[str, Any],
    ) -> list[float] | None:  # fmt: skip
        """Find out what holds for a step, and ask the graph if that leaves anything to choose.

        Returns
        -------
        list of float, or None
            The graph's output; None where it was not asked.
        """
        at.role, at.tenant = word(role), word(tenant)
        at.limits = self._book.limits(role, tenant, data_class, context)
        at.may = at.limits.may & ~at.out
        if pin is not None:
            at.kind = "pin"
            at.called, at.pin = 1 << self._tiers.index(pin), True
        if allowed is not None:
            at.kind = "allowed"
            at.called &= self._set(allowed)
        at.may &= at.called
        if at.limits.tier >= 0 or at.pin:
            return None
        at.kind = "step"
        at.text = utf8(step if isinstance(step, str) else text_of(step))
        if role is not None:
            context["role"] = role
        at.row, at.ignored = self._context.row(len(at.text), context)
        at.irreversible = flag(context.get("irreversible"))
        at.kind = "floor"
        at.floor, at.floor_rule = self._book.floor(role, None if floor is None else _finite(floor))
        at.kind = "max_latency_s"
        asked = None if max_latency_s is None else _not_nan(max_latency_s)
        at.limit_s, at.limit_rule = self._book.latency(context.get("workload"), asked)
        at.kind = "graph"
        if not at.may:
            return None
        tiers = at.limits.may & at.called if self._chooser.asks_ahead(at) else at.may
        mask = self._book.array(tiers)
        numbers: list[float] = self._decide(
            cap(at.text), at.row, mask, at.floor, at.limit_s
        ).tolist()
        return numbers

    def _choice(self, at: Asked, numbers: list[float] | None, *, spend: bool) -> Choice:
        if not at.may:
            return self._chooser.none_allowed(at)
        if numbers is None:
            return self._chooser.without_graph(at)
        choice = self._chooser.by_graph(at, numbers)
        if spend and choice.tier >= 0 and self._spending.active:
            usable = self._chooser.usable(at, numbers)
            self._spending.budget(choice, numbers, usable, at.role, at.tenant)
            if self._chooser.drawable(at, numbers):
                self._spending.draw(choice, numbers, usable, at.role, at.tenant)
        return choice

    def _decide_one(self, step: Step, common: Mapping[str, Any], own: Any) -> Decision:
        try:
            given = {**common, **own}
            return self.decide(step, **{n: given[n] for n in given if n not in _POSITIONAL})
        except Exception:  # no mapping from names
            at = self._asked()
            at.kind, (role, tenant, data_class) = "steps", map(common.get, _SINGLED_OUT_BY)
            at.limits = self._book.limits(role, tenant, data_class, common)
            at.may &= at.limits.may
            made = self._fall_back(at)
            self._tell(made, at)
            return made

    def _fall_back(self, at: Asked) -> Decision:
        self._count_fault(at.kind)
        return self._answers.fallback(at)

    def _tell(self, made: Decision, at: Asked) -> None:
        with self._lock:
            self.decided[made.reason] += 1
        if self._log is not None:
            try:
                role = at.role if at.role in self._book.roles else None
                self._log.write({"ts": time.time(), "role": role, **made.log_row()})
            except Exception:  # a log of somebody's own making
                self._count_fault("log")

    def _set(self, allowed: Iterable[str]) -> int:
        tiers = 0
        for name in (allowed,) if isinstance(allowed, str) else allowed:
            if name in self._tiers:
                tiers |= 1 << self._tiers.index(name)
            else:
                self._ignore("unknown_tier")
        return tiers


def _counting(counts: Counter[str], lock: Lock) -> Callable[[str], None]:
    """Return what counts one more; it holds no router, so that one replaced is freed at once."""

    def count(kind: str) -> None:
        with lock:
            counts[kind] += 1

    return count


def _finite(value: float) -> float:
    """Return a limit a caller set; one that cannot be read must not loosen anything, so raise."""
    if not math.isfinite(number := float(value)):
        raise ValueError(f"{number}")
    return number


def _not_nan(value: float) -> float:
    if math.isnan(number := float(value)):
        raise ValueError("nan")
    return number
