"""Stage register: enter a bundle in the MLflow registry, once, as the challenger.

The database is artifacts/mlflow.db and the files lie in artifacts/mlruns. A bundle is found again
by the SHA-256 of its manifest, so that registering twice adds nothing. `challenger` is the newest
bundle. The first that passes the gate becomes `champion`; after that only `tierwise promote` and
`tierwise rollback` move it: a pipeline that ran again is nobody's decision to serve something else.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml

from tierwise.data.errors import BadInput, run_stage
from tierwise.data.files import read_json, write_json
from tierwise.data.params import section
from tierwise.eval import registry
from tierwise.features.steps import load_steps

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from mlflow.tracking import MlflowClient

CHALLENGER = "challenger"
LOGGED = ("policy", "controls", "curves", "calibration", "test")  # groups of metrics.json
GLANCE = "at a glance"  # the UI sorts groups by name: this one comes first
FILES = ("metrics.json", "certificate.json", "gate.json", "report.html")


@dataclass(frozen=True)
class RegisterParams:
    """Section register of params.yaml."""

    experiment: str = "tierwise"


def numbers(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of nested metrics under names that MLflow takes: group/words of the rest.

    One `/` a name: the UI draws a section for each distinct part before the last one.
    """
    for key, one in value.items():
        name = prefix + re.sub(r"[^\w\-. ]", "_", str(key))
        if isinstance(one, Mapping):
            yield from numbers(one, f"{name} " if "/" in name else f"{name}/")
        elif isinstance(one, int | float) and not isinstance(one, bool):
            yield name[:250], float(one)


def headline(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the few numbers to compare runs by, in a group that the UI shows first."""
    policy, curves = metrics.get("policy", {}), metrics.get("curves", {})
    found = {
        name: policy.get(name, {}).get("value")
        for name in ("cost_saved", "quality_kept", "time_saved")
    }
    found["routing_gain"] = curves.get("router", {}).get("routing_gain")
    return {f"{GLANCE}/{name}": float(value) for name, value in found.items() if value is not None}


def description(run: Path, gate: Mapping[str, Any]) -> str:
    """Return what a person reads first of a bundle, as Markdown: promise, note, the gate's word."""
    words = []
    for file, key in (("certificate.json", "promise"), ("metrics.json", "note")):
        if (run / file).exists():
            words.append(str(read_json(run / file).get(key, "")))
    rules = [f"- {one['name']}: {one['verdict']}. {one['words']}" for one in gate["rules"]]
    words += ["The gate " + ("passed" if gate["passed"] else "refused") + " it:", "\n".join(rules)]
    # Names come from logs: what would be markup there is shown as it is.
    return re.sub(r"([<>\[\]`*_|#\\])", r"\\\1", "\n\n".join(word for word in words if word))


def settings(params: Path) -> dict[str, str]:
    """Return params.yaml as section.key -> value."""
    content = yaml.safe_load(params.read_text(encoding="utf-8")) or {}
    return {
        f"{name}.{key}": str(value)
        for name, keys in content.items()
        for key, value in (keys or {}).items()
    }


def origin(root: Path, run: Path) -> dict[str, str]:
    """Return the git commit and the hash of the run's dvc.lock, as far as there are any."""
    found = {}
    try:
        told = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True
        )
        found["git.commit"] = told.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        found["git.commit"] = "unknown"
    own = root / "runs" / run.name / "dvc.lock"
    lock = own if own.exists() else root / "dvc.lock"
    if lock.exists():
        found["dvc.lock.sha256"] = hashlib.sha256(lock.read_bytes()).hexdigest()
    return found


def signature(model: Any) -> ModelSignature:
    """Return the signature of an ONNX graph: inputs that have no default, and all outputs."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec
    from onnx.helper import tensor_dtype_to_np_dtype

    def spec(value: Any) -> TensorSpec:
        tensor = value.type.tensor_type
        shape = [size.dim_value or -1 for size in tensor.shape.dim]
        kind = np.dtype(tensor_dtype_to_np_dtype(tensor.elem_type))
        return TensorSpec(kind, tuple(shape), value.name)

    defaults = {constant.name for constant in model.graph.initializer}
    needed = [value for value in model.graph.input if value.name not in defaults]
    return ModelSignature(
        inputs=Schema([spec(value) for value in needed]),
        outputs=Schema([spec(value) for value in model.graph.output]),
    )


def outcomes(steps: Path) -> tuple[pd.DataFrame, str]:
    """Return outcomes of the step table without texts or ids, and the file's digest."""
    table = load_steps(steps)
    columns = {f"quality {tier}": table.quality[:, i] for i, tier in enumerate(table.tiers)}
    columns |= {f"cost_usd {tier}": table.cost[:, i] for i, tier in enumerate(table.tiers)}
    return pd.DataFrame(columns), hashlib.sha256(steps.read_bytes()).hexdigest()[:32]


def register(run: Path, params: Path = Path("params.yaml")) -> dict[str, Any]:
    """Enter the run's bundle where it is not yet, as the challenger; return registered.json.

    What it returns says nothing of the champion: the same files give the same bytes whatever the
    registry holds.

    Parameters
    ----------
    run : Path
        artifacts/<name>; the database lies beside it.
    params : Path
        params.yaml.

    Raises
    ------
    BadInput
        Where the run has no bundle or no verdict of the gate.
    """
    sha256 = registry.manifest_sha256(run / "policy")
    if not sha256:
        raise BadInput(f"no bundle in {run / 'policy'}", "a bundle", "run the bundle stage")
    gate = read_json(run / "gate.json")
    wanted = section(params, "register", RegisterParams)
    name = registry.model_name(run)
    with registry.opened(run, create=True) as client:
        version = registry.version_of(client, name, sha256)
        if version is None:
            version = _enter(client, run, params, wanted.experiment, name, sha256)
        _mark(client, name, version, gate, description(run, gate))
        if gate["passed"]:
            _crown_first(client, run, name, version)
    return {"name": name, "sha256": sha256, "aliases": [CHALLENGER]}


def _mark(
    client: MlflowClient, name: str, version: str, gate: Mapping[str, Any], words: str
) -> None:
    """Describe a version and its run, tag them with the gate's word, make it challenger."""
    verdict = "passed" if gate["passed"] else "refused"
    entered = client.update_model_version(name, version, description=words[:5000])
    client.set_model_version_tag(name, version, "gate", verdict)
    client.set_model_version_tag(name, version, "gate.against", gate["against"])
    if entered.run_id:
        client.set_tag(entered.run_id, "gate", verdict)
        client.set_tag(entered.run_id, "mlflow.note.content", words[:5000])
    for rule in gate["rules"]:
        tag = f"gate.{re.sub(r'[^a-z0-9]', '_', rule['name'])}"
        told = f"{rule['verdict']}: {rule['words']}"[:5000]  # MLflow takes no longer tag
        client.set_model_version_tag(name, version, tag, told)
    client.set_registered_model_alias(name, CHALLENGER, version)


def _crown_first(client: MlflowClient, run: Path, name: str, version: str) -> None:
    """Make a version champion where there is none: it beat the reference tier, which serves."""
    word = registry.Word(registry.actor(), "the first that passed the gate", "promoted")
    with registry.alone(run):
        if registry.champion(client, name) is None:
            registry.crown(client, name, version, word)


def _enter(
    client: MlflowClient, run: Path, params: Path, experiment: str, name: str, sha256: str
) -> str:
    """Log a run with all that led to the bundle, register its graph, return the version."""
    import mlflow
    import onnx
    from mlflow.data.pandas_dataset import from_pandas

    known = client.get_experiment_by_name(experiment)
    if known is None:
        files = (run.resolve().parent / "mlruns").as_uri()
        client.create_experiment(experiment, artifact_location=files)
    mlflow.set_experiment(experiment)
    tags = {"sha256": sha256, **origin(run.resolve().parents[1], run)}
    with mlflow.start_run(run_name=f"{run.resolve().name} {sha256[:12]}", tags=tags):
        mlflow.log_params(settings(params))
        metrics = read_json(run / "metrics.json")
        mlflow.log_metrics(headline(metrics))
        mlflow.log_metrics(dict(numbers({key: metrics[key] for key in LOGGED if key in metrics})))
        frame, digest = outcomes(run / "steps.npz")
        data = from_pandas(frame, name=run.resolve().name, digest=digest)
        mlflow.log_input(data, context="training")
        for file in FILES:
            if (run / file).exists():
                mlflow.log_artifact(str(run / file))
        for folder in ("plots", "policy"):
            if (run / folder).is_dir():
                mlflow.log_artifacts(str(run / folder), folder)
        model = onnx.load(run / "policy" / "policy.onnx")
        logged = mlflow.onnx.log_model(
            model,
            name="router",
            signature=signature(model),
            pip_requirements=["onnxruntime", "numpy"],
            onnx_execution_providers=["CPUExecutionProvider"],
            save_as_external_data=False,
        )
    # The tag comes with the version in one write: a version is never without it.
    return str(mlflow.register_model(logged.model_uri, name, tags={"sha256": sha256}).version)


def main() -> None:
    """Register a run's bundle and write registered.json."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    registered = register(args.run, args.params)
    write_json(args.run / "registered.json", registered)
    print(f"registered {registered['name']}: {', '.join(registered['aliases'])}")


if __name__ == "__main__":
    run_stage(main)
