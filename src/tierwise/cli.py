"""The `tierwise` command. Each command imports what it needs when it is called.

Exit codes: 0 done, 1 the answer is no, 2 wrong use or bad input, with one line that says what was
found, what was expected and what to do. Without the extra a command needs, that line names it.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version as installed_version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tierwise.data.errors import BadInput

EXTRA_OF = {"typer": "cli", "rich": "cli", "numpy": "serve", "onnxruntime": "serve"}  # else train

if TYPE_CHECKING or find_spec("typer"):  # without it, main still has to say what is missing
    import typer

    AsJson = Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")]


def main() -> None:
    """Run the command line; this is the console script."""
    try:
        if not find_spec("typer"):
            raise ModuleNotFoundError("no typer", name="typer")
        build()()
    except BadInput as error:
        refuse(str(error))
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", "tierwise"):
            raise
        extra = EXTRA_OF.get(missing, "train")
        refuse(
            f"{missing} is not installed; expected the extra {extra!r}; "
            f"run pip install 'tierwise[{extra}]'"
        )
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def refuse(line: str) -> None:
    """Print one line on stderr and exit with 2."""
    print(f"tierwise: {line}", file=sys.stderr)
    raise SystemExit(2) from None


def build() -> typer.Typer:
    """Make the application out of the commands below."""
    app = typer.Typer(
        help="Learn, check and use the cheapest model tier that keeps a quality floor.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # an error that nobody foresaw is shown as Python shows it
        rich_markup_mode=None,
    )
    for command in (init, ingest, audit, route, table, verify, export, gate, scoreboard, version):
        app.command()(command)
    return app


def show(value: Mapping[str, Any], as_json: bool, lines: Sequence[str] | None = None) -> None:
    """Print one JSON value, or for people `lines`, by default a table of names and values."""
    if as_json:
        print(json.dumps(value, ensure_ascii=False, sort_keys=True))
        return
    if lines is not None:
        print("\n".join(lines))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, cell in value.items():
        table.add_row(name.replace("_", " "), words(cell))
    Console(markup=False, highlight=False).print(table)


def words(cell: Any) -> str:
    """Write one value for people."""
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.4g}"
    if isinstance(cell, Mapping):
        return ", ".join(f"{name} {words(inner)}" for name, inner in cell.items()) or "none"
    if isinstance(cell, Sequence) and not isinstance(cell, str):
        return ", ".join(words(inner) for inner in cell) or "none"
    return str(cell)


def init(
    folder: Annotated[Path, typer.Argument(help="An existing folder.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Write example files. tiers.yaml, roles.yaml and params.yaml; what is there is kept.

    Example: tierwise init
    """
    from tierwise.data.starter import write_starter

    if not folder.is_dir():
        raise BadInput(f"no folder {folder}", "an existing folder", f"mkdir -p {folder}")
    written, kept = write_starter(folder)
    show({"written": written, "kept": kept}, as_json)


def ingest(
    path: Annotated[str, typer.Argument(help="A file, folder, glob or URL of traces.")],
    mapping: Annotated[
        str, typer.Option("--map", help="Other column names: text=prompt,tier=model.")
    ] = "",
    tiers: Annotated[str, typer.Option(help="A tier catalogue; inferred without one.")] = "",
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("artifacts/ingested"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check all, write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read logs into the trace table. Says what was refused and which floors the rest can carry.

    Example: tierwise ingest traces.jsonl --map text=prompt,tier=model --dry-run
    """
    from tierwise.data.ingest import IngestParams, ingest
    from tierwise.data.mapping import parse_mapping
    from tierwise.data.params import section

    file = Path("params.yaml")
    params = section(file, "ingest", IngestParams) if file.exists() else IngestParams()
    summary = ingest(path, out, tiers, parse_mapping(mapping), params, dry_run)
    where = "nothing written" if dry_run else f"written to {out}"
    show(summary.as_dict(), as_json, [*summary.lines(), where])


def audit(
    traces: Annotated[Path, typer.Argument(help="A trace table, or the folder of a run.")],
    as_json: AsJson = False,
) -> None:
    """Say where the money goes. By role and tier, and where a cheaper tier is worth a trial.

    Example: tierwise audit artifacts/fleet
    """
    from tierwise.eval.audit import audit

    found = audit(traces / "traces.parquet" if traces.is_dir() else traces)
    show(found, as_json, found["lines"])


def route(
    policy: Annotated[Path, typer.Argument(help="The folder of a bundle.")],
    text: Annotated[str, typer.Argument(help="What the model would be asked.")],
    role: Annotated[str | None, typer.Option(help="Who asks: planner, worker, ...")] = None,
    context: Annotated[
        list[str] | None, typer.Option(help="Another column, as name=value; repeatable.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what decided, and which words moved it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Decide one step. Which tier a policy serves, why, and what it expects of each.

    Example: tierwise route artifacts/fleet/policy "Extract the invoice date" --role worker
    """
    from tierwise.serve import Router

    columns: dict[str, Any] = dict(column_of(pair) for pair in context or [])
    router = Router.load(policy)
    told = router.explain(text, role=role, **columns) if explain else None
    made = told.decision if told else router.decide(text, role=role, **columns)
    estimates = {kind: row for kind, row in made.estimates().items() if row}
    expected = {
        name: {kind: row[place] for kind, row in estimates.items()}
        for place, name in enumerate(router.manifest.tier_names)
    }
    found: dict[str, Any] = {
        name: getattr(made, name)
        for name in ("tier", "reason", "policy_version", "next_tier", "check", "lead", "ood")
    }
    found |= {"ignored": made.ignored, "ignored_because": dict(router.ignored)}
    found["faults"] = dict(router.faults)
    if as_json:
        found["expected"] = expected
        found |= {"explanation": told.as_dict()} if told else {}
    elif not told:
        found |= {f"expected of {name}": numbers for name, numbers in expected.items()}
    show(known(found), as_json)
    if told and not as_json:
        from tierwise.serve.explain_text import lines

        print("", *lines(told), sep="\n")


def column_of(pair: str) -> tuple[str, str | float]:
    """Read `has_schema=true` as a column and its value."""
    name, sign, value = pair.partition("=")
    if not sign or name in ("", "role", "step"):
        raise BadInput(f"--context {pair}", "name=value", "write --context has_schema=true")
    if value in ("true", "false"):
        return name, float(value == "true")
    try:
        return name, float(value)
    except ValueError:
        return name, value


def known(value: Any) -> Any:
    """Return a JSON value in which a number that is not known is null."""
    if isinstance(value, Mapping):
        return {name: known(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [known(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def verify(
    policy: Annotated[Path, typer.Argument(help="The folder of a bundle.")],
    as_json: AsJson = False,
) -> None:
    """Check a bundle. Hashes, operators, golden decisions; exit code 1 where one of them is wrong.

    Example: tierwise verify artifacts/fleet/policy
    """
    from tierwise.router_model.bundle import verify_bundle
    from tierwise.router_model.manifest import BundleError

    if not policy.is_dir():
        raise BadInput(f"no folder {policy}", "a bundle", "give the folder of manifest.json")
    try:
        verify_bundle(policy)
    except BundleError as error:
        show({"sound": False, "fault": str(error)}, as_json)
        raise SystemExit(1) from None
    show({"sound": True, "fault": None}, as_json, [f"{policy}: sound"])


def table(
    policy: Annotated[Path, typer.Argument(help="The folder of a bundle.")],
    traces: Annotated[
        Path | None, typer.Argument(help="A trace table or a run; the policy's own run without.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a policy as a table. Usual tier, quality kept and cost by role and task, money first.

    Example: tierwise table artifacts/fleet/policy
    """
    import numpy as np

    from tierwise.eval.policy_lines import lines
    from tierwise.eval.policy_table import policy_table

    found = policy_table(policy, traces, np.random.default_rng(0))
    show(found, as_json, lines(found))


def export(
    role_table: Annotated[Path, typer.Option("--role-table", help="roles.yaml")],
    tiers: Annotated[Path, typer.Option(help="The tier catalogue.")],
    out: Annotated[Path, typer.Option(help="The folder of the bundle.")],
    as_json: AsJson = False,
) -> None:
    """Write a bundle of the role table alone. Version 0 of a policy, before anything is learned.

    Example: tierwise export --role-table roles.yaml --tiers tiers.yaml --out policy
    """
    from tierwise.router_model import role_bundle

    role_bundle.write(role_table, tiers, out)
    show({"written": str(out)}, as_json)


def gate(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    params: Annotated[Path, typer.Option(help="The parameters.")] = Path("params.yaml"),
    as_json: AsJson = False,
) -> None:
    """Ask whether a bundle may serve. Exit code 1 means no.

    Example: tierwise gate artifacts/fleet
    """
    from tierwise.eval.gate import gate

    verdict = gate(run, params)
    lines = [f"gate: {'passed' if verdict.passed else 'refused'}"]
    lines += [f"  {rule.verdict:<5}{rule.name}: {rule.words}" for rule in verdict.rules]
    show(verdict.as_dict(), as_json, lines)
    if not verdict.passed:
        raise SystemExit(1)


def scoreboard(
    folder: Annotated[
        Path | None, typer.Argument(help="Of trace tables; $TIERWISE_TABLES or ../shared/data.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--json", help="Where the figures go; .md and .html beside it.")
    ] = Path("artifacts/scoreboard/scoreboard.json"),
    tables: Annotated[str, typer.Option(help="Names without .parquet, joined by commas.")] = "",
    folds: Annotated[int, typer.Option(help="Of split units.")] = 5,
    seed: Annotated[int, typer.Option(help="The first draw of the folds.")] = 0,
    seeds: Annotated[int, typer.Option(help="How many draws of the folds.")] = 1,
    jobs: Annotated[int, typer.Option(help="Processes of one thread each.")] = 2,
    peers: Annotated[
        bool, typer.Option("--peers", help="Ask LiteLLM and UncommonRoute too, after make peers.")
    ] = False,
    scores: Annotated[
        Path | None, typer.Option(help="Scores of other routers: an .npz or a folder of them.")
    ] = None,
) -> None:
    """Judge the router beside every control. Out of fold, on all full-feedback tables of a folder.

    Example: tierwise scoreboard ../shared/data --tables routellm_gsm8k --seeds 2
    """
    from tierwise.eval.scoreboard import run_command

    run_command(folder, out, tables, folds, seed, seeds, jobs, peers, scores)


def version(as_json: AsJson = False) -> None:
    """Say which version this is.

    Example: tierwise version
    """
    show({"tierwise": installed_version("tierwise"), "python": sys.version.split()[0]}, as_json)
