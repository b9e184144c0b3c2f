"""Running a policy graph: onnxruntime and numpy, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike, NDArray

from tierwise.router_model.layout import BLOCKS, HEAD, OOD, block, width

Floats = NDArray[np.float32]
_DECISION = ["decision"]
_IDS = ["ids"]
_INPUTS = {"text": "tensor(uint8)", "context": "tensor(float)"}
_EMBEDDED = {"embedding": "tensor(float)", "context": "tensor(float)"}
_OPTIONAL = ("allowed", "floor", "max_latency_s")
_ERRORS_ONLY = 3


class Estimates(NamedTuple):
    """What the graph expects of every tier, each of shape (n_steps, n_tiers), and of every step.

    Quality is 0..1; cost and total cost (with escalation) are USD; latency is seconds. NaN where
    unknown. `ood` is the out-of-distribution score, 0..1, shape (n_steps,).
    """

    quality: Floats
    cost: Floats
    total_cost: Floats
    latency: Floats
    ood: Floats


def estimates_of(decisions: Floats) -> Estimates:
    """Read blocks and score of decisions of shape (n_steps, 8 + 4 n_tiers)."""
    n_tiers = (decisions.shape[1] - HEAD) // len(BLOCKS)
    quality, cost, total, latency = (decisions[:, block(name, n_tiers)] for name in BLOCKS)
    return Estimates(quality, cost, total, latency, decisions[:, OOD])


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """Open a graph from its bytes, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # An arena would keep what the longest text once needed. Memory patterns stay on: they save
    # a tenth of the time and keep about 3 KB for every length of text, at most 4,098 of them.
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class TextEncoder(Protocol):
    """What turns a text into the embedding that some policies look at instead."""

    @property
    def n_dimensions(self) -> int:
        """Length of an embedding."""

    def ids(self, text: bytes) -> NDArray[np.int64]:
        """Return the token ids of a text, shape (n_ids,)."""

    def embed(self, text: bytes) -> Floats:
        """Return the embedding of a text, shape (1, n_dimensions)."""


class PolicyGraph:
    """A policy graph, opened from bytes, on one thread.

    Parameters
    ----------
    model : bytes
        A serialized model; check it first with `protobuf.check_graph`.
    encoder : TextEncoder, optional
        Embeds texts for a graph that takes `embedding` in place of `text`.

    Raises
    ------
    ValueError
        Where its inputs or outputs are not a policy's. onnxruntime raises its own errors for
        bytes that it cannot open.

    Attributes
    ----------
    n_tiers, n_context : int
        Sizes of its outputs and of its context.
    """

    def __init__(self, model: bytes, encoder: TextEncoder | None = None) -> None:
        session = open_session(model)
        inputs = {one.name: one for one in session.get_inputs()}
        wanted = _INPUTS if encoder is None else _EMBEDDED
        if {name: one.type for name, one in inputs.items()} != wanted:
            raise ValueError(f"inputs {sorted(inputs)}, expected {wanted}")
        if encoder and _columns(inputs["embedding"].shape) != encoder.n_dimensions:
            raise ValueError(f"an embedding of {encoder.n_dimensions} numbers, {inputs}")
        optional = {one.name: one for one in session.get_overridable_initializers()}
        outputs = {one.name: one for one in session.get_outputs()}
        said = {"decision", "ids"} if encoder is None else {"decision"}
        if set(outputs) != said or not set(_OPTIONAL) <= set(optional):
            raise ValueError(f"outputs {sorted(outputs)}, optional inputs {sorted(optional)}")
        self.n_context = _columns(inputs["context"].shape)
        self.n_tiers = _columns(optional["allowed"].shape)
        if _columns(outputs["decision"].shape) != width(self.n_tiers):
            raise ValueError(f"a decision of shape {outputs['decision'].shape}")
        self._run = session.run
        self._encoder = encoder

    def decide(
        self,
        text: bytes,
        context: Floats,
        allowed: ArrayLike | None = None,
        floor: float | None = None,
        max_latency_s: float | None = None,
    ) -> Floats:
        """Decide one step.

        Parameters
        ----------
        text : bytes
            UTF-8, already capped.
        context : ndarray of shape (1, n_context)
            float32; NaN = unknown.
        allowed : array of shape (n_tiers,), optional
            1 = may be served.
        floor : float, optional
            NaN or None = the certified floor of the step's role.
        max_latency_s : float, optional
            Seconds.

        Returns
        -------
        ndarray of shape (8 + 4 n_tiers,)
            As `layout` says.
        """
        feed: dict[str, NDArray[np.generic]] = {"context": context}
        if self._encoder is None:
            feed["text"] = np.frombuffer(text, np.uint8)
        else:
            feed["embedding"] = self._encoder.embed(text)
        if allowed is not None:
            feed["allowed"] = np.asarray(allowed, np.float32).reshape(1, -1)
        if floor is not None:
            feed["floor"] = np.array([floor], np.float32)
        if max_latency_s is not None:
            feed["max_latency_s"] = np.array([max_latency_s], np.float32)
        decision: Floats = self._run(_DECISION, feed)[0][0]
        return decision

    def ids(self, text: bytes) -> NDArray[np.int64]:
        """Return the token ids of a text, shape (n_ids,): the graph's own, or the encoder's."""
        if self._encoder is not None:
            return self._encoder.ids(text)
        unknown = np.full((1, self.n_context), np.nan, np.float32)
        feed = {"text": np.frombuffer(text, np.uint8), "context": unknown}
        ids: NDArray[np.int64] = self._run(_IDS, feed)[0]
        return ids

    def decisions(self, texts: Iterable[bytes], contexts: Floats) -> Floats:
        """Decide many steps, one after another, shape (n_steps, 8 + 4 n_tiers).

        Parameters
        ----------
        texts : iterable of n_steps bytes
        contexts : ndarray of shape (n_steps, n_context)
        """
        contexts = np.ascontiguousarray(contexts, np.float32)
        rows = [self.decide(text, contexts[i : i + 1]) for i, text in enumerate(texts)]
        if len(rows) != len(contexts):
            raise ValueError(f"{len(rows)} texts, {len(contexts)} contexts")
        return np.stack(rows) if rows else np.zeros((0, width(self.n_tiers)), np.float32)

    def estimates(self, texts: Iterable[bytes], contexts: Floats) -> Estimates:
        """Return what the graph expects of every tier for many steps; see `decisions`."""
        return estimates_of(self.decisions(texts, contexts))


def _columns(shape: Sequence[object]) -> int:
    if len(shape) != 2 or not isinstance(shape[1], int):
        raise ValueError(f"a tensor of shape {list(shape)}, expected [1, a number]")
    return shape[1]
