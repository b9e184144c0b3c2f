"""One run of the pipeline: the simulated fleet, or any trace table under a name of its own.

Each run besides the default one lives in `runs/<name>/`: a link to the one dvc.yaml, a run.yaml
that names its source, and its own dvc.lock. Everything it writes goes to `artifacts/<name>/`.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tierwise.data.errors import BadInput, run_stage
from tierwise.data.files import write_bytes

DEFAULT = "fleet"
RESERVED = {DEFAULT, "ci", "mlruns"}  # names that mean something else under artifacts/


def create(root: Path, traces: str, tiers: str = "", mapping: str = "") -> str:
    """Make or refresh the folder `runs/<name>` of a trace table.

    Parameters
    ----------
    root : Path
        The project's folder.
    traces : str
        A file or folder of traces.
    tiers : str
        A tier catalogue, or "" to infer one from the traces.
    mapping : str
        Other column names, `text=prompt,tier=model`.

    Returns
    -------
    str
        The run's name: the stem of the file, with a hash of its path where another source has
        that name already.

    Raises
    ------
    BadInput
        Where a path does not exist.
    """
    source = existing(traces, "TRACES")
    catalogue = existing(tiers, "TIERS") if tiers else ""
    name = name_for(root, source)
    folder = root / "runs" / name
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "dvc.yaml"
    if not link.is_symlink():
        link.symlink_to(Path("..", "..", "dvc.yaml"))
    settings = {
        "name": name,
        "root": "../..",
        "input": {"source": source, "tiers": catalogue, "map": mapping},
        "source_file": source,
        "tiers_file": catalogue or "run.yaml",
    }
    write_bytes(folder / "run.yaml", yaml.safe_dump({"run": settings}, sort_keys=False).encode())
    return name


def existing(path: str, variable: str) -> str:
    """Return the absolute path, or refuse one that does not exist."""
    if not Path(path).expanduser().exists():
        raise BadInput(
            f"{variable}={path} does not exist",
            "a file or a folder",
            f"check the path and run make repro {variable}=... again",
        )
    return os.path.abspath(Path(path).expanduser())


def name_for(root: Path, source: str) -> str:
    """Return the name of the run that reads `source`, an absolute path."""
    path = Path(source)
    stem = path.name if path.is_dir() else path.stem
    name = re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-") or "run"
    if name not in RESERVED and source_of(root / "runs" / name) in (None, source):
        return name
    return f"{name}-{hashlib.sha256(source.encode()).hexdigest()[:6]}"


def source_of(folder: Path) -> str | None:
    """Return the source of the run in `folder`, None where there is no such run."""
    try:
        settings = yaml.safe_load((folder / "run.yaml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return str(settings["run"]["input"]["source"])


@contextmanager
def only_run(root: Path) -> Iterator[int]:
    """Hold the checkout's lock while the block runs; yield its file descriptor.

    A child that inherits the descriptor keeps the lock if this process is killed before it. The
    system releases the lock when the last of them ends, so it is never stale.

    Raises
    ------
    BadInput
        Where another run holds it.
    """
    path = root / "artifacts" / ".running"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(
                "another make repro is running in this checkout",
                "one at a time",
                "wait for it or stop it",
            ) from None
        yield handle.fileno()


def reproduce(root: Path, name: str) -> int:
    """Run the pipeline, enter the bundle in the registry, print the result; return an exit code.

    The registry call is repeated outside the pipeline because its database can be deleted while
    the pipeline's files are still up to date.
    """
    environment = dict(os.environ)
    target = "dvc.yaml"
    if name != DEFAULT:
        target = f"runs/{name}/dvc.yaml"
        environment["DVC_GLOBAL_CONFIG_DIR"] = str(root / ".dvc" / "user")
    run = ["--run", f"artifacts/{name}"]
    with only_run(root) as lock:
        for module, arguments in (
            ("dvc", ["repro", target]),
            ("tierwise.eval.register", run),
            ("tierwise.eval.summary", run),
        ):
            command = [sys.executable, "-m", module, *arguments]
            code = subprocess.run(
                command, cwd=root, env=environment, pass_fds=[lock], check=False
            ).returncode
            if code:
                return code
    return 0


def main() -> None:
    """Run the pipeline on `--traces`, or on the simulated fleet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", default="", help="a file or folder; empty: the fleet")
    parser.add_argument("--tiers", default="", help="a tier catalogue (YAML)")
    parser.add_argument("--map", default="", help="text=prompt,tier=model")
    given = parser.parse_args()
    root, name = Path.cwd(), DEFAULT
    if (given.tiers or given.map) and not given.traces:
        raise BadInput("TIERS or MAP without TRACES", "TRACES", "the fleet needs neither of them")
    if given.traces:
        name = create(root, given.traces, given.tiers, given.map)
    try:
        raise SystemExit(reproduce(root, name))
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    run_stage(main)
