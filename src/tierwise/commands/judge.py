"""How good a policy is, and how fast: `evaluate`, `scoreboard`, `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tierwise.commands.output import AsJson, known, show


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
