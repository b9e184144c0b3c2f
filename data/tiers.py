"""The tier catalogue: what each tier is called, which models belong to it and what it costs.

Standard library only, since gateways read the catalogue too; YAML is imported where it is read.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tierwise.data.errors import BadInput

PROCUREMENTS = ("api", "self_hosted")
_NUMBERS = (
    "price_in",
    "price_cached",
    "price_out",
    "latency_s",
    "cost_per_hour",
    "capacity",
    "prior_steps",
)
_WORDS = ("effort", "vendor", "like")
_FORM = "a tier like {name: small, models: [gpt-4o-mini*], price_in: 0.15, price_out: 0.6}"


@dataclass(frozen=True)
class Tier:
    """One arm: a model, or several that serve alike, at one reasoning effort.

    Attributes
    ----------
    name : str
        What the tier is called everywhere.
    models : tuple of str
        Model names or globs (`gpt-4o-mini*`) whose rows belong to the tier.
    effort : str or None
        Reasoning effort; None takes rows of any effort.
    price_in, price_cached, price_out : float or None
        USD per million input, cached input and output tokens; None = unknown.
    latency_s : float or None
        Typical seconds a call.
    procurement : str
        `api` or `self_hosted`.
    cost_per_hour, capacity : float or None
        Of a self-hosted tier: USD an hour, and steps an hour that this pays for.
    vendor : str or None
        Who runs it.
    mean_cost_usd : float or None
        Mean known cost of a first attempt in the trace table; None = unknown.
    like : str or None
        The tier that a new one is taken for until it is known itself.
    prior_steps : float or None
        Steps of its own that this likeness is worth.
    """

    name: str
    models: tuple[str, ...] = ()
    effort: str | None = None
    price_in: float | None = None
    price_cached: float | None = None
    price_out: float | None = None
    latency_s: float | None = None
    procurement: str = "api"
    cost_per_hour: float | None = None
    capacity: float | None = None
    vendor: str | None = None
    mean_cost_usd: float | None = None
    like: str | None = None
    prior_steps: float | None = None

    @property
    def step_cost(self) -> float | None:
        """USD a step of a self-hosted tier; None for a tier paid by token."""
        if self.cost_per_hour is None or self.capacity is None:
            return None
        return self.cost_per_hour / self.capacity


@dataclass(frozen=True)
class Catalogue:
    """Tiers from cheap to dear; `order` says who decided that: `catalogue` or `inferred`."""

    tiers: tuple[Tier, ...]
    order: str = "catalogue"

    @property
    def names(self) -> tuple[str, ...]:
        """Tier names in order."""
        return tuple(tier.name for tier in self.tiers)

    def match(self, tier: str, model: str | None = None, effort: str | None = None) -> int | None:
        """Find the tier of a row.

        A tier's name wins, then a model's exact name, then a glob; among equals a tier that names
        the row's effort goes before one that takes any, then the catalogue's order decides.

        Returns
        -------
        int or None
            Index into `tiers`; None where the catalogue has no such tier.
        """
        if tier in self.names:
            return self.names.index(tier)
        called = [name for name in (tier, model) if name]
        ranks = [
            (0 if any(name in one.models for name in called) else 1, one.effort is None, index)
            for index, one in enumerate(self.tiers)
            if one.effort in (None, effort) and _covers(one.models, called)
        ]
        return min(ranks)[2] if ranks else None

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON form that tiers.json holds."""
        return {"tiers": [dataclasses.asdict(tier) for tier in self.tiers], "order": self.order}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Catalogue:
        """Read the JSON form back."""
        tiers = [Tier(**{**tier, "models": tuple(tier["models"])}) for tier in value["tiers"]]
        return cls(tuple(tiers), str(value["order"]))


def read_catalogue(path: Path) -> Catalogue:
    """Read and check a catalogue that a person wrote.

    Parameters
    ----------
    path : Path
        YAML: a list of tiers under `tiers`, from cheap to dear.

    Raises
    ------
    BadInput
        For a missing file, no YAML, an unknown key, a wrong value, or two tiers of one name.
    """
    import yaml  # not at the top: gateways import this file and have no PyYAML

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"no file {path}", "a tier catalogue in YAML", "mend the path") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(f"{path} is not YAML ({error})", "a list of tiers", "mend it") from None
    listed = content.get("tiers") if isinstance(content, dict) else content
    if not isinstance(listed, list) or not listed:
        raise BadInput(f"no list of tiers in {path}", "`tiers:` and a list", f"write {_FORM}")
    tiers = tuple(_tier(entry, f"{path}, tier {i}") for i, entry in enumerate(listed, start=1))
    names = [tier.name for tier in tiers]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"two tiers called {twice!r} in {path}", "one name a tier", "rename one")
    _check_likeness(tiers, path)
    if len(tiers) < 2:
        raise BadInput(f"one tier in {path}", "two or more", "add the tiers to choose from")
    return Catalogue(tiers)


def _check_likeness(tiers: tuple[Tier, ...], path: Path) -> None:
    known = [tier.name for tier in tiers if tier.like is None]
    for tier in tiers:
        if tier.like is not None and tier.like not in known:
            raise BadInput(
                f"like = {tier.like!r} of tier {tier.name!r} in {path}",
                f"a tier that is like no other: {', '.join(known)}",
                "name one of these",
            )


def infer_catalogue(tiers: Sequence[Tier]) -> Catalogue:
    """Order tiers cheap to dear by mean known cost, then name; unknown cost counts as dearest."""

    def rank(tier: Tier) -> tuple[float, str]:
        return (math.inf if tier.mean_cost_usd is None else tier.mean_cost_usd, tier.name)

    return Catalogue(tuple(sorted(tiers, key=rank)), "inferred")


def _covers(models: tuple[str, ...], called: list[str]) -> bool:
    return any(name == model or fnmatchcase(name, model) for name in called for model in models)


def _tier(entry: Any, place: str) -> Tier:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"]:
        raise BadInput(f"{place} has no name", _FORM, "give each tier a name, quoted if a number")
    place = f"{place} ({entry['name']})"
    known = [field.name for field in dataclasses.fields(Tier) if field.name != "mean_cost_usd"]
    for key in entry:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1) or known[:1]
            raise BadInput(
                f"unknown key {key} in {place}", f"one of {', '.join(known)}",
                f"did you mean {near[0]}?",
            )  # fmt: skip
    values = {key: value for key, value in entry.items() if value is not None}
    for key in set(values) & set(_NUMBERS):
        values[key] = _amount(values[key], key, place)
    for key in set(values) & set(_WORDS):
        if not isinstance(values[key], str):
            raise BadInput(f"{key} = {values[key]!r} in {place}", "a word", "put it in quotes")
    values["models"] = _models(values.get("models", []), place)
    if values.get("procurement", "api") not in PROCUREMENTS:
        found = f"procurement = {values['procurement']!r} in {place}"
        raise BadInput(found, f"one of {', '.join(PROCUREMENTS)}", "mend the catalogue")
    tier = Tier(**values)
    hosted = tier.cost_per_hour is not None and tier.capacity
    if tier.procurement == "self_hosted" and not hosted:
        raise BadInput(
            f"{place} is self_hosted without a price",
            "cost_per_hour (USD) and capacity (steps an hour, above 0)",
            "add both to the tier",
        )
    return tier


def _amount(value: Any, key: str, place: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf:
        raise BadInput(f"{key} = {value!r} in {place}", "a number of 0 or more", "mend the tier")
    return float(value)


def _models(value: Any, place: str) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(one, str) and one for one in listed):
        raise BadInput(f"models = {value!r} in {place}", "names or globs", "quote each of them")
    return tuple(listed)
