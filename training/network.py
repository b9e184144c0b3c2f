"""A small network of one hidden layer on what the tables leave: several draws of it, averaged.

It looks at the text's vector and at the context's numbers and flags, the latter as logarithms.
Hidden units are bounded (tanh), so that a text unlike all learned ones moves no estimate far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tierwise.router_model.estimate import log_context
from tierwise.router_model.model import Network

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Bools = NDArray[np.bool_]

BATCH = 128
PRESENTED = 40_000  # steps shown in all, so that few steps are not learned by heart
ROUNDS = (4, 20)  # at least and at most so many times each
STEP = 3e-3  # of AdamW (Loshchilov and Hutter 2019)
DECAY = 1e-2


@dataclass(frozen=True)
class NetworkFit:
    """A fitted network on raw inputs.

    Attributes
    ----------
    first : ndarray of shape (n_inputs, n_hidden)
    bias : ndarray of shape (n_hidden,)
    second : ndarray of shape (n_hidden, n_components)
    offset : ndarray of shape (n_components,)
    """

    first: Floats
    bias: Floats
    second: Floats
    offset: Floats

    def predict(self, inputs: Floats32) -> Floats:
        """Return what it says, shape (n_steps, n_components)."""
        out: Floats = np.tanh(inputs @ self.first + self.bias) @ self.second + self.offset
        return out


def network_inputs(inputs: Floats32, n_context: int) -> Floats32:
    """Return the trees' inputs as the network takes them: context as logarithms, then the vector.

    Parameters
    ----------
    inputs : ndarray of shape (n_steps, n_context + n_dims)
        Context, unknown ones filled, then the text's vector.
    n_context : int
    """
    logs = log_context(inputs[:, :n_context])
    return np.concatenate([logs, inputs[:, n_context:]], axis=1)


def fit_network(
    inputs: Floats32,
    target: Floats,
    used: Bools,
    n_hidden: int,
    n_draws: int,
    rng: np.random.Generator,
) -> NetworkFit:
    """Fit all draws side by side, on one thread and so deterministic.

    Parameters
    ----------
    inputs : ndarray of shape (n_steps, n_inputs)
        As from `network_inputs`.
    target : ndarray of shape (n_steps, n_components)
        What the tables leave; NaN is unknown.
    used : ndarray of bool, shape (n_inputs,)
        Inputs to look at; codes of categories have no order.
    n_hidden, n_draws : int
        Units of one draw; draws averaged.
    rng : Generator
        Draws starting weights and the order of steps.
    """
    # In float32 the rounding of a long sum would give a constant column a spread of its own.
    mean, spread = (f(inputs, axis=0, dtype=np.float64) for f in (np.mean, np.std))
    used = used & (spread > 1e-6)
    scale = np.where(used, 1 / np.where(used, spread, 1.0), 0.0)
    known = ~np.isnan(target)
    count = np.maximum(known.sum(axis=0), 1)
    middle = np.where(known, target, 0.0).sum(axis=0) / count
    unit = np.sqrt(np.where(known, (target - middle) ** 2, 0.0).sum(axis=0) / count)
    unit = np.where(unit > 1e-9, unit, 0.0)  # nothing to learn: starting weights say nothing
    centered = np.where(known, target - middle, 0.0) / np.where(unit > 0, unit, 1.0)
    with threadpool_limits(1):  # matrices are so small that threads wait for each other
        first, bias, second, offset = _descend(
            ((inputs - mean) * scale).astype(np.float32),
            centered.astype(np.float32), known, (n_draws, n_hidden), rng,
        )  # fmt: skip
    flat = np.concatenate(list(first), axis=1)  # draws side by side
    second = np.concatenate(list(second), axis=0) / n_draws * unit
    start = np.concatenate(list(bias)) - (mean * scale) @ flat
    return NetworkFit(flat * scale[:, None], start, second, offset.mean(axis=0) * unit + middle)


def _descend(
    inputs: Floats32,
    target: Floats32,
    known: Bools,
    shape: tuple[int, int],
    rng: np.random.Generator,
) -> list[Floats]:
    """Return weights of all draws: first layer, its bias, second layer, its bias."""
    (n_draws, n_hidden), n_inputs, n_outputs = shape, inputs.shape[1], target.shape[1]

    def start(*sizes: int, scale: float) -> torch.Tensor:
        drawn = rng.uniform(-scale, scale, sizes).astype(np.float32)
        return torch.from_numpy(drawn).requires_grad_()

    into, out = 1 / np.sqrt(n_inputs), 1 / np.sqrt(n_hidden)
    weights = [
        start(n_draws, n_inputs, n_hidden, scale=into),
        start(n_draws, n_hidden, scale=into),
        start(n_draws, n_hidden, n_outputs, scale=out),
        start(n_draws, n_outputs, scale=out),
    ]
    first, bias, second, offset = weights
    x, y, counted = (torch.from_numpy(a) for a in (inputs, target, known.astype(np.float32)))
    optimizer = torch.optim.AdamW(weights, lr=STEP, weight_decay=DECAY)
    for _ in range(int(np.clip(PRESENTED / max(len(inputs), 1), *ROUNDS))):
        order = rng.permutation(len(inputs))
        for start_at in range(0, len(order), BATCH):
            rows = torch.from_numpy(order[start_at : start_at + BATCH])
            hidden = torch.tanh(x[rows] @ first + bias[:, None])
            error = (hidden @ second + offset[:, None] - y[rows]) * counted[rows]
            loss = (error**2).sum() / max(float(counted[rows].sum()), 1.0)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return [weight.detach().numpy().astype(np.float64) for weight in weights]


def pack_network(fit: NetworkFit, n_context: int, mixing: Floats) -> tuple[Network, Floats]:
    """Return the network as constants of the graph, and what it adds whatever the step, (n_tiers,).

    Parameters
    ----------
    fit : NetworkFit
    n_context : int
    mixing : ndarray of shape (n_components, n_tiers)
        What one unit of a component adds to each tier's quality.
    """
    arrays = (fit.first[:n_context], fit.first[n_context:], fit.bias, fit.second @ mixing)
    return Network(*(np.asarray(a, np.float32) for a in arrays)), fit.offset @ mixing
