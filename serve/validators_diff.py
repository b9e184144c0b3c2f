"""Check that an output is a unified diff that applies; nothing is written anywhere."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tierwise.data.errors import BadInput
from tierwise.serve.validators import LARGEST, PASS, Check, Validator, fail, text_of_output

if TYPE_CHECKING:
    from unidiff.patch import PatchedFile


def diff_applies(files: Mapping[str, str]) -> Validator:
    """Check that the output is a unified diff whose every hunk fits these files.

    A hunk fits where its context and removed lines stand in the file as they are, after the hunk
    before it; as with `git apply`, the line numbers of the diff may be off. Line ends are not
    compared. A change of a binary file is unchecked.

    Parameters
    ----------
    files : mapping of str to str
        Content before the change, by path as in the diff without `a/` and `b/`. A file that is
        not here does not exist.

    Raises
    ------
    BadInput
        Where unidiff is not installed.
    """
    try:
        from unidiff.errors import UnidiffParseError
        from unidiff.patch import PatchSet
    except ImportError:
        raise BadInput(
            "no unidiff", "it for checks of diffs", "pip install 'tierwise[validators]'"
        ) from None

    def check(output: Any) -> Check:
        text = text_of_output(output)
        if len(text) > LARGEST:
            return Check("unchecked", f"{len(text)} characters")
        try:
            patches = PatchSet(io.StringIO(text if text.endswith("\n") else text + "\n"))
        except UnidiffParseError as error:
            return fail(f"no unified diff: {error}")
        if not patches:
            return fail("no unified diff")
        for patch in patches:
            if patch.is_binary_file:
                return Check("unchecked", f"{patch.path} is a binary file")
            why = _misfit(patch, files)
            if why is not None:
                return fail(f"{patch.path}: {why}")
        return PASS

    return check


def _misfit(patch: PatchedFile, files: Mapping[str, str]) -> str | None:
    if patch.is_added_file:
        return "is there already" if patch.path in files else None
    path = patch.source_file.removeprefix("a/")
    if path not in files:
        return f"no file {path}"
    if not patch and patch.is_modified_file and not patch.is_rename:
        return "no hunk"
    lines = [line.removesuffix("\r") for line in files[path].removesuffix("\n").split("\n")]
    done = 0
    for number, hunk in enumerate(patch, start=1):
        there = [line for line in hunk if line.is_context or line.is_removed]
        wanted = [line.value.rstrip("\r\n") for line in there]
        stated = hunk.source_start - 1 if wanted else hunk.source_start
        place = _find(wanted, lines, done, stated)
        if place is None:
            return f"hunk {number} does not fit"
        done = place + len(wanted)
    if patch.is_removed_file and done < len(lines):
        return "is removed with lines that the diff does not have"
    return None


def _find(wanted: Sequence[str], lines: Sequence[str], first: int, stated: int) -> int | None:
    """Return where `wanted` stands in `lines`, from `first` on and nearest to `stated`."""
    places = range(first, len(lines) - len(wanted) + 1)
    nearest = sorted(places, key=lambda place: abs(place - stated))
    size = len(wanted)
    return next((at for at in nearest if list(lines[at : at + size]) == list(wanted)), None)
