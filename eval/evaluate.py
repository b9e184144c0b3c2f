"""Stage evaluate: the graph that ships, judged on the test part, its controls beside it."""

from __future__ import annotations

import argparse
import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tierwise import __version__
from tierwise.data.errors import BadInput, run_stage
from tierwise.data.files import read_json, write_bytes, write_json
from tierwise.data.params import section
from tierwise.data.role_table import read_role_table
from tierwise.eval import judge, plots, report
from tierwise.eval.audit import spend
from tierwise.eval.graduation import climb
from tierwise.eval.levels import served_at
from tierwise.eval.newcomers import newcomers
from tierwise.eval.off_policy import OWN, constant_and_role
from tierwise.eval.off_policy import judge as judge_off_policy
from tierwise.eval.page_data import PageData, bins_with_ends, gather
from tierwise.eval.rungs import make_rungs
from tierwise.eval.served import Estimates, Served, category, number, serve, with_retries
from tierwise.eval.slices import lengths, tenants, worst_slices
from tierwise.features.steps import CERTIFY, LEARN, TEST, StepTable, load_steps
from tierwise.router_model.encoder import open_policy
from tierwise.router_model.spec import PolicySpec

NEED_QUALITY = (
    "No quality is known, so no policy can be learned or judged: add a column quality (0 to 1) "
    "from a deterministic check, a reviewed sample or a reward, best for several tiers on the "
    "same steps."
)
NO_CLAIM = (
    "Only the served tier's outcome is known. What other tiers would have done is not, and no "
    "claim about the policy's value is made here: the numbers describe the logs."
)
ESTIMATED = (
    "Only the served tier's outcome is known. The policy's value is estimated from the "
    "probabilities that tiers were drawn by, doubly robust, with its intervals."
)
ALL_EQUAL = (
    "Every known quality is the same: no tier is better than another, so {} serves, the cheapest."
)


@dataclass(frozen=True)
class EvaluateParams:
    """Section evaluate of params.yaml."""

    seed: int = 0
    draws: int = 1000  # bootstrap draws
    level: float = 0.95  # of every interval
    bins: int = 10  # of the calibration curves
    slice_steps: int = 50  # slices of fewer steps are not judged
    slices: int = 8  # worst slices shown
    neighbors_from: int = 5000  # learn steps that nearest texts are looked for among
    role_table: str = "roles.yaml"  # a missing file is the default table


@dataclass(frozen=True)
class NoEstimates:
    """Stands where a role table has estimates for a rule that it does not follow."""

    quality: NDArray[np.float32]
    total_cost: NDArray[np.float32]
    ood: NDArray[np.float32]


def facts(table: StepTable, spec: PolicySpec) -> tuple[judge.Facts, NDArray[np.int64], int]:
    """Return the steps whose quality is known for every tier, retries charged.

    An unknown cost becomes the tier's mean over the known ones.

    Returns
    -------
    Facts, ndarray of int64, int
        Their positions in `table`, and how many costs were unknown.

    Raises
    ------
    BadInput
        Where a tier's cost is never known.
    """
    keep = np.flatnonzero(np.isfinite(table.quality).all(axis=1))
    rows = table.rows(keep)
    known = np.isfinite(rows.cost)
    for index, name in enumerate(table.tiers):
        if len(keep) and not known[:, index].any():
            raise BadInput(
                f"no known cost of tier {name} on the steps judged",
                "a cost or token counts for every tier",
                "add cost_usd, or prices and token counts",
            )
    mean = np.nanmean(rows.cost, axis=0) if len(keep) else np.zeros(len(table.tiers))
    cost = np.where(known, rows.cost, mean)
    return (
        judge.Facts(
            text=rows.text,
            role=category(rows, spec, "role"),
            task=category(rows, spec, "task_type"),
            unit=rows.unit,
            complexity=number(rows, spec, "input_complexity"),
            judgment=number(rows, spec, "requires_judgment"),
            quality=rows.quality,
            cost=with_retries(cost, rows.valid, spec.ladder),
            latency=with_retries(rows.latency, rows.valid, spec.ladder),
        ),
        keep,
        int((~known).sum()),
    )


def decisions(served: Served, role: NDArray[np.str_], tiers: tuple[str, ...]) -> dict[str, Any]:
    """Return the tier mix, overall and by role, and the counts of reasons."""
    names, counts = np.unique(served.reason, return_counts=True)
    return {
        "mix": judge.shares(served.tier, tiers),
        "mix_by_role": {
            str(name or "unknown"): judge.shares(served.tier[role == name], tiers)
            for name in np.unique(role)
        },
        "reasons": {str(name): int(count) for name, count in zip(names, counts, strict=True)},
    }


def evaluate_full(
    learn: StepTable,
    test: StepTable,
    estimates: Estimates,
    spec: PolicySpec,
    certificate: Mapping[str, Any],
    params: EvaluateParams,
    tenant: NDArray[np.str_],
) -> tuple[dict[str, Any], dict[str, Any], PageData]:
    """Judge the policy where every tier's outcome is known.

    Parameters
    ----------
    learn, test : StepTable
        Controls are fitted on the first; everything is judged on the second.
    estimates : Estimates
        The graph's, on the steps of `test`.
    spec, certificate
        What ships, and what was certified of it.
    params : EvaluateParams
    tenant : ndarray of str, shape (n_steps,)
        Of the steps of `test`, empty where unknown.

    Returns
    -------
    dict, dict, PageData
        The content of metrics.json, what `plots.write_plots` takes, and what the page draws.
    """
    rng = np.random.default_rng(params.seed)
    draws = judge.Draws(params.draws, params.level, rng)
    role = category(test, spec, "role")
    every = serve(estimates, spec, role, certificate)
    judged, keep, filled = facts(test, spec)
    served = Served(every.tier[keep], every.reason[keep], every.path[:, keep])
    policy = judge.value(judged, served.tier, spec.reference, draws)
    retried = (test.valid[keep] == 0)[np.arange(len(keep)), served.tier]
    policy["retry_share"] = float(retried.mean())
    table = read_role_table(Path(params.role_table))
    fixed = judge.fixed_controls(judged, spec.tiers, table, rng)
    others = judge.swept_controls(facts(learn, spec)[0], judged, params.neighbors_from)
    controls = judge.compare(judged, policy, spec.reference, fixed)
    curves, points = judge.swept(judged, served.path, others, policy["cost_usd"], draws)
    expected = np.asarray(estimates.quality, dtype=np.float64)[keep]
    bins = judge.calibration(expected, judged.quality, spec.tiers, params.bins)
    found = decisions(served, judged.role, spec.tiers)
    metrics = {
        "policy": policy,
        "controls": controls,
        "curves": curves,
        "calibration": judge.calibration_numbers(bins),
        "slices": judge.slices(
            judged, served.tier, spec.reference, params.slice_steps, params.slices, draws
        ),
        **found,
        "test": {
            "steps": len(keep),
            "units": len(np.unique(judged.unit)),
            "left_out": len(test) - len(keep),
            "costs_filled": filled,
        },
    }
    shown = {
        "points": points,
        "served": (policy["cost_usd"], policy["quality"]),
        "fixed": controls,
        "bins": bins,
        "mix": {"all": found["mix"], **found["mix_by_role"]},
    }
    # Draws of its own: numbers of metrics.json do not depend on what the page shows.
    own = judge.Draws(params.draws, params.level, np.random.default_rng([params.seed, 1]))
    cuts = {
        "role": judged.role,
        "task": judged.task,
        "text length": lengths(test.text_bytes[keep]),
        "tenant": tenant[keep],
    }
    page = gather(
        judged,
        served.tier,
        served.path,
        served_at(served, judged.role, spec, certificate),
        fixed,
        points,
        bins_with_ends(expected, judged.quality, judged.unit, bins, own),
        worst_slices(judged, served.tier, spec.reference, cuts, params.slice_steps, own),
        spec.reference,
        own,
    )
    return metrics, shown, page


def describe_logs(table: StepTable, spec: PolicySpec | None) -> dict[str, Any]:
    """Return spend, and quality where known, of what the logs served, by role and tier."""
    step, tier = np.nonzero(np.isfinite(table.cost) | np.isfinite(table.quality))
    role = category(table, spec, "role") if spec else np.full(len(table), "")
    calls = pd.DataFrame(
        {
            "tier": np.array(table.tiers)[tier],
            "role": role[step],
            "cost_usd": table.cost[step, tier],
            "quality": table.quality[step, tier],
        }
    )
    return spend(calls, table.tiers)


def rounded(value: Any) -> Any:
    """Return a JSON value with six significant digits; what is no number becomes null."""
    if isinstance(value, Mapping):
        return {str(key): rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def main() -> None:
    """Read a run, write metrics.json, plots/ and report.html."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    threadpool_limits(1)
    params = section(args.params, "evaluate", EvaluateParams)
    table = load_steps(args.run / "steps.npz")
    spec = PolicySpec.from_dict(read_json(args.run / "spec.json"))
    certificate = read_json(args.run / "certificate.json")
    tenant = tenants(args.run / "traces.parquet", table.of_part(TEST).step)
    metrics, shown, page = _judge(args.run, table, spec, certificate, params, tenant)
    about: dict[str, Any] = {
        "feedback": table.feedback,
        "reference": spec.tiers[spec.reference],
        "tiers": table.tiers,  # a list: JSON with sorted keys forgets the order of the others
    }
    notes = read_json(args.run / "model.json")["notes"]
    if new := newcomers(notes, args.run / "traces.parquet", table):
        about["newcomers"] = new
    metrics = rounded({**metrics, **about})
    write_json(args.run / "metrics.json", metrics)
    (args.run / "plots").mkdir(parents=True, exist_ok=True)
    if shown:
        plots.write_plots(args.run / "plots", **shown)
    origin = {
        "tierwise": __version__,
        **{name: _digest(args.run / name) for name in ("graph.onnx", "certificate.json")},
        **{name: _digest(args.run / name) for name in ("traces.parquet", "steps.npz")},
        **{f"encoder/{one.name}": _digest(one) for one in sorted((args.run / "encoder").glob("*"))},
        "parameters": ", ".join(
            f"{name} {value}" for name, value in asdict(params).items() if name != "role_table"
        ),
    }
    text = report.render(metrics, certificate, page, origin, params.slices, params.level)
    write_bytes(args.run / "report.html", text.encode())
    for line in metrics.get("audit", {}).get("lines", []):
        print(line)
    if "note" in metrics:
        print(metrics["note"])


def _judge(
    run: Path,
    table: StepTable,
    spec: PolicySpec,
    certificate: Mapping[str, Any],
    params: EvaluateParams,
    tenant: NDArray[np.str_],
) -> tuple[dict[str, Any], dict[str, Any], PageData | None]:
    """Return metrics, what is to be plotted and what the page draws, by what the logs hold."""
    test, learn = table.of_part(TEST), table.of_part(LEARN)
    if table.feedback == "none":
        said = {"audit": describe_logs(table, spec), "note": NEED_QUALITY}
        return said | (_by_table(test, spec, certificate) if spec.fixed_tier else {}), {}, None
    if not len(test):
        raise BadInput("no step in the test part", "a test part", "set split.test above 0")
    graph = open_policy((run / "graph.onnx").read_bytes(), run / "encoder")
    estimates = graph.estimates(test.text, test.context)
    role, roles = category(test, spec, "role"), read_role_table(Path(params.role_table))
    every = serve(estimates, spec, role, certificate)
    rungs = make_rungs(graph, spec, certificate, roles, table.of_part(CERTIFY), test, every.tier)
    complete = [np.isfinite(part.quality).all(axis=1).any() for part in (learn, test)]
    if all(complete):
        found = evaluate_full(learn, test, estimates, spec, certificate, params, tenant)
        metrics, shown, page = found
        if np.ptp(table.quality[~np.isnan(table.quality)]) == 0:
            metrics["note"] = ALL_EQUAL.format(spec.tiers[spec.reference])
        metrics["graduation"] = climb(
            test, role, rungs, spec.reference, certificate["floor"], params.level
        )
        return metrics, shown, page
    verdict = judge_off_policy(
        test, role, {OWN: every.tier}, constant_and_role(spec.tiers, role, roles), params.level
    )
    said = {"audit": describe_logs(table, spec), **verdict.as_dict()}
    if verdict.found:
        climbed = climb(test, role, rungs, spec.reference, certificate["floor"], params.level)
        said |= {"note": ESTIMATED, "graduation": climbed}
    else:
        said["note"] = f"{NO_CLAIM} {verdict.refused}"
    return decisions(every, role, spec.tiers) | said, {}, None


def _by_table(test: StepTable, spec: PolicySpec, certificate: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a role table serves: it looks at the role alone, at no estimate."""
    role, unseen = category(test, spec, "role"), np.zeros((len(test), len(spec.tiers)), np.float32)
    served = serve(NoEstimates(unseen, unseen, unseen[:, 0]), spec, role, certificate)
    return decisions(served, role, spec.tiers) if len(test) else {}


def _digest(path: Path) -> str:
    """Return a file's sha256, a dash where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "-"


if __name__ == "__main__":
    run_stage(main)
