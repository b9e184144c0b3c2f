"""What was certified, and its promise in words."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tierwise.training.strata import REST

Kind = Literal["retain", "miss", "absolute"]
KINDS: tuple[Kind, ...] = ("retain", "miss", "absolute")


@dataclass(frozen=True)
class Floor:
    """A quality promise; a higher level is stricter in all three forms.

    Attributes
    ----------
    kind : {"retain", "miss", "absolute"}
        retain: mean quality of the policy >= level * the reference's. miss: mean of
        max(0, reference's quality - served quality) <= 1 - level; for quality 0 or 1 that is
        P(reference ok and served not ok). absolute: mean quality of the policy >= level.
    level : float
        In (0, 1].
    """

    kind: Kind
    level: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"floor kind {self.kind!r}, expected one of {', '.join(KINDS)}")
        if not 0 < self.level <= 1:
            raise ValueError(f"floor level {self.level}, expected above 0 and at most 1")


@dataclass(frozen=True)
class Stratum:
    """What was certified for some roles.

    Attributes
    ----------
    name : str
        A role, or "rest".
    roles : tuple of str
        The known roles in it.
    units, steps, largest_unit : int
        Certification units, their steps, and the steps of the largest.
    design_effect : float
        Variance of the reference's mean quality over that of as many independent steps.
    delta : float
        This stratum's share of the certificate's delta.
    points : tuple of int
        Certified point of the path for each level, -1 for none.
    """

    name: str
    roles: tuple[str, ...]
    units: int
    steps: int
    largest_unit: int
    design_effect: float
    delta: float
    points: tuple[int, ...]


@dataclass(frozen=True)
class Explored:
    """The explored steps that a certificate rests on, where no step has several tiers' quality.

    Attributes
    ----------
    steps : int
        Certification steps, thinned to a common rate.
    reference_quality : float or None
        Mean quality of the reference where it was drawn; None where it never was.
    needed : int
        Steps that would probably certify the floor; 0 where no number would.
    per_day : float or None
        Steps of the kind that the logs gain a day; None without times.
    """

    steps: int
    reference_quality: float | None
    needed: int
    per_day: float | None = None

    def words(self, level: float) -> str:
        """Say what is lacking."""
        if self.reference_quality is None:
            return f"None of {self.steps} explored steps drew the reference."
        seen = f"{self.steps} explored steps; the reference's mean quality there is"
        seen += f" {_number(round(self.reference_quality, 3))}"
        if not self.needed:
            return f"{seen}, below the floor {_number(level)}: no number of steps will show it."
        more = max(self.needed - self.steps, 1)
        days = ""
        if self.per_day:
            days = f", {math.ceil(more / self.per_day)} days at the present rate"
        return f"{seen}; about {more} more are needed{days}."


@dataclass(frozen=True)
class Certificate:
    """How far each level of a floor was certified, per stratum.

    Attributes
    ----------
    floor : Floor
        The default floor; its level is one of `levels`.
    delta : float
        Greatest probability that the promise does not hold.
    reference : str
        Name of the reference tier.
    levels : tuple of float
        In ascending strictness.
    strata : tuple of Stratum
        The pooled rest first.
    guarded : int
        Certification steps that the guard holds back: they are in no stratum.
    explored : Explored or None
        Where the promise rests on explored steps, and holds for steps that may be explored.
    note : str
        What else there is to say where nothing is certified.
    """

    floor: Floor
    delta: float
    reference: str
    levels: tuple[float, ...]
    strata: tuple[Stratum, ...]
    guarded: int = 0
    explored: Explored | None = None
    note: str = ""

    def chosen(self) -> dict[str, int]:
        """Return the certified point of each stratum at the default level, -1 for none."""
        at = self.levels.index(self.floor.level)
        return {stratum.name: stratum.points[at] for stratum in self.strata}

    def certified_nothing(self) -> bool:
        """Return whether no stratum may leave what holds without any test."""
        return not any(self._shown(point) for point in self.chosen().values())

    def _shown(self, point: int) -> bool:
        # That the reference is as good as itself needs no data; that it is good enough does.
        return point >= 0 if self.floor.kind == "absolute" else point > 0

    def promise(self) -> str:
        """Return the promise in words, and plainly where there is none."""
        chosen = self.chosen()
        shown = [s.name for s in self.strata if self._shown(chosen[s.name])]
        not_shown = [s.name for s in self.strata if not self._shown(chosen[s.name])]
        served = f"the reference tier {self.reference} is served"
        if not shown:
            most = max((s.units for s in self.strata), default=0)
            return (
                f"Nothing could be certified for the floor {self.floor.kind} "
                f"{_number(self.floor.level)} with probability {_percent(1 - self.delta)} "
                f"(at most {most} certification units a stratum): {served}."
                + (f" {self.explored.words(self.floor.level)}" if self.explored else "")
                + (f" {self.note}" if self.note else "")
            )
        largest = max(s.largest_unit for s in self.strata)
        units = f", in units of at most {largest} steps" if largest > 1 else ""
        steps = "steps that may be explored and are" if self.explored else "steps"
        words = (
            f"With probability at least {_percent(1 - self.delta)} over the draw of the "
            f"certification set, on traffic exchangeable with it{units}, {steps} served with "
            f"reason floor {self._kept()} ({self._named(shown)})."
        )
        if not_shown:
            words += f" Nothing could be certified for {self._named(not_shown)}: there {served}."
        return words

    def _named(self, names: list[str]) -> str:
        if len(self.strata) == 1:
            return "all roles together"
        return "; ".join("the rest together" if name == REST else f"role {name}" for name in names)

    def _kept(self) -> str:
        level = self.floor.level
        if self.floor.kind == "retain":
            return f"keep at least {_percent(level)} of tier {self.reference}'s mean quality"
        if self.floor.kind == "absolute":
            return f"have a mean quality of at least {_number(level)}"
        return (
            f"fall short of tier {self.reference}'s quality by at most {_number(1 - level)} on "
            f"average (for quality 0 or 1: on at most {_percent(1 - level)} of the steps is "
            f"{self.reference} ok and the served tier not)"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the content of certificate.json."""
        strata = [
            {**asdict(s), "roles": list(s.roles), "points": list(s.points)} for s in self.strata
        ]
        return {
            "floor": asdict(self.floor),
            "delta": self.delta,
            "reference": self.reference,
            "levels": list(self.levels),
            "strata": strata,
            "guarded": self.guarded,
            "explored": None if self.explored is None else asdict(self.explored),
            "note": self.note,
            "chosen": self.chosen(),
            "promise": self.promise(),
            "certified_nothing": self.certified_nothing(),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Certificate:
        """Read what `as_dict` wrote; what follows from the rest is derived again.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the content is not a certificate.
        """
        strata = tuple(
            Stratum(**{**s, "roles": tuple(s["roles"]), "points": tuple(s["points"])})
            for s in content["strata"]
        )
        return cls(
            floor=Floor(**content["floor"]),
            delta=float(content["delta"]),
            reference=str(content["reference"]),
            levels=tuple(content["levels"]),
            strata=strata,
            guarded=int(content.get("guarded", 0)),
            explored=None if content.get("explored") is None else Explored(**content["explored"]),
            note=str(content.get("note", "")),
        )


def _number(value: float) -> str:
    return f"{round(value, 6):g}"


def _percent(share: float) -> str:
    return f"{round(100 * share, 4):g} %"
