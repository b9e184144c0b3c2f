"""Stage gate: may the bundle replace what serves now; each rule with its number and in words.

A bundle passes when the test part shows that it keeps its floor and that it costs less, on the
same steps, than the champion: the bundle in the run's folder champion/, which `tierwise gate
--pull` fetches. Without one it is held against the reference tier. docs/promotion.md says how often
the answer is wrong.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tierwise.data.errors import BadInput, run_stage
from tierwise.data.files import read_json, write_json
from tierwise.data.params import section
from tierwise.eval import gate_rules as rules
from tierwise.eval.champion_steps import served_by
from tierwise.eval.gate_rules import GateParams, Rule, Verdict
from tierwise.eval.gate_steps import Judged, evidence_of, judged
from tierwise.features.steps import TEST, load_steps
from tierwise.router_model.bundle import VerifiedBundle, verify_bundle
from tierwise.router_model.spec import PolicySpec
from tierwise.training.promise import Floor

CHAMPION = "champion"  # the folder of a run that holds what serves now
NONE = "none.json"  # all that is in it where nothing does: DVC warns of an empty folder
NO_QUALITY = (
    "No test step has a known quality for every tier, nor for one tier with the probability that "
    "it was drawn by: the policy cannot be judged."
)


def gate(run: Path, params: Path = Path("params.yaml"), champion: Path | None = None) -> Verdict:
    """Read a run's files and return the verdict; writes nothing.

    Parameters
    ----------
    run : Path
        artifacts/<name>.
    params : Path
        params.yaml.
    champion : Path, optional
        The champion's bundle; by default the run's folder champion/. Empty, missing or with
        nothing but its note it is none.

    Raises
    ------
    BadInput
        Where a file is missing or damaged, the champion's bundle included.
    """
    champion = run / CHAMPION if champion is None else champion
    serving = verify_bundle(champion) if _is_there(champion) else None
    against = "" if serving is None else serving.digest
    try:
        found = _judge(run, serving, section(params, "gate", GateParams))
    except (KeyError, TypeError) as error:
        raise BadInput(
            f"{run} has a metrics, certificate or spec file without {error}",
            "files of this version",
            "run evaluate and certify again",
        ) from None
    return Verdict(all(rule.verdict != "fail" for rule in found), tuple(found), against)


def _judge(run: Path, serving: VerifiedBundle | None, params: GateParams) -> list[Rule]:
    certificate, metrics = read_json(run / "certificate.json"), read_json(run / "metrics.json")
    certified = rules.certified_rule(certificate)
    try:
        bundle = verify_bundle(run / "policy")
    except BadInput as fault:
        return [rules.bundle_rule(str(fault)), certified]
    found = [rules.bundle_rule(None), certified]
    spec = PolicySpec.from_dict(read_json(run / "spec.json"))
    judgeable = judged(bundle.graph, load_steps(run / "steps.npz").of_part(TEST), spec, certificate)
    if not len(judgeable.steps):
        return [*found, rules.unjudged(NO_QUALITY)]
    found.append(rules.parity_rule(judgeable.tier, judgeable.by_rule))
    if serving is not None and _alike(serving, bundle):
        found.append(rules.same_rule(itself=serving.digest == bundle.digest))
    else:
        found += _compared(judgeable, serving, params)
    return [*found, rules.simple_rule(metrics)] if "policy" in metrics else found


def _compared(found: Judged, serving: VerifiedBundle | None, params: GateParams) -> list[Rule]:
    """Return the rules that hold the challenger against its floor and against what serves now."""
    told: list[Rule] = []
    champion, against = np.full(len(found.steps), found.spec.reference), "the reference tier"
    if serving is not None:
        now = served_by(serving, found.steps, found.spec.context)
        if (now.tier < 0).any():
            return [rules.champion_rule(now, refused=True)]
        champion, against = now.tier, f"the champion {serving.manifest.policy_version}"
        told = [rules.champion_rule(now, refused=False)]
        if promised := serving.manifest.floors.get("floor"):  # a role table's bundle has none
            told.append(rules.floor_rule(found.floor, Floor(**promised)))
    try:
        evidence = evidence_of(found, champion)
    except BadInput as error:
        return [*told, rules.unjudged(str(error))]
    return [*told, *rules.statistical(evidence, found.floor, against, params)]


def _alike(one: VerifiedBundle, other: VerifiedBundle) -> bool:
    """Say whether two bundles hold the same graph for the same tiers and columns.

    What may then differ is what people set, as rules or the release's number: no outcome on the
    test part, which is of the graph's decisions, can tell the two apart.
    """
    told = [(b.manifest.files, b.manifest.tier_names, b.manifest.context) for b in (one, other)]
    return told[0] == told[1]


def _is_there(champion: Path) -> bool:
    return champion.is_dir() and any(one.name != NONE for one in champion.iterdir())


def lines(verdict: Verdict) -> list[str]:
    """Return the verdict for people: the answer, then a line a rule."""
    said = [f"  {rule.verdict:<5}{rule.name}: {rule.words}" for rule in verdict.rules]
    return ["gate: passed" if verdict.passed else "gate: refused", *said]


def main() -> None:
    """Judge a run's bundle and write gate.json; the verdict is in the file, not the exit code."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    verdict = gate(args.run, args.params)
    if not _is_there(args.run / CHAMPION):
        write_json(args.run / CHAMPION / NONE, {"champion": None})
    write_json(args.run / "gate.json", verdict.as_dict())
    print("\n".join(lines(verdict)))


if __name__ == "__main__":
    run_stage(main)
