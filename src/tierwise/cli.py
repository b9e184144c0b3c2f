"""The `tierwise` command. Each one in `tierwise.commands` imports what it needs when it is called.

Exit codes: 0 done, 1 the answer is no, 2 wrong use or bad input, with one line that says what was
found, what was expected and what to do. Without the extra a command needs, that line names it.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from tierwise.data.errors import BadInput, unreadable

if TYPE_CHECKING:
    import typer

EXTRA_OF = {"typer": "cli", "rich": "cli", "numpy": "serve", "onnxruntime": "serve"}  # else train
EXTRA_OF |= dict.fromkeys(("fastapi", "starlette", "uvicorn", "prometheus_client"), "http")


def main() -> None:
    """Run the command line; this is the console script."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # names in any script, on any terminal
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
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
    """Make the application out of its commands."""
    import typer

    from tierwise.commands import bundle, judge, label, logs, promotion, rules, serving, start

    app = typer.Typer(
        help="Learn, check and use the cheapest model tier that keeps a quality floor.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # an error that nobody foresaw is shown as Python shows it
        rich_markup_mode=None,
    )
    commands = (
        start.init, logs.ingest, logs.audit, serving.route, bundle.table, judge.evaluate,
        bundle.verify, bundle.sign, bundle.export, promotion.gate, promotion.promote,
        promotion.rollback, judge.scoreboard, judge.bench, serving.serve, start.version,
    )  # fmt: skip
    for command in commands:
        app.command()(command)
    ruling = typer.Typer(
        help="Set the rules that no score can break, and list them.", no_args_is_help=True
    )
    ruling.command("apply")(rules.rules_apply)
    ruling.command("show")(rules.rules_show)
    app.add_typer(ruling, name="rules")
    labeling = typer.Typer(
        help="Get other tiers' answers to logged steps, and have answers judged.",
        no_args_is_help=True,
    )
    labeling.command("plan")(label.label_plan)
    labeling.command("run")(label.label_run)
    app.add_typer(labeling, name="label")
    return app
