"""JSON or YAML -> checked rules: what cannot be honored is refused, with the nearest known name."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from tierwise.data.errors import BadInput
from tierwise.router_model.manifest import BundleError, Manifest
from tierwise.router_model.rules import (
    FLAGS,
    VERSION,
    WORDS,
    WORKLOADS,
    Allowance,
    Budgets,
    Explore,
    Known,
    Pin,
    Rules,
)
from tierwise.router_model.rules_conflicts import check_conflicts

MAX_PINS = 500
T = TypeVar("T")
_KEYS = (
    *("version", "pins", "forbidden_vendors", "floors", "latency_s", "failover", "budgets"),
    *("frontier_only_for", "fixed_roles", "explore", "new_roles"),
)
_PIN = ("name", "tier", "allowed", "why", "unless", *WORDS, *FLAGS)


def manifest_rules(manifest: Manifest) -> Rules:
    """Return the rules of a manifest; none where it has none.

    Raises
    ------
    BundleError
        Where they are not such as `read_rules` accepts.
    """
    if not manifest.rules:
        return Rules()
    try:
        if len(manifest.rules) > 1:
            raise BadInput(f"{len(manifest.rules)} values in rules", "one object", "")
        return read_rules(manifest.rules[0], Known.of(manifest), "rules")
    except BadInput as error:
        found, expected = f"manifest.json: {error.found}"[:300], error.expected
    except (TypeError, ValueError, AttributeError) as error:  # tiers of strange forms, for example
        found, expected = f"manifest.json: rules of the wrong form ({error})"[:300], "the schema"
    raise BundleError(found, expected, "apply the rules again")


def read_rules(content: Any, known: Known, place: str) -> Rules:
    """Check what a person or a manifest says.

    Parameters
    ----------
    content : JSON value
        An object with the keys of `Rules.to_json`, all of them optional.
    known : Known
        What it may name.
    place : str
        Where it stands, for errors.

    Raises
    ------
    BadInput
        For a wrong form, an unknown name, or two rules that contradict each other.
    """
    given = _object(content, _KEYS, place)
    if given.get("version", VERSION) != VERSION or isinstance(given.get("version"), bool):
        raise BadInput(f"version {given['version']!r} in {place}", f"{VERSION}", "mend it")
    new_roles = _words(given.get("new_roles"), f"new_roles in {place}")
    names = _Names(known, new_roles, place)
    pins = _list(given.get("pins"), f"pins in {place}")
    if len(pins) > MAX_PINS:  # each is compared with each
        found, todo = f"{len(pins)} pins in {place}", "let one pin hold for several words"
        raise BadInput(found, f"at most {MAX_PINS}", todo)
    budgets, explore = given.get("budgets"), given.get("explore")
    rules = Rules(
        pins=tuple(
            _pin(one, names, f"pin {number} in {place}") for number, one in enumerate(pins, start=1)
        ),
        forbidden_vendors=names.vendors(given.get("forbidden_vendors"), "forbidden_vendors"),
        floors=names.by_role(given.get("floors"), "floors", _share),
        latency_s={
            names.one(workload, WORKLOADS, f"a workload of latency_s in {place}"): _amount(
                limit, f"latency_s in {place}"
            )
            for workload, limit in _mapping(given.get("latency_s"), f"latency_s in {place}").items()
        },
        failover={
            names.vendor(vendor, f"failover in {place}"): names.vendors(
                others, f"failover of {vendor}"
            )
            for vendor, others in _mapping(given.get("failover"), f"failover in {place}").items()
        },
        budgets=_budgets(budgets, names) if budgets else None,
        frontier_only_for=tuple(
            names.one(flag, FLAGS, f"frontier_only_for in {place}")
            for flag in _words(given.get("frontier_only_for"), f"frontier_only_for in {place}")
        ),
        fixed_roles=names.by_role(given.get("fixed_roles"), "fixed_roles", names.tier),
        explore=_explore(explore, names) if explore else None,
        new_roles=new_roles,
    )
    check_conflicts(rules, known, place)
    return rules


class _Names:
    """Looks names up; an unknown one is an error that says which is nearest."""

    def __init__(self, known: Known, new_roles: tuple[str, ...], place: str) -> None:
        self.known, self.place = known, place
        self.roles = (*known.roles, *new_roles)

    def one(self, name: Any, names: Sequence[str], what: str, also: str = "") -> str:
        if name in names:
            return str(name)
        near = difflib.get_close_matches(str(name), names, 1, 0) or ["nothing"]
        raise BadInput(
            f"{name!r}"[:99] + f" as {what}",
            f"one of {', '.join(names)}"[:200],
            f"did you mean {near[0]}?{also}",
        )

    def tier(self, name: Any, what: str) -> str:
        return self.one(name, self.known.tier_names, what)

    def vendor(self, name: Any, what: str) -> str:
        return self.one(name, self.known.vendors, what)

    def vendors(self, value: Any, what: str) -> tuple[str, ...]:
        what = f"{what} in {self.place}"
        return tuple(self.vendor(name, what) for name in _words(value, what))

    def role(self, name: Any, what: str) -> str:
        if not self.known.roles and isinstance(name, str):
            return name
        return self.one(name, self.roles, what, " A role still to come goes to new_roles.")

    def by_role(self, value: Any, what: str, read: Callable[[Any, str], T]) -> dict[str, T]:
        """Read a mapping from roles to something."""
        return {
            self.role(role, f"a role of {what} in {self.place}"): read(
                one, f"{what} of {role} in {self.place}"
            )
            for role, one in _mapping(value, f"{what} in {self.place}").items()
        }


def _pin(value: Any, names: _Names, place: str) -> Pin:
    given = _object(value, _PIN, place)
    when = _conditions(given, names, place)
    where = f"unless of {place}"
    unless = _conditions(_object(given.get("unless"), WORDS, where), names, where)
    for key in FLAGS:
        if given.get(key) is not None:
            if given[key] is not True:
                raise BadInput(f"{key}: {given[key]!r} in {place}", "true", "leave it out")
            when[key] = ("true",)
    if not when:
        raise BadInput(
            f"{place} without a condition", f"one of {', '.join((*WORDS, *FLAGS))}", "add one"
        )
    tier = given.get("tier")
    allowed = _words(given.get("allowed"), f"allowed of {place}")
    if tier is None and not allowed:
        raise BadInput(f"{place} without tiers", "a tier, or a list of allowed ones", "add them")
    if tier is not None and allowed and tier not in allowed:
        raise BadInput(
            f"{place}: tier {tier!r} is not in its allowed ones", "one of them", "add it"
        )
    allowed = tuple(names.tier(name, place) for name in allowed or (tier,))
    said = (key if key in FLAGS else f"{key} {'/'.join(when[key])}" for key in when)
    return Pin(
        name=_text(given.get("name", ", ".join(said)), f"name of {place}"),
        when=when,
        tier=names.tier(tier, place) if tier is not None else None,
        allowed=allowed,
        why=_text(given.get("why", ""), f"why of {place}"),
        unless=unless,
    )


def _conditions(given: Mapping[str, Any], names: _Names, place: str) -> dict[str, tuple[str, ...]]:
    """Read the words that a step's role, tenant, ... are to be one of."""
    found = {
        key: _words(given[key], f"{key} of {place}", at_least=1)
        for key in WORDS
        if given.get(key) is not None
    }
    for role in found.get("role", ()):
        names.role(role, f"role of {place}")
    return found


def _budgets(value: Any, names: _Names) -> Budgets:
    place = f"budgets in {names.place}"
    given = _object(value, ("tenants", "default", "role_table"), place)
    tenants = _mapping(given.get("tenants"), f"tenants of {place}")
    default = given.get("default")
    if not tenants and default is None:
        raise BadInput(f"{place} of nobody", "tenants, or a default", "add one or leave it out")
    table = given.get("role_table") or names.known.role_table
    if not table:
        raise BadInput(
            f"{place} and a policy without a role table",
            "a role table to count from, as role_table: {default: mid, roles: {planner: frontier}}",
            "add role_table to budgets",
        )
    where = f"role_table of {place}"
    table = _object(table, ("default", "roles"), where)
    roles = _mapping(table.get("roles"), where)
    return Budgets(
        tenants={name: _allowance(one, f"{name} of {place}") for name, one in tenants.items()},
        default=None if default is None else _allowance(default, f"default of {place}"),
        base=names.tier(table.get("default"), where),
        base_of={
            names.role(role, f"a role of {where}"): names.tier(tier, where)
            for role, tier in roles.items()
        },
    )


def _allowance(value: Any, place: str) -> Allowance:
    given = _object(value, ("usd", "usd_per_day"), place)
    return Allowance(
        _amount(given.get("usd"), f"usd of {place}"),
        _amount(given.get("usd_per_day"), f"usd_per_day of {place}"),
    )


def _explore(value: Any, names: _Names) -> Explore:
    place = f"explore in {names.place}"
    given = _object(value, ("rate", "by_role", "usd_per_day"), place)
    limit = given.get("usd_per_day")
    return Explore(
        _share(given.get("rate", 0.0), f"rate of {place}"),
        names.by_role(given.get("by_role"), "by_role of explore", _share),
        None if limit is None else _amount(limit, f"usd_per_day of {place}"),
    )


def _object(value: Any, keys: Sequence[str], place: str) -> dict[str, Any]:
    given = _mapping(value, place)
    for key in given:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, 1, 0)
            raise BadInput(
                f"unknown key {key!r} in {place}"[:200],
                f"one of {', '.join(keys)}",
                f"did you mean {near[0]}?",
            )
    return given


def _mapping(value: Any, place: str) -> dict[str, Any]:
    value = {} if value is None else value
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise BadInput(f"{value!r}"[:99] + f" as {place}", "names and values", "quote each name")
    return dict(value)


def _list(value: Any, place: str) -> Sequence[Any]:
    value = [] if value is None else value
    if not isinstance(value, list | tuple):
        raise BadInput(f"{value!r}"[:99] + f" as {place}", "a list", "mend it")
    return value


def _words(value: Any, place: str, at_least: int = 0) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else _list(value, place)
    if len(words) < at_least or not all(isinstance(word, str) and word for word in words):
        raise BadInput(
            f"{value!r}"[:99] + f" as {place}", "a word or a list of words", "quote each"
        )
    return tuple(dict.fromkeys(words))


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or "\n" in value.strip():
        raise BadInput(f"{value!r}"[:99] + f" as {place}", "a line of text", "put it in quotes")
    return value.strip()


def _share(value: Any, place: str) -> float:
    number = _amount(value, place)
    if number > 1:
        raise BadInput(f"{value!r} as {place}", "0 to 1", "mend it")
    return number


def _amount(value: Any, place: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf:
        raise BadInput(f"{value!r}"[:99] + f" as {place}", "a number of 0 or more", "mend it")
    return float(value)
