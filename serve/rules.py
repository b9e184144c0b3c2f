"""Which tiers may serve a step, by the rules people set: dictionary look-ups, no text, no graph.

What holds over what:

1. pins, each of which narrows the tiers further; forbidden vendors never serve
2. vendors that are out: within a pin's tiers another stands in, or none
3. fixed roles; and where no pin holds, the tiers of `frontier_only_for`
4. what the call allows; it narrows and never widens
5. latency limits and floors: the stricter of rule and call
6. budgets, then exploration: on what the model chose, never on what a rule settled

Sets of tiers are integers here, one bit a tier, the cheapest lowest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tierwise.router_model.manifest import Manifest
from tierwise.router_model.rules import FLAGS, WORDS, Known, Pin, Rules
from tierwise.router_model.rules_read import manifest_rules

PINNED, FIXED_ROLE = "pinned", "fixed_role"
_PLAIN = (bool, int, float, np.bool_, np.integer, np.floating)


class Limits(NamedTuple):
    """What rules say of a step.

    Attributes
    ----------
    may : int
        The tiers that may serve it; none where three pins meet that agree in pairs only.
    tier : int
        The tier that serves it without asking the model; -1 where the model is asked. Where none
        may serve, the one to name.
    rule : str
        The name of the rule that said so; "" where none narrows anything.
    pinned : bool
        Whether a pin holds.
    """

    may: int
    tier: int = -1
    rule: str = ""
    pinned: bool = False


class _Filed(NamedTuple):
    """A pin under one of its words: the other conditions and what it says."""

    others: tuple[tuple[int, frozenset[str]], ...]  # place in the step's words, accepted ones
    unless: tuple[tuple[int, frozenset[str]], ...]
    flags: tuple[str, ...]
    pin: Pin
    may: int

    def meets(self, words: tuple[str, ...], context: Mapping[str, Any]) -> bool:
        return (
            all(words[place] in accepted for place, accepted in self.others)
            and not any(words[place] in spared for place, spared in self.unless)
            and all(flag(context.get(name)) for name in self.flags)
        )


class RuleBook:
    """The rules of a manifest, laid out for looking up.

    Raises
    ------
    BundleError
        Where they are of a wrong form or contradict each other.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.rules: Rules = manifest_rules(manifest)
        known = Known.of(manifest)
        self._tiers = known.tier_names
        self.every = (1 << len(self._tiers)) - 1
        self.of_vendor = {name: self._set(known.tiers_of([name])) for name in known.vendors}
        self._vendor = tuple(tier.vendor for tier in known.tiers)
        self.roles = frozenset((*known.roles, *self.rules.new_roles, *self.rules.fixed_roles))
        self.standing = self.every & ~self._set(known.tiers_of(self.rules.forbidden_vendors))
        self.open = Limits(self.standing)
        """What holds for a step that no rule singles out."""
        self._fixed = {
            role: Limits(self.standing, self._tiers.index(tier), f"fixed_roles.{role}")
            for role, tier in self.rules.fixed_roles.items()
        }
        frontier = self._set((known.frontier,))
        self._reserved = Limits(self.standing & ~frontier, rule="frontier_only_for")
        self._by_word: dict[int, dict[str, list[_Filed]]] = {}
        self._by_flag: list[_Filed] = []
        self._alone: dict[str, Limits] = {}
        for pin in self.rules.pins:
            self._file(pin)
        self._stands_in = {
            vendor: tuple(self.of_vendor[other] for other in others)
            for vendor, others in self.rules.failover.items()
        }
        self.singles_out = bool(self.rules.pins or self._fixed or self.rules.frontier_only_for)
        """Whether any rule looks at what is said of a step."""

    def limits(self, role: Any, tenant: Any, data_class: Any, context: Mapping[str, Any]) -> Limits:
        """Return what rules say of a step; never raises, whatever the values are.

        Parameters
        ----------
        role, tenant, data_class : str or None
            What is no text is unknown, and meets no condition.
        context : mapping
            `task_type` and the flags are looked at. A flag that is there and can be read neither
            as true nor as false counts as true: what hangs on it errs on the safe side.
        """
        if not self.singles_out:
            return self.open
        words = (word(role), word(tenant), word(data_class), word(context.get("task_type")))
        fixed, pins = self._fixed.get(words[0]), self._pins(words, context)
        if pins:
            found = self._alone[pins[0].pin.name] if len(pins) == 1 else self._of_pins(pins)
            if fixed is not None and found.tier < 0:
                return found._replace(tier=nearest(fixed.tier, found.may))
            return found
        if fixed is not None:
            return fixed
        reserved = self.rules.frontier_only_for
        if reserved and not any(flag(context.get(name)) for name in reserved):
            return self._reserved
        return self.open

    def floor(self, role: Any, asked: float | None) -> tuple[float | None, str]:
        """Return the stricter of the role's floor and the call's, and the rule's name if it is."""
        least = self.rules.floors.get(word(role))
        if least is None or (asked is not None and asked > least):
            return asked, ""
        return least, f"floors.{word(role)}"

    def latency(self, workload: Any, asked: float | None) -> tuple[float | None, str]:
        """Return the stricter of the workload's limit and the call's, s, and the rule's name."""
        most = self.rules.latency_s.get(word(workload))
        if most is None or (asked is not None and asked < most):
            return asked, ""
        return most, f"latency_s.{word(workload)}"

    def array(self, tiers: int) -> Any:
        """Return the graph's `allowed` for a set of tiers; None where it is all of them."""
        if tiers == self.every:
            return None
        return np.array([tiers >> place & 1 for place in range(len(self._tiers))], np.float32)

    def stand_in(self, tier: int, tiers: int, *, out: bool) -> int:
        """Return who of some tiers (not empty) serves in place of one that may not.

        Where its vendor is `out`, the first vendor in order of failover that has one of them;
        without such a vendor, any.
        """
        for others in self._stands_in.get(self._vendor[tier] or "", ()) if out else ():
            if tiers & others:
                return nearest(tier, tiers & others)
        return nearest(tier, tiers)

    def has_stand_in(self, out: int) -> bool:
        """Say whether an order of failover is laid down for a vendor of some tiers."""
        return any(self.of_vendor[vendor] & out for vendor in self._stands_in)

    def _file(self, pin: Pin) -> None:
        conditions, unless = _places(pin.when), _places(pin.unless)
        flags = tuple(key for key in FLAGS if key in pin.when)
        filed = _Filed(conditions[1:], unless, flags, pin, self._set(pin.allowed))
        self._alone[pin.name] = self._of_pins([filed])
        if not conditions:
            self._by_flag.append(filed)
            return
        place, accepted = conditions[0]
        for one in accepted:
            self._by_word.setdefault(place, {}).setdefault(one, []).append(filed)

    def _pins(self, words: tuple[str, ...], context: Mapping[str, Any]) -> list[_Filed]:
        near = [one for place, by in self._by_word.items() for one in by.get(words[place], ())]
        near += self._by_flag
        return [one for one in near if one.meets(words, context)]

    def _of_pins(self, pins: list[_Filed]) -> Limits:
        may = self.standing
        for one in pins:
            may &= one.may
        first = next((one.pin for one in pins if one.pin.tier is not None), pins[0].pin)
        if first.tier is not None:
            return Limits(may, self._tiers.index(first.tier), first.name, True)
        if may & (may - 1) == 0:  # one tier is left to choose from, or three pins leave none
            return Limits(may, (may or pins[0].may).bit_length() - 1, first.name, True)
        return Limits(may, -1, first.name, True)

    def _set(self, names: tuple[str, ...] | list[str]) -> int:
        return sum(1 << self._tiers.index(name) for name in set(names))


def _places(words: Mapping[str, tuple[str, ...]]) -> tuple[tuple[int, frozenset[str]], ...]:
    return tuple((WORDS.index(key), frozenset(words[key])) for key in WORDS if key in words)


def nearest(tier: int, tiers: int) -> int:
    """Return the nearest of some tiers (not empty) that is no cheaper, else the dearest of them.

    The error should cost money, not quality.
    """
    dearer = tiers >> tier
    if dearer:
        return tier + (dearer & -dearer).bit_length() - 1
    return tiers.bit_length() - 1


def nearest_below(tier: int, tiers: int) -> int:
    """Return the nearest of some tiers (not empty) that is no dearer, else the cheapest of them."""
    cheaper = tiers & ((2 << tier) - 1)
    return cheaper.bit_length() - 1 if cheaper else (tiers & -tiers).bit_length() - 1


def word(value: Any) -> str:
    """Return a text as it is, and "" for anything else, without touching it."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    return str.__str__(value) if issubclass(kind, str) else ""


def flag(value: Any) -> bool:
    """Say whether a flag is true, or is there and cannot be read."""
    if value is None:
        return False
    if issubclass(type(value), _PLAIN):
        try:
            return bool(value != 0 and value == value)  # a NaN is unknown
        except Exception:  # a number of somebody's own making
            return True
    return True
