"""The parameters of the simulated fleet: its size, its feedback and what makes a step hard."""

from __future__ import annotations

from dataclasses import dataclass

from tierwise.data.errors import BadInput


@dataclass(frozen=True)
class FleetParams:
    """Section `fleet` of params.yaml.

    Attributes
    ----------
    seed : int
        Of every draw: the same seed gives the same bytes.
    traces, steps_min, steps_max : int
        Size of the data set.
    tiers : int
        2 to 16.
    feedback : str
        "full": every tier answers every step. "logged": one tier does, with its propensity.
    exploration : float
        Share of logged steps whose tier is drawn uniformly, 0..1.
    role_share, text_share, trace_share, noise_share : float
        Shares of the difficulty's variance; a part with share 0 has no effect.
    spread : float
        Standard deviation of the difficulty in logits where the shares add up to 1.
    quirks : float
        Scale of what single tiers are unusually good or bad at; 0 makes every tier better than all
        cheaper ones at everything.
    nulls : float
        Scale of the rates at which columns are unknown; 1 as in `fleet_columns.NULL_RATES`.
    """

    seed: int = 0
    traces: int = 3000
    steps_min: int = 3
    steps_max: int = 5
    tiers: int = 4
    feedback: str = "full"
    exploration: float = 0.2
    role_share: float = 0.30
    text_share: float = 0.48
    trace_share: float = 0.12
    noise_share: float = 0.10
    spread: float = 4.5
    quirks: float = 1.0
    nulls: float = 1.0

    def __post_init__(self) -> None:
        checks = {
            "tiers": (2 <= self.tiers <= 16, "2 to 16"),
            "traces": (self.traces >= 1, "1 or more"),
            "steps_min": (1 <= self.steps_min <= self.steps_max, "1 to steps_max"),
            "feedback": (self.feedback in ("full", "logged"), "full or logged"),
            "exploration": (0 <= self.exploration <= 1, "0 to 1"),
            "nulls": (0 <= self.nulls <= 2, "0 to 2"),
        }
        for name in ("role_share", "text_share", "trace_share", "noise_share", "spread", "quirks"):
            checks[name] = (getattr(self, name) >= 0, "0 or more")
        for name, (fine, expected) in checks.items():
            if not fine:
                found = f"fleet.{name} = {getattr(self, name)!r}"
                raise BadInput(found, expected, "mend the fleet section of the parameters")
