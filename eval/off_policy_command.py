"""`tierwise evaluate`: a shipped policy judged on logs, beside another one and simple policies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.data.role_table import read_role_table
from tierwise.eval.off_policy import OWN, constant_and_role, judge
from tierwise.eval.policy_logs import PolicyLogs, read_logs, served
from tierwise.router_model.bundle import verify_bundle


@dataclass(frozen=True)
class Evaluation:
    """What was found: a JSON value, and the error to end with where too few steps tell."""

    found: dict[str, Any]
    error: BadInput | None


def evaluate(policy: Path, traces: Path, against: Path | None, roles: Path) -> Evaluation:
    """Judge a bundle on logs.

    Parameters
    ----------
    policy : Path
        A bundle's folder.
    traces : Path
        A trace table, or the folder of a run.
    against : Path or None
        Another bundle, compared on the same steps.
    roles : Path
        The role table among the baselines; a missing file is the default table.

    Raises
    ------
    BadInput
        Where a bundle is not sound, the table is none, or its propensities cannot be true.
    """
    folders = [policy, against] if against else [policy]
    bundles = [verify_bundle(folder) for folder in folders]
    logs = read_logs(traces, [(f, b.manifest) for f, b in zip(folders, bundles, strict=True)])
    names = (OWN, *(f"against {one.manifest.policy_version}" for one in bundles[1:]))
    choices = {name: served(logs, one) for name, one in zip(names, bundles, strict=True)}
    known = tuple(dict.fromkeys(tier for one in bundles for tier in one.manifest.tier_names))
    baselines = constant_and_role(logs.table.tiers, logs.role, read_role_table(roles), known)
    verdict = judge(logs.table, logs.role, choices, baselines)
    manifests = [one.manifest.policy_version for one in bundles]
    found = {
        "policy": manifests[0],
        "against": manifests[1] if against else None,
        "about": logs.about,
        "feedback": logs.table.feedback,
        "steps": len(logs.table),
        "units": len(np.unique(logs.table.unit)),
        "mix": _mix(choices[OWN], logs),
        "audit": logs.spent,
        **verdict.as_dict(),
    }
    return Evaluation(found, verdict.error)


def _mix(tier: NDArray[np.int64], logs: PolicyLogs) -> dict[str, float]:
    return {name: float((tier == place).mean()) for place, name in enumerate(logs.table.tiers)}
