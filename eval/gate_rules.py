"""The gate's rules: each a verdict, the number it rests on, what was needed, and words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.eval.champion_steps import ServedBy
from tierwise.eval.estimators import kish
from tierwise.eval.gate_evidence import Evidence
from tierwise.eval.one_sided import Bounds, bounds
from tierwise.training.promise import Floor

Word = Literal["pass", "fail", "warn"]
SIMPLE = ("always ", "role table", "rule of thumb")


@dataclass(frozen=True)
class GateParams:
    """Section gate of params.yaml.

    Attributes
    ----------
    confidence : float
        Of each bound, one-sided. Nominal 95 % bounds of logs were measured to hold in 91 to 95 %
        of worlds, so that a promise of 95 % asks for more.
    effective : float
        Steps that the estimates must be worth; below it their intervals are too narrow.
    units : int
        Independent units that a bound needs, overall and of a role.
    """

    confidence: float = 0.975
    effective: float = 200.0
    units: int = 30

    def __post_init__(self) -> None:
        if not 0.5 < self.confidence < 1:
            raise BadInput(
                f"gate.confidence = {self.confidence}", "above 0.5 and below 1", "mend params.yaml"
            )


@dataclass(frozen=True)
class Rule:
    """One rule's verdict; `warn` is said loudly and does not refuse."""

    name: str
    verdict: Word
    value: float | None
    needed: float | None
    words: str


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger may serve, every rule, and what it was held against.

    `against` is the SHA-256 of the champion's manifest, empty for the reference tier.
    """

    passed: bool
    rules: tuple[Rule, ...]
    against: str = ""

    @property
    def refused(self) -> tuple[Rule, ...]:
        """The rules that say no."""
        return tuple(rule for rule in self.rules if rule.verdict == "fail")

    def as_dict(self) -> dict[str, Any]:
        """Return the content of gate.json."""
        rules = [asdict(rule) for rule in self.rules]
        return {"passed": self.passed, "rules": rules, "against": self.against}


def bundle_rule(fault: str | None) -> Rule:
    """Say whether the bundle would be loaded: hashes, operators, golden decisions."""
    words = "Hashes, graph and golden decisions hold." if fault is None else f"Refused: {fault}"
    return Rule("bundle", "pass" if fault is None else "fail", float(fault is None), 1.0, words)


def parity_rule(shipped: NDArray[np.int64], by_rule: NDArray[np.int64]) -> Rule:
    """Say whether the shipped graph serves what the rule serves at the certified point.

    Parameters
    ----------
    shipped, by_rule : ndarray of shape (n_steps,)
        Tiers on the test steps.
    """
    other = int((shipped != by_rule).sum())
    words = f"The graph decides {other:,} of {len(shipped):,} test steps unlike the certified rule."
    return Rule("parity", "fail" if other else "pass", float(other), 0.0, words)


def certified_rule(certificate: Mapping[str, Any]) -> Rule:
    """Say what the certify part has shown: with nothing certified there is nothing to promote."""
    nothing = bool(certificate["certified_nothing"])
    points = certificate["chosen"].values()
    reached = float(sum(point > 0 for point in points))
    return Rule("certified", "fail" if nothing else "pass", reached, 1.0, certificate["promise"])


def unjudged(why: str) -> Rule:
    """Say that the test part cannot tell, and why."""
    return Rule("evidence", "fail", None, None, why)


def statistical(evidence: Evidence, floor: Floor, against: str, params: GateParams) -> list[Rule]:
    """Return the rules that the test part decides.

    Parameters
    ----------
    evidence : Evidence
    floor : Floor
        The challenger's own.
    against : str
        What it is held against, in words.
    params : GateParams
    """
    enough = _enough(evidence, params)
    if enough.verdict == "fail":
        return [enough]
    return [
        enough,
        _quality(evidence, floor, params),
        _roles(evidence, params),
        _cost(evidence, against, params),
    ]


def _enough(evidence: Evidence, params: GateParams) -> Rule:
    units = len(np.unique(evidence.unit))
    words = (
        f"The test part is worth {evidence.effective:,.0f} steps ({len(evidence.unit):,} in "
        f"{units:,} units); {params.effective:g} steps and {params.units} units are needed."
    )
    enough = evidence.effective >= params.effective and units >= params.units
    verdict: Word = "pass" if enough else "fail"
    return Rule("evidence", verdict, evidence.effective, params.effective, words)


def _quality(evidence: Evidence, floor: Floor, params: GateParams) -> Rule:
    """Ask for a mean above the floor: its lower bound, whatever form the floor has."""
    found = _above(evidence, params.confidence)
    words = (
        f"Quality lies {found.value:+.4f} from the floor ({_in_words(floor)}), at least "
        f"{found.low:+.4f} with confidence {params.confidence:.1%}."
    )
    verdict: Word = "pass" if found.low >= 0 else "fail"  # NaN is no proof
    return Rule("quality", verdict, _known(found.low), 0.0, words)


def _roles(evidence: Evidence, params: GateParams) -> Rule:
    """Refuse where a role is shown to break the floor; name those that are not shown to keep it.

    The bounds of all roles hold together (Bonferroni): the more roles, the wider each.
    """
    judged = {
        str(name): mask
        for name in np.unique(evidence.role)
        if _can_tell(mask := evidence.role == name, evidence, params)
    }
    share = 1 - (1 - params.confidence) / max(len(judged), 1)
    found = {name: _above(evidence, share, mask) for name, mask in judged.items()}
    broken, unproven = [], []
    for name in np.unique(evidence.role).tolist():
        one, shown = found.get(name), name or "unknown"
        if one is not None and one.high < 0:
            broken.append(f"{shown} (at most {one.high:+.4f})")
        elif one is None or one.low < 0:
            unproven.append(shown)
    lowest = min((one.high for one in found.values()), default=math.nan)
    words = f"Below the floor: {', '.join(broken)}. " if broken else "No role is shown below it. "
    if unproven:
        words += f"Not shown to keep it on its own: {', '.join(unproven)}."
    verdict: Word = "fail" if broken else "warn" if unproven else "pass"
    return Rule("roles", verdict, _known(lowest), 0.0, words.strip())


def _can_tell(mask: NDArray[np.bool_], evidence: Evidence, params: GateParams) -> bool:
    enough = len(np.unique(evidence.unit[mask])) >= params.units
    weighed = bool((evidence.weight != 1).any())
    return enough and (not weighed or kish(evidence.weight[mask]) >= params.effective)


def _cost(evidence: Evidence, against: str, params: GateParams) -> Rule:
    """Ask for a cost below what serves now on the same steps: the difference's upper bound."""
    dearer = evidence.cost
    ends = float(dearer.min()), float(dearer.max())
    found = bounds(dearer, evidence.unit, params.confidence, *ends)
    words = (
        f"Cost a step less that of {against}: {found.value:.4g} USD, at most {found.high:.4g} "
        f"with confidence {params.confidence:.1%}."
    )
    return Rule("cost", "pass" if found.high < 0 else "fail", _known(found.high), 0.0, words)


def simple_rule(metrics: Mapping[str, Any]) -> Rule:
    """Say which policies without learning do at least as well on the test part."""
    policy = metrics["policy"]
    better = [
        name
        for name, one in metrics["controls"].items()
        if name.startswith(SIMPLE)
        and one["cost_usd"] <= policy["cost_usd"]
        and one["quality"] >= policy["quality"]
    ]
    task = metrics["curves"]["task mean"]["quality_at_policy_cost"]
    if task is not None and task >= policy["quality"]:
        better.append("the table of role and task means, at the same cost")
    if not better:
        words = "No fixed tier, role table or rule of thumb is as cheap and as good on test."
        return Rule("simple policies", "pass", 0.0, 0.0, words)
    words = f"AT LEAST AS GOOD AND AS CHEAP ON TEST WITHOUT A LEARNED POLICY: {', '.join(better)}."
    return Rule("simple policies", "warn", float(len(better)), 0.0, words)


def same_rule(*, itself: bool) -> Rule:
    """Say that there is nothing to compare: this is the champion, or has its graph."""
    words = "This bundle is the champion already."
    if not itself:
        words = "The champion has the same graph; what people set, as rules, is not judged."
    return Rule("cost", "pass", 0.0, 0.0, words)


def champion_rule(now: ServedBy, *, refused: bool) -> Rule:
    """Say how the champion was compared where its tiers or columns are not the run's."""
    if refused:
        words = f"None of the champion's tiers ({', '.join(now.gone)}) is in this run's catalogue."
        return Rule("champion", "fail", float(len(now.gone)), 0.0, words)
    told = []
    if now.gone:
        told.append(f"without its tiers {', '.join(now.gone)}, which the catalogue has no more")
    if now.missed:
        told.append(f"not told its context columns {', '.join(now.missed)}, which nobody has")
    words = f"It decided the same steps {', and '.join(told) or 'from the same tiers and columns'}."
    others = float(len(now.gone) + len(now.missed))
    return Rule("champion", "warn" if told else "pass", others, 0.0, words)


def floor_rule(own: Floor, champion: Floor) -> Rule:
    """Say it where the challenger promises less than the champion: a lower floor is cheaper."""
    same = own.kind == champion.kind
    lower = not same or own.level < champion.level
    words = f"The floor is {_in_words(own)}; the champion's is {_in_words(champion)}."
    return Rule("floor", "warn" if lower else "pass", own.level, champion.level, words)


def _in_words(floor: Floor) -> str:
    return f"{floor.kind} {floor.level:g}"


def _above(evidence: Evidence, confidence: float, mask: NDArray[np.bool_] | None = None) -> Bounds:
    """Bound how far quality lies above the floor, of all steps or of some."""
    mask = np.ones(len(evidence.quality), np.bool_) if mask is None else mask
    values = evidence.quality[mask]
    return bounds(values, evidence.unit[mask], confidence, evidence.worst, float(values.max()))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
