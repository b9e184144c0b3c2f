"""A policy at work: `route` for one step, `serve` over HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tierwise.commands.output import AsJson, known, show
from tierwise.data.errors import BadInput


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
