"""What every command says: one JSON value for machines, lines or a table for people."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")]


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


def known(value: Any) -> Any:
    """Return a JSON value in which a number that is not known is null."""
    if isinstance(value, Mapping):
        return {name: known(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [known(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
