"""What a step cost where the log does not say: tokens times the price of the tier or its model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.tiers import Catalogue

_MILLION = 1e6
_UNDATED = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""Prices change: a row without a time is priced as of this moment, so that runs can be repeated."""


def fill_costs(
    frame: pd.DataFrame, tier_index: NDArray[np.int64], catalogue: Catalogue | None
) -> NDArray[np.float64]:
    """Compute the costs that are missing.

    Input tokens include the cached ones; cached tokens of unknown number are priced as fresh.

    Parameters
    ----------
    frame : DataFrame
        Rows of the trace table.
    tier_index : ndarray of int64, shape (n_rows,)
        Each row's tier in the catalogue; ignored without one.
    catalogue : Catalogue or None
        Prices that go before the public list prices.

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        Cost in USD; NaN where neither a cost nor both token counts are known.

    Raises
    ------
    BadInput
        Where tokens are known but nobody knows the model's price.
    """
    cost = frame["cost_usd"].to_numpy(dtype=np.float64).copy()
    if catalogue is not None:
        cost = np.where(np.isnan(cost), _from_catalogue(frame, tier_index, catalogue), cost)
    counted = frame["input_tokens"].notna() & frame["output_tokens"].notna()
    open_rows = np.flatnonzero(np.isnan(cost) & counted.to_numpy())
    if len(open_rows):
        cost[open_rows] = _from_list_prices(frame.iloc[open_rows])
    return cost


def _from_catalogue(
    frame: pd.DataFrame, tier_index: NDArray[np.int64], catalogue: Catalogue
) -> NDArray[np.float64]:
    def prices(values: Sequence[float | None]) -> NDArray[np.float64]:
        return np.array([np.nan if v is None else v for v in values])[tier_index]

    tiers = catalogue.tiers
    fresh, sent = prices([t.price_in for t in tiers]), prices([t.price_out for t in tiers])
    cached = prices([t.price_in if t.price_cached is None else t.price_cached for t in tiers])
    n_in = _numbers(frame["input_tokens"])
    n_cached = np.nan_to_num(_numbers(frame["cached_tokens"]))
    by_token = (n_in - n_cached) * fresh + n_cached * cached
    by_token = (by_token + _numbers(frame["output_tokens"]) * sent) / _MILLION
    by_step = prices([t.step_cost for t in tiers])
    return np.where(np.isnan(by_step), by_token, by_step)


def _numbers(cells: pd.Series) -> NDArray[np.float64]:
    return cells.to_numpy(dtype=np.float64, na_value=np.nan)


def _from_list_prices(frame: pd.DataFrame) -> NDArray[np.float64]:
    models = frame["model"].fillna(frame["tier"])
    days = frame["ts"].dt.floor("h")
    cached = frame["cached_tokens"].fillna(0)
    cost = [
        _list_price(
            str(model), int(n_in), int(n_cached), int(n_out),
            _UNDATED if pd.isna(day) else day.to_pydatetime(),
        )
        for model, n_in, n_cached, n_out, day in zip(
            models, frame["input_tokens"], cached, frame["output_tokens"], days, strict=True
        )
    ]  # fmt: skip
    unknown = sorted({str(m) for m, c in zip(models, cost, strict=True) if c is None})
    if unknown:
        raise BadInput(
            f"no cost_usd and no price for {', '.join(map(repr, unknown[:5]))}",
            "a cost in the table, a price in the catalogue or a publicly priced model",
            "give a catalogue (tiers.yaml) with its price_in and price_out, USD per million tokens",
        )
    return np.array(cost, dtype=np.float64)


@lru_cache(maxsize=65_536)
def _list_price(model: str, n_in: int, n_cached: int, n_out: int, moment: datetime) -> float | None:
    """USD by the list prices that genai-prices ships with (it makes no request); None = unknown."""
    from genai_prices import Usage, calc_price  # two seconds to import, seldom needed

    usage = Usage(input_tokens=n_in, cache_read_tokens=n_cached, output_tokens=n_out)
    for name in dict.fromkeys((model, model.rsplit("/", 1)[-1])):  # "openai/gpt-4o" too
        try:
            price = calc_price(usage, model_ref=name, genai_request_timestamp=moment)
        except LookupError:
            continue
        return float(price.total_price)
    return None
