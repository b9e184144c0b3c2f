"""The rules people set, compiled: what no score can break. Plain data, standard library only.

They are one JSON object in the manifest's `rules`. `rules_read` makes them of JSON or YAML and
checks them, `rules_conflicts` finds those that contradict each other, `tierwise.serve.rules`
applies them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tierwise.data.tiers import Tier
    from tierwise.router_model.manifest import Manifest

VERSION = 1
WORDS = ("role", "tenant", "data_class", "task_type")
"""Keys of a pin whose values are words, matched as they are written."""
FLAGS = ("irreversible", "user_visible")
"""Keys of a pin that are true or not; what says the step may use the frontier tier."""
WORKLOADS = ("interactive", "batch")
FRONTIER = "frontier"


@dataclass(frozen=True)
class Known:
    """What rules may name.

    Attributes
    ----------
    tiers : tuple of Tier
        Cheap to dear.
    roles, task_types : tuple of str
        What the policy was learned on; empty where it knows none.
    role_table : mapping
        The manifest's: `default` and `roles`, or empty.
    """

    tiers: tuple[Tier, ...]
    roles: tuple[str, ...] = ()
    task_types: tuple[str, ...] = ()
    role_table: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Manifest) -> Known:
        """Return what the rules of this manifest may name."""
        roles, task_types = (column.vocabulary for column in manifest.context[:2])
        return cls(manifest.tiers, roles, task_types, manifest.role_table)

    @property
    def tier_names(self) -> tuple[str, ...]:
        """Tier names, cheap to dear."""
        return tuple(tier.name for tier in self.tiers)

    @property
    def vendors(self) -> tuple[str, ...]:
        """Vendors of the tiers, each once."""
        return tuple(dict.fromkeys(tier.vendor for tier in self.tiers if tier.vendor is not None))

    @property
    def frontier(self) -> str:
        """The tier called frontier, else the dearest."""
        return FRONTIER if FRONTIER in self.tier_names else self.tiers[-1].name

    def tiers_of(self, vendors: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the tiers that these vendors run."""
        return tuple(tier.name for tier in self.tiers if tier.vendor in vendors)


@dataclass(frozen=True)
class Pin:
    """Tiers for the steps that meet every condition.

    Attributes
    ----------
    name : str
        As decisions and the audit list carry it.
    when : mapping of str to tuple of str
        Key of `WORDS` -> words of which the step has one; key of `FLAGS` -> ("true",).
    tier : str or None
        Serves, and the model is not asked; None where the model chooses among `allowed`.
    allowed : tuple of str
        No other tier ever serves. With a `tier`, the others stand in for it in an outage.
    why : str
        For whoever reads the audit list.
    unless : mapping of str to tuple of str
        Key of `WORDS` -> words; the pin leaves steps alone that have one of them.
    """

    name: str
    when: Mapping[str, tuple[str, ...]]
    tier: str | None
    allowed: tuple[str, ...]
    why: str = ""
    unless: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON value that `read_rules` reads back."""
        when = {key: list(words) for key, words in self.when.items() if key in WORDS}
        flags = {key: True for key in self.when if key in FLAGS}
        unless = {key: list(words) for key, words in self.unless.items()}
        said = {"name": self.name, "tier": self.tier, "allowed": list(self.allowed)}
        return {**said, "why": self.why, "unless": unless, **when, **flags}


@dataclass(frozen=True)
class Allowance:
    """What a tenant may cost beyond the role table: at most so much at once, so much a day."""

    usd: float
    usd_per_day: float


@dataclass(frozen=True)
class Budgets:
    """Spend budgets of tenants, in USD over the cost of the role table's tiers.

    Attributes
    ----------
    tenants : mapping of str to Allowance
    default : Allowance or None
        Of every other tenant, each its own; None is no budget for them.
    base : str
        The role table's tier of a role that `base_of` does not name.
    base_of : mapping of str to str
        Role -> the role table's tier.
    """

    tenants: Mapping[str, Allowance]
    default: Allowance | None
    base: str
    base_of: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON value that `read_rules` reads back."""
        found: dict[str, Any] = {
            "tenants": {name: vars(one) for name, one in self.tenants.items()},
            "role_table": {"default": self.base, "roles": dict(self.base_of)},
        }
        return found | ({"default": vars(self.default)} if self.default else {})


@dataclass(frozen=True)
class Explore:
    """How often another tier is drawn, by role, and what that may cost a day (None: no limit)."""

    rate: float = 0.0
    by_role: Mapping[str, float] = field(default_factory=dict)
    usd_per_day: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON value that `read_rules` reads back."""
        limit = {} if self.usd_per_day is None else {"usd_per_day": self.usd_per_day}
        return {"rate": self.rate, "by_role": dict(self.by_role), **limit}


@dataclass(frozen=True)
class Rules:
    """All rules of a policy.

    Attributes
    ----------
    pins : tuple of Pin
    forbidden_vendors : tuple of str
        Their tiers never serve.
    floors : mapping of str to float
        Role -> the least floor; a call may ask for a stricter one only.
    latency_s : mapping of str to float
        Workload -> seconds; tiers expected to take longer are left out.
    failover : mapping of str to tuple of str
        Vendor that is out -> vendors that take its steps, the first that can.
    budgets : Budgets or None
    frontier_only_for : tuple of str
        Flags of which a step needs one to be served by the frontier tier; empty is no such rule.
    fixed_roles : mapping of str to str
        Role -> the tier that serves it, and the model is not asked.
    explore : Explore or None
    new_roles : tuple of str
        Roles that rules may name though the policy has not seen them.
    """

    pins: tuple[Pin, ...] = ()
    forbidden_vendors: tuple[str, ...] = ()
    floors: Mapping[str, float] = field(default_factory=dict)
    latency_s: Mapping[str, float] = field(default_factory=dict)
    failover: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    budgets: Budgets | None = None
    frontier_only_for: tuple[str, ...] = ()
    fixed_roles: Mapping[str, str] = field(default_factory=dict)
    explore: Explore | None = None
    new_roles: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of the manifest; `read_rules` makes equal rules of it."""
        return {
            "version": VERSION,
            "pins": [pin.to_json() for pin in self.pins],
            "forbidden_vendors": list(self.forbidden_vendors),
            "floors": dict(self.floors),
            "latency_s": dict(self.latency_s),
            "failover": {vendor: list(others) for vendor, others in self.failover.items()},
            "budgets": self.budgets.to_json() if self.budgets else {},
            "frontier_only_for": list(self.frontier_only_for),
            "fixed_roles": dict(self.fixed_roles),
            "explore": self.explore.to_json() if self.explore else {},
            "new_roles": list(self.new_roles),
        }
