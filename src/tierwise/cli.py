"""The `tierwise` command. Each command imports what it needs when it is called.

Exit codes: 0 done, 1 the answer is no, 2 wrong use or bad input, with one line that says what was
found, what was expected and what to do. Without the extra a command needs, that line names it.
"""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version as installed_version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tierwise.data.errors import BadInput, unreadable

EXTRA_OF = {"typer": "cli", "rich": "cli", "numpy": "serve", "onnxruntime": "serve"}  # else train
EXTRA_OF |= dict.fromkeys(("fastapi", "starlette", "uvicorn", "prometheus_client"), "http")

if TYPE_CHECKING or find_spec("typer"):  # without it, main still has to say what is missing
    import typer

    AsJson = Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")]


def main() -> None:
    """Run the command line; this is the console script."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # names in any script, on any terminal
        sys.stdout.reconfigure(errors="backslashreplace")
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
    except OSError as error:
        refuse(str(unreadable(error)))


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
    commands = (
        init, ingest, audit, route, table, evaluate, verify, sign, export, gate,
        promote, rollback, scoreboard, bench, serve, version,
    )  # fmt: skip
    for command in commands:
        app.command()(command)
    rules = typer.Typer(
        help="Set the rules that no score can break, and list them.", no_args_is_help=True
    )
    rules.command("apply")(rules_apply)
    rules.command("show")(rules_show)
    app.add_typer(rules, name="rules")
    labels = typer.Typer(
        help="Get other tiers' answers to logged steps, and have answers judged.",
        no_args_is_help=True,
    )
    labels.command("plan")(label_plan)
    labels.command("run")(label_run)
    app.add_typer(labels, name="label")
    return app


def show(value: Mapping[str, Any], as_json: bool, lines: Sequence[str] | None = None) -> None:
    """Print one JSON value, or for people `lines`, by default a table of names and values."""
    if as_json:
        escaped = sys.stdout.encoding.lower() != "utf-8"
        print(json.dumps(value, ensure_ascii=escaped, sort_keys=True))
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
    """Write example files. tiers, roles, rules and params .yaml; what is there is kept.

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


def label_plan(
    traces: Annotated[Path, typer.Argument(help="The folder of a run, or a trace table.")],
    budget_usd: Annotated[float, typer.Option(help="For all calls, the judge's too.")],
    tiers: Annotated[
        str, typer.Option(help="Replay on these, joined by commas; without: all; none: no replay.")
    ] = "",
    judge: Annotated[
        bool, typer.Option("--judge", help="Judge replays, and logged answers without quality.")
    ] = False,
    judge_tier: Annotated[str, typer.Option(help="Who judges; the dearest tier without.")] = "",
    per_role: Annotated[
        str, typer.Option(help="At least so many steps of a role: critic=200,coder=100.")
    ] = "",
    max_tokens: Annotated[int, typer.Option(help="Longest answer.")] = 1024,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    catalogue: Annotated[
        Path | None, typer.Option(help="A tier catalogue in YAML, with prices.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The plan's file.")] = Path("plan.json"),
    as_json: AsJson = False,
) -> None:
    """Plan which traces to label. Shows the price, and which promise the labels will allow.

    Example: tierwise label plan artifacts/fleet --budget-usd 20 --judge --out plan.json
    """
    from tierwise.data.label_command import plan_labels
    from tierwise.data.label_open import Request

    asked = Request(budget_usd, (), max_tokens=max_tokens, seed=seed)
    told, lines = plan_labels(traces, catalogue, tiers, judge, judge_tier, per_role, asked, out)
    show(told, as_json, lines)


def label_run(
    plan: Annotated[Path, typer.Argument(help="What label plan wrote.")],
    traces: Annotated[Path, typer.Argument(help="The log that the plan was made of.")],
    endpoint: Annotated[
        str, typer.Option(help="An OpenAI-compatible API: http://127.0.0.1:4000/v1.")
    ] = "",
    function: Annotated[
        str, typer.Option("--callable", help="Or a function of yours: module:function.")
    ] = "",
    judge_endpoint: Annotated[str, typer.Option(help="The same, for the judge.")] = "",
    judge_function: Annotated[
        str, typer.Option("--judge-callable", help="The same, for the judge.")
    ] = "",
    rubric: Annotated[
        Path | None, typer.Option(help="Instructions of a judge behind an endpoint.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder of the results.")] = Path(
        "artifacts/labels"
    ),
    budget_usd: Annotated[
        float, typer.Option(help="Cap on all runs into this folder; the plan's without.")
    ] = math.nan,
    concurrency: Annotated[int, typer.Option(help="Calls at a time.")] = 4,
    double_judged: Annotated[float, typer.Option(help="Share judged twice.")] = 0.1,
    models: Annotated[
        str, typer.Option(help="What the endpoint calls the tiers: small=gpt-5-mini.")
    ] = "",
    catalogue: Annotated[Path | None, typer.Option(help="As for the plan.")] = None,
    key_variable: Annotated[
        str, typer.Option("--key-env", help="The environment variable with the API key.")
    ] = "OPENAI_API_KEY",
    judge_key_variable: Annotated[
        str, typer.Option("--judge-key-env", help="The same, for the judge.")
    ] = "OPENAI_API_KEY",
    timeout_s: Annotated[float, typer.Option(help="For one answer.")] = 120.0,
    tries: Annotated[int, typer.Option(help="Of one call, after 429 and 5xx.")] = 4,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Call again what failed for good.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Carry a plan out. Goes on where it stopped; exit code 1 where something is still missing.

    Example: tierwise label run plan.json artifacts/fleet --endpoint http://127.0.0.1:4000/v1
    """
    from tierwise.data.label_command import Who, run_labels
    from tierwise.data.label_work import Limits

    answers = Who(endpoint, function, key_variable, timeout_s)
    judges = Who(judge_endpoint, judge_function, judge_key_variable, timeout_s)
    limits = Limits(budget_usd, concurrency, tries)
    try:
        report = run_labels(
            plan, traces, catalogue, out, answers, judges, rubric, double_judged, models,
            limits, retry_errors,
        )  # fmt: skip
    except KeyboardInterrupt:
        print(
            f"tierwise: interrupted; {out / 'journal.jsonl'} has every answer so far, and the "
            "same command goes on",
            file=sys.stderr,
        )
        raise SystemExit(130) from None
    show(report.as_dict(), as_json, [*report.lines(), f"written to {out}"])
    if not report.complete:
        raise SystemExit(1)


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
    shown = ("tier", "reason", "rule", "policy_version", "next_tier", "check", "lead", "ood")
    found: dict[str, Any] = {name: getattr(made, name) for name in shown}
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
    public_key: Annotated[
        Path | None, typer.Option(help="An ed25519 key in PEM that has to have signed it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a bundle. Hashes, operators, golden decisions; exit code 1 where one of them is wrong.

    Example: tierwise verify artifacts/fleet/policy --public-key release.pub
    """
    from tierwise.router_model.bundle import verify_bundle
    from tierwise.router_model.manifest import BundleError

    if not policy.is_dir():
        raise BadInput(f"no folder {policy}", "a bundle", "give the folder of manifest.json")
    try:
        verify_bundle(policy, public_key=public_key)
    except BundleError as error:
        show({"sound": False, "fault": str(error)}, as_json)
        raise SystemExit(1) from None
    how = f"sound, signed by {public_key}" if public_key else "sound"
    show({"sound": True, "fault": None}, as_json, [f"{policy}: {how}"])


def sign(
    policy: Annotated[Path, typer.Argument(help="The folder of a bundle.")],
    key: Annotated[Path, typer.Option(help="An ed25519 private key in PEM, without a password.")],
    as_json: AsJson = False,
) -> None:
    """Sign a bundle that is sound. Writes manifest.sig beside its manifest.

    Example: tierwise sign artifacts/fleet/policy --key release.pem
    """
    from tierwise.router_model.sign import sign_bundle

    if not policy.is_dir():
        raise BadInput(f"no folder {policy}", "a bundle", "give the folder of manifest.json")
    digest = sign_bundle(policy, key)
    show({"signed": digest}, as_json, [f"{policy}: signed, manifest {digest}"])


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


def evaluate(
    policy: Annotated[Path, typer.Argument(help="The folder of a bundle.")],
    traces: Annotated[Path, typer.Argument(help="A trace table, or the folder of a run.")],
    against: Annotated[Path | None, typer.Option(help="Another bundle, on the same steps.")] = None,
    role_table: Annotated[
        Path, typer.Option("--role-table", help="Among the baselines; the default one without.")
    ] = Path("roles.yaml"),
    as_json: AsJson = False,
) -> None:
    """Judge a policy on logs. What it would have cost and kept there, or why that is unknown.

    Example: tierwise evaluate artifacts/fleet/policy later_traces.parquet --against other/policy
    """
    from tierwise.eval.off_policy_command import evaluate
    from tierwise.eval.off_policy_lines import lines

    told = evaluate(policy, traces, against, role_table)
    show(known(told.found), as_json, lines(told.found))
    if told.error:
        raise told.error


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
    pull: Annotated[
        bool, typer.Option("--pull", help="First fetch the champion into the run's champion/.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask whether a bundle may serve. Exit code 1 means no.

    Example: tierwise gate artifacts/fleet --pull
    """
    from tierwise.eval import champion
    from tierwise.eval.gate import CHAMPION, gate, lines

    if pull:
        champion.pull(run, run / CHAMPION)
    verdict = gate(run, params)
    show(verdict.as_dict(), as_json, lines(verdict))
    if not verdict.passed:
        raise SystemExit(1)


def promote(
    asked: Annotated[
        str, typer.Argument(metavar="RUN|VERSION", help="A run's folder, or tierwise-fleet/3.")
    ],
    why: Annotated[str, typer.Option(help="The reason, kept with the version.")],
    params: Annotated[Path, typer.Option(help="The parameters.")] = Path("params.yaml"),
    despite_gate: Annotated[
        bool, typer.Option("--despite-gate", help="Also where the gate says no; is kept as a tag.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a bundle champion, if the gate lets it. Exit code 1 means no, and names the rules.

    Example: tierwise promote artifacts/fleet --why "cheaper since the prices of May"
    """
    from tierwise.eval.promote import promote, target

    run, version = target(asked)
    moved = promote(run, version, why, params=params, despite_gate=despite_gate)
    show(moved.as_dict(), as_json, moved.lines())
    if not moved.done:
        raise SystemExit(1)


def rollback(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    why: Annotated[str, typer.Option(help="The reason, kept with the version.")],
    to: Annotated[
        str | None, typer.Option(help="An earlier champion; the last one without.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the champion before the present one champion again. No gate is asked.

    Example: tierwise rollback artifacts/fleet --why "planner answers got worse"
    """
    from tierwise.eval.promote import rollback

    moved = rollback(run, to, why)
    show(moved.as_dict(), as_json, moved.lines())


def rules_apply(
    policy: Annotated[Path, typer.Argument(help="The folder of a bundle.")],
    rules: Annotated[Path, typer.Argument(help="rules.yaml: all rules that are to hold.")],
    out: Annotated[
        Path | None, typer.Option(help="Where the new bundle goes; in place of the old without.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a new version of a bundle with these rules. The graph stays, nothing is trained.

    Example: tierwise rules apply artifacts/fleet/policy rules.yaml --out policy
    """
    from tierwise.router_model.rules_apply import apply_rules

    if not policy.is_dir():
        raise BadInput(f"no folder {policy}", "a bundle", "give the folder of manifest.json")
    manifest, warned = apply_rules(policy, rules, out)
    where, version = str(out or policy), manifest.policy_version
    lines = [f"{where}: policy {version}", *(f"warning: {one}" for one in warned)]
    show({"written": where, "policy_version": version, "warnings": warned}, as_json, lines)


def rules_show(
    policy: Annotated[Path, typer.Argument(help="The folder of a bundle.")],
    traces: Annotated[
        Path | None, typer.Option(help="A trace table or a run, to say what the pins cost on it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the rules of a bundle. Every pin with its steps, its tiers and why, then the rest.

    Example: tierwise rules show policy --traces artifacts/fleet
    """
    from tierwise.router_model.rules_apply import audit, lines

    if not policy.is_dir():
        raise BadInput(f"no folder {policy}", "a bundle", "give the folder of manifest.json")
    found = audit(policy, traces)
    show(found, as_json, lines(found))


def bench(
    policy: Annotated[Path, typer.Argument(help="The folder of a bundle.")],
    rounds: Annotated[int, typer.Option(help="Each times every case once, in random order.")] = 15,
    peer: Annotated[
        Path, typer.Option(help="Python of an environment with LiteLLM, see make peers.")
    ] = Path(".venv-peers/bin/python"),
    as_json: AsJson = False,
) -> None:
    """Time decisions. From text to tier, beside an empty call, an encoder and LiteLLM's heuristic.

    Example: tierwise bench artifacts/fleet/policy
    """
    import numpy as np

    from tierwise.eval.bench import bench as run
    from tierwise.eval.bench import lines
    from tierwise.serve import Router

    router = Router.load(policy)
    cheapest = router.manifest.tier_names[0]
    found = run(
        lambda text: router.decide(text, role="worker"),
        lambda text: router.decide(text, role="worker", pin=cheapest),
        lambda: Router.load(policy),
        policy,
        rounds,
        peer if peer.exists() else None,
        np.random.default_rng(0),
    )
    show(found.as_dict(), as_json, lines(found))


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


def serve(
    policy: Annotated[Path, typer.Argument(help="The folder of a bundle.")],
    host: Annotated[str, typer.Option(help="Beyond loopback only with keys.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8700,
    api_key_file: Annotated[Path | None, typer.Option(help="API keys, one a line.")] = None,
    outcomes: Annotated[
        Path | None, typer.Option(help="Append outcomes here, with the text of their steps.")
    ] = None,
    max_body: Annotated[int, typer.Option(min=1, help="Bytes of a request.")] = 1024 * 1024,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Steps a second of one key; no limit without.")
    ] = None,
    reload: Annotated[
        float, typer.Option(min=0, help="Seconds between looks for a newer bundle; 0 is never.")
    ] = 30.0,
    log_decisions: Annotated[
        bool, typer.Option(help="Whether each decision is a line of the log.")
    ] = True,
    log_text: Annotated[
        bool, typer.Option("--log-text", help="Log the text of each step, too.")
    ] = False,
    public_key: Annotated[
        Path | None, typer.Option(help="An ed25519 key in PEM that has to have signed bundles.")
    ] = None,
    accepted: Annotated[
        Path | None, typer.Option(help="Remember here what was served; older bundles are refused.")
    ] = None,
    allow_older: Annotated[
        bool, typer.Option("--allow-older", help="Take older bundles too, to go back.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Serve a policy over HTTP. Logs JSON lines on stderr; SIGTERM or Ctrl-C stops it.

    Example: tierwise serve artifacts/fleet/policy --port 8700
    """
    from tierwise.serve.http_limits import read_keys
    from tierwise.serve.http_server import Source, run
    from tierwise.serve.http_service import Settings

    def announce(where: dict[str, Any]) -> None:
        at = f"[{where['host']}]" if ":" in where["host"] else where["host"]
        line = f"policy {where['policy_version']} at http://{at}:{where['port']}"
        show(where, as_json, [line])
        sys.stdout.flush()

    keys = () if api_key_file is None else read_keys(api_key_file)
    settings = Settings(keys, max_body, rate, outcomes, log_decisions, log_text)
    source = Source(policy, reload, public_key, accepted, allow_older)
    run(source, host, port, settings, announce)


def version(as_json: AsJson = False) -> None:
    """Say which version this is.

    Example: tierwise version
    """
    show({"tierwise": installed_version("tierwise"), "python": sys.version.split()[0]}, as_json)
