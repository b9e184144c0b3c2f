"""plan.json: ids, tiers, prices and probabilities of a labeling, and no text of any step."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tierwise.data.errors import BadInput
from tierwise.data.files import read_json, write_json
from tierwise.data.label_price import Arm

_VERSION = 1


@dataclass(frozen=True)
class Stratum:
    """Traces whose rarest role is `role` ("" unknown): how many, how many drawn, how likely."""

    role: str
    traces: int
    drawn: int
    probability: float


@dataclass(frozen=True)
class PlannedStep:
    """A step, the tiers to replay it on and the tiers whose logged answer is to be judged."""

    step_id: str
    role: str
    replay: tuple[str, ...]
    judge: tuple[str, ...]


@dataclass(frozen=True)
class PlannedTrace:
    """A drawn trace and the probability with which it was drawn, in (0, 1]."""

    trace_id: str
    probability: float
    steps: tuple[PlannedStep, ...]


@dataclass(frozen=True)
class Plan:
    """What is to be asked.

    Attributes
    ----------
    seed : int
        Of the draw; it also chooses the answers that are judged twice.
    budget_usd, price_usd : float
        The limit, and what the calls are expected to cost.
    max_tokens : int
        Longest answer.
    judge : str
        The tier that judges; "" for no judge.
    tiers : tuple of str
        All tiers of the log's catalogue.
    arms : tuple of Arm
        The tiers that are called.
    strata : tuple of Stratum
        How the traces were drawn.
    traces : tuple of PlannedTrace
        In random order.
    """

    seed: int
    budget_usd: float
    price_usd: float
    max_tokens: int
    judge: str
    tiers: tuple[str, ...]
    arms: tuple[Arm, ...]
    strata: tuple[Stratum, ...]
    traces: tuple[PlannedTrace, ...]

    def arm(self, name: str) -> Arm:
        """Return a tier that is called."""
        return next(arm for arm in self.arms if arm.name == name)

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        return {"version": _VERSION, **asdict(self)}

    @property
    def digest(self) -> str:
        """SHA-256 of the content: two plans of one digest ask the same."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()


def write_plan(path: Path, plan: Plan) -> None:
    """Write plan.json, whole or not at all; equal plans give equal bytes."""
    write_json(path, plan.as_dict())


def read_plan(path: Path) -> Plan:
    """Read plan.json.

    Raises
    ------
    BadInput
        Where it is missing or is none.
    """
    content = read_json(path)
    version = content.get("version") if isinstance(content, dict) else None
    if version != _VERSION:
        raise BadInput(
            f"{path} has the version {version!r}",
            f"a plan of version {_VERSION}",
            "make it with tierwise label plan",
        )
    try:
        plan = _plan(content)
        called = {arm.name for arm in plan.arms}
        named = {name for trace in plan.traces for step in trace.steps for name in step.replay}
        if not (named | ({plan.judge} - {""})) <= called:
            raise ValueError("a tier without its arm")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(
            f"{path} is no plan ({type(error).__name__}: {error})",
            "what tierwise label plan wrote",
            "make it again",
        ) from None
    return plan


def _plan(content: dict[str, Any]) -> Plan:
    return Plan(
        seed=int(content["seed"]),
        budget_usd=float(content["budget_usd"]),
        price_usd=float(content["price_usd"]),
        max_tokens=int(content["max_tokens"]),
        judge=str(content["judge"]),
        tiers=tuple(content["tiers"]),
        arms=tuple(Arm(**arm) for arm in content["arms"]),
        strata=tuple(Stratum(**stratum) for stratum in content["strata"]),
        traces=tuple(
            PlannedTrace(
                str(trace["trace_id"]),
                float(trace["probability"]),
                tuple(_step(step) for step in trace["steps"]),
            )
            for trace in content["traces"]
        ),
    )


def _step(step: dict[str, Any]) -> PlannedStep:
    return PlannedStep(
        str(step["step_id"]), str(step["role"]), tuple(step["replay"]), tuple(step["judge"])
    )
