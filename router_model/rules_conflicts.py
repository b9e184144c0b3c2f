"""Rules that contradict each other: errors that name both, so that no order decides in silence.

Where one rule is the plain exception to another (a pin to a tier that is reserved for some steps),
the precedence in `tierwise.serve.rules` decides, and there is no conflict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from tierwise.data.errors import BadInput
from tierwise.router_model.rules import WORDS, Known, Pin, Rules


def check_conflicts(rules: Rules, known: Known, place: str) -> None:
    """Refuse rules of which two cannot both hold.

    Parameters
    ----------
    rules : Rules
        Each of them sound by itself.
    known : Known
    place : str
        Where they stand, for the error.

    Raises
    ------
    BadInput
        For the first two.
    """
    for found in (_between_pins, _with_vendors, _with_fixed_roles, _with_failover):
        for one, other, why in found(rules, known):
            raise BadInput(
                f"{place}: {one} contradicts {other}: {why}",
                "rules that can all hold",
                "take one of them back, or keep it from such steps (a pin by `unless`)",
            )


def warnings(rules: Rules, known: Known) -> tuple[str, ...]:
    """Return what can be honored and is likely not meant, a line each."""
    found = []
    for workload, limit in rules.latency_s.items():
        open_tiers = [one for one in known.tiers if one.vendor not in rules.forbidden_vendors]
        if all(one.latency_s is not None and one.latency_s > limit for one in open_tiers):
            found.append(
                f"latency_s: no tier is known to take {limit:g} s or less, so that {workload} "
                "steps may find none allowed"
            )
    for pin in rules.pins:
        strange = [task for task in pin.when.get("task_type", ()) if task not in known.task_types]
        if strange and known.task_types:
            found.append(f"pin {pin.name!r}: the policy has never seen task_type {strange[0]!r}")
    return tuple(found)


Conflict = tuple[str, str, str]


def _between_pins(rules: Rules, known: Known) -> Iterator[Conflict]:
    for one, other in combinations(rules.pins, 2):
        if one.name == other.name:
            yield f"pin {one.name!r}", "another of this name", "a decision could not say which"
        if not _may_meet(one, other):
            continue
        both = [tier for tier in one.allowed if tier in other.allowed]
        tiers = {pin.tier for pin in (one, other) if pin.tier is not None}
        names = f"pin {one.name!r}", f"pin {other.name!r}"
        if not both:
            yield *names, "a step can meet both, and no tier is allowed by both"
        if len(tiers) > 1:
            yield *names, f"a step can meet both, and they name {' and '.join(sorted(tiers))}"
        if not tiers <= set(both):
            yield *names, f"a step can meet both, and only one of them allows {tiers.pop()}"


def _may_meet(one: Pin, other: Pin) -> bool:
    """Say whether a step can meet the conditions of both; flags can always be true together."""
    for key in WORDS:
        named = [set(pin.when[key]) for pin in (one, other) if key in pin.when]
        words = set.intersection(*named) if named else None
        if words is not None and not words.difference(
            one.unless.get(key, ()), other.unless.get(key, ())
        ):
            return False
    return True


def _with_vendors(rules: Rules, known: Known) -> Iterator[Conflict]:
    forbidden = known.tiers_of(rules.forbidden_vendors)
    if len(forbidden) == len(known.tiers):
        yield "forbidden_vendors", "the tier catalogue", "no tier is left"
    elif rules.frontier_only_for and {*known.tier_names} - {*forbidden} == {known.frontier}:
        yield "forbidden_vendors", "frontier_only_for", "no tier is left for the other steps"
    named: list[tuple[str, Sequence[str]]] = [
        *((f"pin {pin.name!r}", pin.allowed) for pin in rules.pins),
        *((f"fixed_roles.{role}", (tier,)) for role, tier in rules.fixed_roles.items()),
    ]
    if rules.budgets:
        named.append(("budgets.role_table", (rules.budgets.base, *rules.budgets.base_of.values())))
    for one, tiers in named:
        for tier in tiers:
            if tier in forbidden:
                vendor = next(t.vendor for t in known.tiers if t.name == tier)
                yield one, "forbidden_vendors", f"tier {tier} is of vendor {vendor}"


def _with_fixed_roles(rules: Rules, known: Known) -> Iterator[Conflict]:
    settled = {role: f"fixed_roles.{role}" for role in rules.fixed_roles}
    for pin in rules.pins:
        for role in pin.when.get("role", ()):
            if role in rules.fixed_roles:
                yield f"fixed_roles.{role}", f"pin {pin.name!r}", "both settle this role's tier"
            if len(pin.when) == 1 and pin.tier is not None and not pin.unless:
                settled[role] = f"pin {pin.name!r}"
    for role, other in settled.items():
        if role in rules.floors:
            yield f"floors.{role}", other, "the tier is settled, so that no floor is looked at"
        if rules.explore and rules.explore.by_role.get(role):
            yield f"explore.by_role.{role}", other, "the tier is settled and never drawn"
    for role, tier in rules.fixed_roles.items():
        if rules.frontier_only_for and tier == known.frontier:
            why = f"{tier} is for some steps only (a pin would be the exception)"
            yield f"fixed_roles.{role}", "frontier_only_for", why


def _with_failover(rules: Rules, known: Known) -> Iterator[Conflict]:
    for vendor, others in rules.failover.items():
        if vendor in others:
            yield f"failover.{vendor}", "itself", "a vendor cannot stand in for itself"
        for one in (vendor, *others):
            if one in rules.forbidden_vendors:
                yield f"failover.{vendor}", "forbidden_vendors", f"{one} never serves"
