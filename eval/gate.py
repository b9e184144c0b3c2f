"""Stage gate: may the bundle replace what serves now; each rule with its number and in words."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tierwise.data.errors import BadInput, run_stage
from tierwise.data.files import read_json, write_json
from tierwise.data.params import section

Word = Literal["pass", "fail", "warn"]
SIMPLE = ("always ", "role table", "rule of thumb")


@dataclass(frozen=True)
class GateParams:
    """Section gate of params.yaml."""

    # False: the test part must not contradict the floor. True: it must show it once more, which a
    # policy at the edge of its certificate does about every other time.
    strict: bool = False


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
    """Whether the bundle passed, and every rule."""

    passed: bool
    rules: tuple[Rule, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the content of gate.json."""
        return {"passed": self.passed, "rules": [asdict(rule) for rule in self.rules]}


def decide(
    metrics: Mapping[str, Any],
    certificate: Mapping[str, Any],
    champion: Mapping[str, Any] | None,
    bundle_fault: str | None,
    bundle_sha256: str,
    params: GateParams,
) -> Verdict:
    """Return the verdict on a bundle.

    Parameters
    ----------
    metrics, certificate : mapping
        Content of metrics.json and certificate.json.
    champion : mapping or None
        What serves now: sha256 of its manifest and cost_difference_usd {value, low, high}, this
        policy's cost a step less the champion's on the same test steps. None: the reference tier.
    bundle_fault : str or None
        What verification of the bundle found; None where it holds.
    bundle_sha256 : str
        Of the bundle's manifest.
    params : GateParams
    """
    rules = [_bundle(bundle_fault)]
    if "policy" in metrics:
        rules += [
            _certified(certificate),
            _quality(metrics["policy"], certificate["floor"], params.strict),
            _cost(metrics["policy"], champion, bundle_sha256),
            _simple(metrics),
        ]
    else:
        words = "No test step has a known outcome for every tier: the policy cannot be judged."
        rules.append(Rule("judged", "fail", None, None, words))
    return Verdict(all(rule.verdict != "fail" for rule in rules), tuple(rules))


def _bundle(fault: str | None) -> Rule:
    words = "Hashes, graph and golden decisions hold." if fault is None else f"Refused: {fault}"
    return Rule("bundle", "pass" if fault is None else "fail", float(fault is None), 1.0, words)


def _certified(certificate: Mapping[str, Any]) -> Rule:
    nothing = bool(certificate["certified_nothing"])
    points = certificate["chosen"].values()
    reached = float(sum(point > 0 for point in points))
    return Rule("certified", "fail" if nothing else "pass", reached, 1.0, certificate["promise"])


def _quality(policy: Mapping[str, Any], floor: Mapping[str, Any], strict: bool) -> Rule:
    """Compare the test part with the floor, whatever its form.

    The promise was shown on other units; this asks whether the test part speaks against it
    (the interval's upper end below the floor) or shows it again (its lower end above).
    """
    level, kind = float(floor["level"]), floor["kind"]
    if kind == "retain":
        low, high = _ends(policy["quality_kept"])
        what = "of the reference's quality is kept"
    elif kind == "absolute":
        low, high = _ends(policy["quality_interval"])
        what = "mean quality"
    else:
        least, most = _ends(policy["miss"])
        low, high = 1 - most, 1 - least
        what = "1 - miss"
    shown = f"{low:.4f} to {high:.4f} {what} on the test part; the floor is {level:g}"
    if not high >= level:  # an unknown end is no proof
        return Rule("quality", "fail", _known(low), level, f"Below the floor: {shown}.")
    if low >= level:
        return Rule("quality", "pass", low, level, f"{shown[0].upper()}{shown[1:]}.")
    words = f"The test part alone does not show the floor again: {shown}."
    return Rule("quality", "fail" if strict else "warn", _known(low), level, words)


def _cost(
    policy: Mapping[str, Any], champion: Mapping[str, Any] | None, bundle_sha256: str
) -> Rule:
    if champion is not None and champion.get("sha256") == bundle_sha256:
        return Rule("cost", "pass", 0.0, 0.0, "This bundle is the champion already.")
    difference = policy if champion is None else champion
    against = "the reference tier" if champion is None else "the champion"
    _, high = _ends(difference["cost_difference_usd"])
    cheaper = high < 0
    words = f"Cost a step less {against}'s: at most {high:.4g} USD (upper end of the interval)."
    return Rule("cost", "pass" if cheaper else "fail", _known(high), 0.0, words)


def _simple(metrics: Mapping[str, Any]) -> Rule:
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


def _ends(interval: Mapping[str, float | None]) -> tuple[float, float]:
    low, high = interval["low"], interval["high"]
    return (math.nan if low is None else low, math.nan if high is None else high)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def gate(run: Path, params: Path = Path("params.yaml")) -> Verdict:
    """Read a run's files and return the verdict; writes nothing.

    Raises
    ------
    BadInput
        Where a file is missing or damaged.
    """
    champion = run / "champion.json"
    try:
        return decide(
            metrics=read_json(run / "metrics.json"),
            certificate=read_json(run / "certificate.json"),
            champion=read_json(champion) if champion.exists() else None,
            bundle_fault=fault_of(run / "policy"),
            bundle_sha256=manifest_sha256(run / "policy"),
            params=section(params, "gate", GateParams),
        )
    except (KeyError, TypeError) as error:
        raise BadInput(
            f"{run} has a metrics, certificate or champion file without {error}",
            "files of this version",
            "run evaluate and certify again",
        ) from None


def manifest_sha256(policy: Path) -> str:
    """Return the 64 hex digits in the bundle's manifest.sha256, empty where there is none."""
    try:
        return (policy / "manifest.sha256").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def fault_of(policy: Path) -> str | None:
    """Return why the bundle would not be loaded, None where it would."""
    from tierwise.router_model.bundle import verify_bundle

    try:
        verify_bundle(policy)
    except BadInput as error:
        return str(error)
    return None


def main() -> None:
    """Judge a run's bundle and write gate.json; the verdict is in the file, not the exit code."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    verdict = gate(args.run, args.params)
    write_json(args.run / "gate.json", verdict.as_dict())
    print("gate: passed" if verdict.passed else "gate: refused")
    for rule in verdict.rules:
        print(f"  {rule.verdict:<5}{rule.name}: {rule.words}")


if __name__ == "__main__":
    run_stage(main)
