"""What a new folder and a new installation are asked first: `init`, `version`."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer

from tierwise.commands.output import AsJson, show
from tierwise.data.errors import BadInput


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


def version(as_json: AsJson = False) -> None:
    """Say which version this is.

    Example: tierwise version
    """
    show({"tierwise": installed_version("tierwise"), "python": sys.version.split()[0]}, as_json)
