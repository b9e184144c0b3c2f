"""The tier of each row: the catalogue's where there is one, else what the rows say."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.tiers import Catalogue, Tier, infer_catalogue

MAX_TIERS = 256
"""More values than this in the column tier are no tiers but a wrongly mapped column."""

_SHOWN = 60
_MODELS_KEPT = 16


class Matcher:
    """Gives rows their tier, and remembers what has been asked before."""

    def __init__(self, catalogue: Catalogue | None) -> None:
        self.catalogue = catalogue
        self._codes: dict[tuple[Any, ...], int] = {}
        self._names: list[str] = list(catalogue.names) if catalogue else []
        self._models: dict[str, set[str]] = {}

    def codes(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        """Give each row's tier code, shape (n_rows,); -1 where the catalogue has no such tier."""
        keys = frame[["tier", "model", "effort"]].astype("object")
        keys = keys.where(keys.notna(), None)
        codes = [self._code(*key) for key in keys.itertuples(index=False, name=None)]
        return np.array(codes, dtype=np.int64)

    def faults(self, frame: pd.DataFrame, codes: NDArray[np.int64]) -> list[str | None]:
        """Say for each row why its tier is refused, shape (n_rows,); None where it is not."""
        return [
            None if code >= 0 else f"tier {str(tier)[:_SHOWN]!r} is not in the catalogue"
            for tier, code in zip(frame["tier"], codes, strict=True)
        ]

    def name(self, table: pd.DataFrame, rows: NDArray[np.int64], codes: NDArray[np.int64]) -> None:
        """Write the tiers' names into the given rows of a table; what stood there is the model."""
        place = table.index[rows]
        table.loc[place, "model"] = table.loc[place, "model"].fillna(table.loc[place, "tier"])
        names = np.array([*self._names, ""], dtype=object)[codes]
        table.loc[place, "tier"] = names
        drawn = table.loc[place, "propensities"]
        if self.catalogue is not None and drawn.notna().any():
            table.loc[place, "propensities"] = drawn.map(self._renamed, na_action="ignore")

    def tiers(self) -> list[Tier]:
        """Give the tiers met so far, without costs, by code."""
        if self.catalogue is not None:
            return list(self.catalogue.tiers)
        return [
            Tier(name, models=tuple(sorted(self._models[name])[:_MODELS_KEPT]))
            for name in self._names
        ]

    def _renamed(self, text: str) -> str:
        """Give the probabilities of models to their tiers; an unknown name is left as it is."""
        shares: dict[str, float] = {}
        for name, share in json.loads(text).items():
            code = self._code(name, None, None)
            called = self._names[code] if code >= 0 else name
            shares[called] = shares.get(called, 0.0) + share
        return json.dumps(shares, ensure_ascii=False, sort_keys=True)

    def _code(self, tier: str, model: str | None, effort: str | None) -> int:
        key = (tier, model, effort)
        if key not in self._codes:
            self._codes[key] = self._find(tier, model, effort)
        return self._codes[key]

    def _find(self, tier: str, model: str | None, effort: str | None) -> int:
        if self.catalogue is not None:
            found = self.catalogue.match(tier, model, effort)
            return -1 if found is None else found
        # a tier is a model at an effort: where the tier's name is the model's, the effort tells
        name = f"{tier}:{effort}" if effort and tier == model else tier
        if name not in self._models:
            if len(self._names) == MAX_TIERS:
                raise BadInput(
                    f"more than {MAX_TIERS} different tiers, {tier[:_SHOWN]!r} the last",
                    "a tier or a model in the column tier",
                    "map another column: --map tier=<its column>",
                )
            self._names.append(name)
            self._models[name] = set()
        self._models[name].add(model or tier)
        return self._names.index(name)


def ranked(tiers: list[Tier], rows: pd.DataFrame, inferred: bool) -> Catalogue:
    """Write the mean costs beside the tiers, and order them where no catalogue does.

    Parameters
    ----------
    tiers : list of Tier
        By code.
    rows : DataFrame
        `ledger.Ledger.table` with `tier` as codes. Only first attempts count: later ones are the
        hard steps.
    inferred : bool
        No catalogue was given.
    """
    first = rows[rows["first"]]
    cost = first.groupby("tier")["cost"].mean().to_dict()
    latency = first.groupby("tier")["latency"].mean().to_dict()
    measured = [
        _with(tier, _known(cost.get(code)), _known(latency.get(code)))
        for code, tier in enumerate(tiers)
    ]
    return infer_catalogue(measured) if inferred else Catalogue(tuple(measured))


def _known(mean: float | None) -> float | None:
    return None if mean is None or np.isnan(mean) else float(mean)


def _with(tier: Tier, cost: float | None, latency: float | None) -> Tier:
    typical = latency if tier.latency_s is None else tier.latency_s
    return Tier(**{**vars(tier), "mean_cost_usd": cost, "latency_s": typical})
