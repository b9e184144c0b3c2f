"""The tiers of the simulated fleet: generic models in a ladder, some also at a high effort."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Anchors of the ladder at its positions 0 (small), 0.5 (mid) and 1 (frontier); between them values
# are interpolated, prices and latencies on a log scale.
POSITIONS = (0.0, 0.5, 1.0)
PRICE_IN = (0.2, 0.7, 10.0)  # USD a million tokens
PRICE_OUT = (1.0, 3.5, 50.0)
CACHED_PRICE = 0.1  # of the input price
FIRST_TOKEN_S = (0.03, 0.4, 2.0)
TOKEN_S = (0.0002, 0.004, 0.02)  # seconds an output token
ABILITY = (1.2, 3.2, 6.0)  # logits
EFFORT_ABILITY = 1.0  # logits that a high effort adds
EFFORT_TOKENS = 4.0  # reasoning tokens for one token of the answer
EFFORT_EVERY = 4  # one tier in four is a high effort of the model below it


@dataclass(frozen=True)
class Tier:
    """One arm: a model at one reasoning effort, with its price.

    Attributes
    ----------
    name, effort, vendor : str
        `effort` is "default" or "high".
    models : tuple of str
        Generic names; none of them exists.
    position : float
        Place of the model on the ladder, 0 small to 1 frontier.
    ability : float
        Logits.
    price_in, price_cached, price_out : float
        USD a million tokens.
    first_token_s, token_s : float
        Seconds before the first token and for each output token, in the median.
    reasoning : float
        Mean reasoning tokens for one token of the answer; 0 without effort.
    """

    name: str
    models: tuple[str, ...]
    effort: str
    position: float
    ability: float
    price_in: float
    price_cached: float
    price_out: float
    first_token_s: float
    token_s: float
    reasoning: float
    vendor: str


def make_ladder(n_tiers: int) -> tuple[Tier, ...]:
    """Return `n_tiers` tiers in order of mean cost: small, mid, mid at high effort, frontier, ...

    Parameters
    ----------
    n_tiers : int
        2 to 16. Every fourth tier is the high effort of a model between small and frontier.
    """
    n_efforts = n_tiers // EFFORT_EVERY
    n_models = n_tiers - n_efforts
    tiers = [_model(place, n_models) for place in range(n_models)]
    inner = np.linspace(1, n_models - 2, n_efforts).round().astype(int)
    tiers += [_with_effort(tiers[place]) for place in inner.tolist()]
    return tuple(sorted(tiers, key=_mean_cost))


def _model(place: int, n_models: int) -> Tier:
    position = place / (n_models - 1)
    between = n_models - 2
    inner = "mid" if between == 1 else f"mid-{place}"
    name = "small" if place == 0 else "frontier" if place == n_models - 1 else inner
    price_in = _log_between(position, PRICE_IN)
    return Tier(
        name=name,
        models=(f"{name}-model",),
        effort="default",
        position=position,
        ability=float(np.interp(position, POSITIONS, ABILITY)),
        price_in=round(price_in, 4),
        price_cached=round(CACHED_PRICE * price_in, 5),
        price_out=round(_log_between(position, PRICE_OUT), 4),
        first_token_s=_log_between(position, FIRST_TOKEN_S),
        token_s=_log_between(position, TOKEN_S),
        reasoning=0.0,
        vendor=f"vendor-{'ab'[place % 2]}",
    )


def _with_effort(tier: Tier) -> Tier:
    changed = {
        "name": f"{tier.name}-high",
        "effort": "high",
        "ability": tier.ability + EFFORT_ABILITY,
        "reasoning": EFFORT_TOKENS,
    }
    return Tier(**{**tier.__dict__, **changed})


def _log_between(position: float, anchors: tuple[float, ...]) -> float:
    return float(np.exp(np.interp(position, POSITIONS, np.log(anchors))))


def _mean_cost(tier: Tier) -> float:
    """Return the cost of the mean step: 1,350 fresh tokens, 918 cached, 225 of an answer."""
    return (
        1350 * tier.price_in + 918 * tier.price_cached + 225 * (1 + tier.reasoning) * tier.price_out
    )
