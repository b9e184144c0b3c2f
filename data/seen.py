"""Which keys have been seen: 8 bytes a key find the duplicates of a table of any size."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]


def hashes(*columns: pd.Series) -> Hashes:
    """Hash rows to 64 bits, the same on every machine.

    Parameters
    ----------
    *columns : Series of str or uint64, each of shape (n_rows,)
        The parts of the key, none of them null.

    Returns
    -------
    ndarray of uint64, shape (n_rows,)
        In n rows some two different keys share a hash with a probability below n**2 / 2**65:
        one in 30,000 for ten million rows.
    """
    mixed = np.full(len(columns[0]), 0x9E3779B97F4A7C15, dtype=np.uint64)
    for column in columns:
        cells = column.to_numpy()
        part = pd.util.hash_array(cells, categorize=False)
        mixed = _mix(mixed ^ part)
    return mixed


def _mix(value: Hashes) -> Hashes:
    """Mix by the finalizer of splitmix64 (Steele et al. 2014): every bit depends on all."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


class Seen:
    """A growing set of hashes, kept as a few sorted arrays of doubling size."""

    def __init__(self) -> None:
        self._runs: list[Hashes] = []

    def add(self, keys: Hashes) -> NDArray[np.bool_]:
        """Add keys; tell which were there before, or stand earlier in `keys`, shape (n_keys,)."""
        known = pd.Series(keys).duplicated().to_numpy()
        for run in self._runs:
            place = np.minimum(np.searchsorted(run, keys), len(run) - 1)
            known = known | (run[place] == keys)
        self._push(np.sort(keys[~known]))
        return known

    def _push(self, run: Hashes) -> None:
        if not len(run):
            return
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]))
        self._runs.append(run)
