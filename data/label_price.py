"""What a call costs: as expected, and at the dearest it can become."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.label_steps import Survey
from tierwise.data.prices import fill_costs
from tierwise.data.schema import empty_columns
from tierwise.data.tiers import Catalogue, Tier

BYTES_A_TOKEN = 4.0
"""English prose in common tokenizers; only used where the log does not count tokens."""
TOKENS_AROUND = 64
"""What chat templates add to a prompt, at most, for a message or two."""
UNKNOWN_ANSWER = 256.0
"""Output tokens of an answer where the log counts none at all."""
VERDICT_TOKENS = 8.0
"""Expected output tokens of a judge, which answers one number."""
VERDICT_MOST = 256
"""The judge's max_tokens."""

_PROBE = 1000  # tokens


@dataclass(frozen=True)
class Arm:
    """One tier as it is called.

    Attributes
    ----------
    name : str
        Of the tier.
    model : str
        What an endpoint calls it; "" where only a pattern is known.
    effort : str or None
        Reasoning effort.
    price_in, price_cached, price_out : float
        USD a million tokens.
    per_call : float
        USD a call, of a tier paid by the hour.
    """

    name: str
    model: str
    effort: str | None
    price_in: float
    price_cached: float
    price_out: float
    per_call: float = 0.0

    def cost(self, tokens_in: float, tokens_out: float, cached: float = 0.0) -> float:
        """Return the cost of a call in USD; `tokens_in` includes the cached ones."""
        fresh = (tokens_in - cached) * self.price_in + cached * self.price_cached
        return (fresh + tokens_out * self.price_out) / 1e6 + self.per_call

    def at_most(self, prompt_bytes: int, max_tokens: int) -> float:
        """Return a bound of the cost in USD: a token is a byte of the prompt at least."""
        dear = max(self.price_in, self.price_cached)
        tokens = prompt_bytes + TOKENS_AROUND
        return (tokens * dear + max_tokens * self.price_out) / 1e6 + self.per_call

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        return asdict(self)


def arms(found: Survey) -> tuple[Arm, ...]:
    """Say for each tier how it is called and what it costs.

    Prices are the catalogue's, else public list prices. The model is the first exact name in the
    catalogue, else the one the log shows most often for the tier.

    Parameters
    ----------
    found : Survey
        Its catalogue and answers.

    Returns
    -------
    tuple of Arm, one for each tier of the catalogue in its order
        Prices are NaN where nobody knows them.
    """
    inferred = found.catalogue.order == "inferred"
    made = []
    for rank, tier in enumerate(found.catalogue.tiers):
        logged = found.answers[found.answers["tier"] == rank]
        effort = tier.effort
        if effort is None and inferred:  # there the effort is part of what makes a tier one
            effort = _commonest(logged["effort"])
        made.append(_arm(tier, _commonest(logged["model"]), effort))
    return tuple(made)


def expected_tokens(
    found: Survey, steps: pd.DataFrame, max_tokens: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimate the tokens of each step on each tier.

    Parameters
    ----------
    found : Survey
        Where output tokens were counted.
    steps : DataFrame, (n_steps, ...)
        text_bytes and input_tokens (NaN unknown) of each step.
    max_tokens : int
        No answer is longer.

    Returns
    -------
    asked : ndarray of float64, shape (n_steps,)
        Input tokens: as counted, else the text's bytes by `BYTES_A_TOKEN`.
    answered : ndarray of float64, shape (n_tiers,)
        Mean output tokens of the tier's logged answers; else of all; else `UNKNOWN_ANSWER`.
    """
    by_length = steps["text_bytes"].to_numpy(np.float64) / BYTES_A_TOKEN + TOKENS_AROUND
    counted = steps["input_tokens"].to_numpy(np.float64)
    asked = np.where(np.isnan(counted), by_length, counted)
    means = found.answers.groupby("tier")["output_tokens"].mean()
    overall = found.answers["output_tokens"].mean()
    usual = UNKNOWN_ANSWER if np.isnan(overall) else float(overall)
    answered = means.reindex(range(len(found.catalogue.tiers))).fillna(usual).to_numpy(np.float64)
    return asked, np.minimum(answered, max_tokens)


def refuse_unpriced(wanted: list[Arm]) -> None:
    """Refuse tiers without a price: a budget means nothing for them.

    Raises
    ------
    BadInput
        Naming them.
    """
    open_ones = [arm.name for arm in wanted if np.isnan(arm.price_in + arm.price_out)]
    if open_ones:
        raise BadInput(
            f"no price of the tiers {', '.join(open_ones)}",
            "price_in and price_out (USD a million tokens), or cost_per_hour and capacity",
            "write them into a catalogue and give --catalogue tiers.yaml",
        )


def _commonest(cells: pd.Series) -> str | None:
    counts = cells.value_counts()
    return None if counts.empty else str(min(counts.index[counts == counts.max()]))


def _arm(tier: Tier, logged: str | None, effort: str | None) -> Arm:
    exact = next((name for name in tier.models if not set(name) & set("*?[")), None)
    model = exact or logged or ("" if tier.models else tier.name)
    if tier.step_cost is not None:
        return Arm(tier.name, model, effort, 0.0, 0.0, 0.0, tier.step_cost)
    fresh, cached, out = _token_prices(tier, model or tier.models[0].rstrip("*"))
    return Arm(tier.name, model, effort, fresh, cached, out)


def _token_prices(tier: Tier, model: str) -> tuple[float, float, float]:
    """Ask `prices.fill_costs` for three calls: all fresh, all cached, all output."""
    frame = empty_columns(3)
    frame["model"] = model
    frame["tier"] = tier.name
    frame["input_tokens"] = pd.array([_PROBE, _PROBE, 0], dtype="Int64")
    frame["cached_tokens"] = pd.array([0, _PROBE, 0], dtype="Int64")
    frame["output_tokens"] = pd.array([0, 0, _PROBE], dtype="Int64")
    try:
        cost = fill_costs(frame, np.zeros(3, np.int64), Catalogue((tier,)))
    except BadInput:  # nobody knows this model's price; it only matters if the tier is wanted
        return np.nan, np.nan, np.nan
    fresh, cached, out = (cost * (1e6 / _PROBE)).round(9).tolist()
    return fresh, cached, out
