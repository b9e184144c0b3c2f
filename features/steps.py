"""The step table: one row a step, one column a tier, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.files import replacing

Feedback = Literal["full", "logged", "mixed", "none"]
LEARN, CERTIFY, TEST = 0, 1, 2

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class StepTable:
    """Steps with what may be looked at before the call and what came of it.

    Attributes
    ----------
    tiers : tuple of str
        The K tiers, cheap to dear.
    step, unit : ndarray of str, shape (n_steps,)
        Key of the step; unit of splitting, never cut.
    part : ndarray of int8, shape (n_steps,)
        LEARN, CERTIFY or TEST.
    text : tuple of bytes
        UTF-8, already capped.
    text_bytes : ndarray of int64, shape (n_steps,)
        Length before the cap.
    context : ndarray of float32, shape (n_steps, n_columns)
        As the graph takes it; NaN is unknown.
    quality, cost, latency, valid : ndarray of float64, shape (n_steps, n_tiers)
        Outcomes of first attempts: 0..1, USD, seconds, 0 or 1; NaN is unknown.
    served : ndarray of int64, shape (n_steps,)
        The tier of the first attempt where one tier was served, -1 for full feedback.
    propensity : ndarray of float64, shape (n_steps,)
        Probability with which `served` was chosen; NaN is unknown.
    propensities : ndarray of float64, shape (n_steps, n_tiers)
        The logging policy's probability of every tier; NaN is unknown. Where only the served
        tier's is logged, only that one is known.
    ladder_cost : ndarray of float64, shape (n_steps,)
        USD of all attempts of a step that was served; NaN is unknown.
    feedback : {"full", "logged", "mixed", "none"}
        What the logs hold.
    """

    tiers: tuple[str, ...]
    step: NDArray[Any]
    unit: NDArray[Any]
    part: NDArray[np.int8]
    text: tuple[bytes, ...]
    text_bytes: NDArray[np.int64]
    context: NDArray[np.float32]
    quality: FloatArray
    cost: FloatArray
    latency: FloatArray
    valid: FloatArray
    served: NDArray[np.int64]
    propensity: FloatArray
    propensities: FloatArray
    ladder_cost: FloatArray
    feedback: Feedback

    def __len__(self) -> int:
        return len(self.step)

    @property
    def called(self) -> NDArray[np.bool_]:
        """Where anything is known of a tier's call, shape (n_steps, n_tiers)."""
        outcomes = (self.quality, self.cost, self.latency, self.valid)
        return np.asarray((~np.isnan(np.stack(outcomes))).any(axis=0), np.bool_)

    def rows(self, index: NDArray[Any]) -> StepTable:
        """Return the steps at `index` (positions or a mask), in that order."""
        index = np.flatnonzero(index) if index.dtype == bool else np.asarray(index)
        arrays = {name: getattr(self, name)[index] for name in _ARRAYS}
        text = tuple(self.text[i] for i in index)
        return StepTable(tiers=self.tiers, text=text, feedback=self.feedback, **arrays)

    def of_part(self, part: int) -> StepTable:
        """Return the steps of one part."""
        return self.rows(self.part == part)


_ARRAYS = (
    "step", "unit", "part", "text_bytes", "context", "quality", "cost", "latency", "valid",
    "served", "propensity", "propensities", "ladder_cost",
)  # fmt: skip


def save_steps(path: Path, table: StepTable) -> None:
    """Write a step table as one .npz file without pickled objects, whole or not at all."""
    arrays = {name: getattr(table, name) for name in _ARRAYS}
    lengths = np.array([len(text) for text in table.text], np.int64)
    with replacing(path) as part, part.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            text=np.frombuffer(b"".join(table.text), np.uint8),
            text_end=np.cumsum(lengths),
            tiers=np.array(table.tiers),
            feedback=np.array(table.feedback),
            **arrays,
        )


def load_steps(path: Path) -> StepTable:
    """Read what `save_steps` wrote.

    Raises
    ------
    BadInput
        Where the file is missing or damaged.
    """
    try:
        with path.open("rb") as archive, np.load(archive, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _ARRAYS}
            blob, ends = file["text"].tobytes(), file["text_end"].tolist()
            tiers, feedback = tuple(file["tiers"].tolist()), file["feedback"].item()
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, BadZipFile) as error:
        raise BadInput(
            f"cannot read {path} ({type(error).__name__})", "a step table", "run features again"
        ) from None
    starts = [0, *ends][: len(ends)]
    text = tuple(blob[a:b] for a, b in zip(starts, ends, strict=True))
    return StepTable(tiers=tiers, text=text, feedback=feedback, **arrays)
