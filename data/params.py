"""params.yaml: one section a stage; a key that no stage knows is refused with the nearest one."""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tierwise.data.errors import BadInput

T = TypeVar("T")


def section(path: Path, name: str, kind: type[T]) -> T:
    """Read one section of params.yaml into a frozen dataclass.

    Parameters
    ----------
    path : Path
        The YAML file.
    name : str
        The section, named like its stage.
    kind : type
        A dataclass whose fields, with their defaults, are all the keys the section may have.

    Raises
    ------
    BadInput
        For a missing file, an unknown key, or a value of another type than the field's default.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise BadInput(f"no file {path}", "params.yaml", "run in the project's folder") from None
    except yaml.YAMLError as error:
        raise BadInput(f"{path} is not YAML ({error})", "a mapping", "mend the file") from None
    values = (content.get(name) or {}) if isinstance(content, dict) else None
    if not isinstance(values, dict):
        raise BadInput(
            f"section {name} of {path} is no mapping", "key: value lines", "mend the file"
        )
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1) or sorted(fields)[:1]
            raise BadInput(
                f"unknown key {name}.{key} in {path}",
                f"one of {', '.join(sorted(fields))}",
                f"did you mean {name}.{near[0]}?",
            )
        values[key] = _checked(value, fields[key].default, f"{name}.{key}", path)
    return kind(**values)


def _checked(value: Any, default: Any, key: str, path: Path) -> Any:
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    if isinstance(value, bool) is not isinstance(default, bool) or not isinstance(
        value, type(default)
    ):
        wanted = type(default).__name__
        raise BadInput(f"{key} = {value!r} in {path}", f"a value of type {wanted}", "mend the file")
    return value
