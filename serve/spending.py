"""What may cost more than the policy alone: a tenant's dearer choices, and exploration."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tierwise.router_model.layout import block
from tierwise.router_model.manifest import Manifest
from tierwise.router_model.rules import Budgets, Rules
from tierwise.serve.budget import Allowance, BudgetStore, TokenBuckets
from tierwise.serve.choose import Choice
from tierwise.serve.explore import Draw, Explorer
from tierwise.serve.rules import nearest_below

DRAWN_FROM = ("floor", "not_certified", "fixed_role")
"""Reasons of the graph after which a tier may be drawn; a limit of any kind gives another one."""


class Spending:
    """Budgets and exploration of a router.

    Parameters
    ----------
    manifest : Manifest
    rules : Rules
    explorer : Explorer, optional
        In place of the one that the rules ask for.
    store : BudgetStore, optional
        In place of buckets of this process.
    rng : numpy.random.Generator, optional
        Where chance comes from; the system's where left out.
    fault : callable
        Told `budget` or `explore` where one of them fails; the step is then served as if the
        budget were empty, or nothing drawn.
    """

    def __init__(
        self,
        manifest: Manifest,
        rules: Rules,
        explorer: Explorer | None,
        store: BudgetStore | None,
        rng: np.random.Generator | None,
        fault: Callable[[str], None],
    ) -> None:
        self._names = manifest.tier_names
        self._costs = block("cost_usd", len(self._names))
        self._usual = tuple(tier.mean_cost_usd for tier in manifest.tiers)
        self._fault = fault
        self.budgets, self._explore = rules.budgets, rules.explore
        self._own_store, self._own_explorer = store is None, explorer is None
        self.store = store
        if rules.budgets is not None:
            base = {role: self._names.index(t) for role, t in rules.budgets.base_of.items()}
            self._base, self._base_of = self._names.index(rules.budgets.base), base
            self.store = _buckets(rules.budgets) if store is None else store
        self.explorer, self._unlimited = explorer, False
        if explorer is None and rules.explore is not None:
            limit = rules.explore.usd_per_day
            self._unlimited = limit is None
            self.explorer = Explorer(
                rules.explore.rate,
                rules.explore.by_role,
                math.inf if limit is None else limit,
                rng=rng or np.random.default_rng(),
            )

    @property
    def active(self) -> bool:
        """Whether there is a budget or exploration at all."""
        return self.budgets is not None or self.explorer is not None

    def inherit(self, old: Spending) -> None:
        """Go on with the buckets and the explorer of another one where the rules are the same."""
        if self._own_store and old._own_store and self.budgets == old.budgets:
            self.store = old.store
        if self._own_explorer and old._own_explorer and self._explore == old._explore:
            self.explorer = old.explorer

    def has_budget(self, tenant: str) -> bool:
        """Say whether what this tenant spends is limited."""
        return self.budgets is not None and (
            self.budgets.default is not None or tenant in self.budgets.tenants
        )

    def budget(
        self, choice: Choice, numbers: Sequence[float], usable: int, role: str, tenant: str
    ) -> None:
        """Charge what a choice costs over the role table's tier; without means, serve that one.

        Nothing happens to a tenant without a budget.

        Parameters
        ----------
        choice : Choice
            Of the model; changed where the budget is empty.
        numbers : sequence of float
            The graph's output.
        usable : int
            Set of tiers that may serve. Where the role table's is not one, the nearest cheaper
            one stands for it.
        role, tenant : str
            "" is unknown.
        """
        if not self.has_budget(tenant):
            return
        base = nearest_below(self._base_of.get(role, self._base), usable)
        if choice.tier == base:
            return
        extra = self._cost(choice.tier, numbers) - self._cost(base, numbers)
        if extra <= 0 or self._take(tenant, extra):
            return
        named = self.budgets is not None and tenant in self.budgets.tenants
        choice.tier, choice.reason = base, "budget"
        choice.rule = f"budgets.{tenant}" if named else "budgets.default"

    def draw(
        self, choice: Choice, numbers: Sequence[float], usable: int, role: str, tenant: str
    ) -> None:
        """Let chance decide now and then; `choice` says of every tier how likely it was.

        Where a tenant's budget is limited no tier dearer than the choice is drawn: to ask the
        budget after the draw would make the propensities untrue.
        """
        if self.explorer is None or choice.reason not in DRAWN_FROM:
            return
        cost = self._cost(choice.tier, numbers)
        extra = [self._cost(tier, numbers) - cost for tier in range(len(self._names))]
        may = [bool(usable >> tier & 1) for tier in range(len(self._names))]
        if self.has_budget(tenant):
            may = [one and added <= 0 for one, added in zip(may, extra, strict=True)]
            may[choice.tier] = True
        elif self._unlimited:  # nothing is there that an unknown cost could exceed
            extra = [0.0 if math.isnan(added) else added for added in extra]
        try:
            drawn: Draw = self.explorer.draw(choice.tier, may, extra, role or None)
        except Exception:  # whatever it is, the step must go on
            self._fault("explore")
            return
        choice.propensities = drawn.propensities
        if drawn.explored:
            choice.tier, choice.reason = drawn.tier, "explored"
            choice.rule, choice.explored = "explore", True

    def charge(self, tenant: str, usd: float) -> None:
        """Charge a tenant for what a retry has cost."""
        if self.store is not None and self.has_budget(tenant):
            try:
                self.store.charge(tenant or None, usd)
            except Exception:  # a store of somebody's own making
                self._fault("budget")

    def _take(self, tenant: str, usd: float) -> bool:
        try:
            return self.store is not None and self.store.take(tenant or None, usd)
        except Exception:  # a store of somebody's own making
            self._fault("budget")
            return False

    def _cost(self, tier: int, numbers: Sequence[float]) -> float:
        """Return a tier's expected cost, USD; the catalogue's mean where the graph knows none."""
        said = numbers[self._costs.start + tier]
        usual = self._usual[tier]
        return said if said == said else math.nan if usual is None else usual


def _buckets(budgets: Budgets) -> TokenBuckets:
    common = budgets.default
    return TokenBuckets(
        common.usd if common else 0.0,
        common.usd_per_day if common else 0.0,
        {name: Allowance(one.usd, one.usd_per_day) for name, one in budgets.tenants.items()},
    )
