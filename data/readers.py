"""Files of traces, read in batches: Parquet, JSON lines and CSV, from a path, a folder or a URL."""

from __future__ import annotations

import csv
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import fsspec
import pandas as pd
import pyarrow
import pyarrow.parquet

from tierwise.data.errors import BadInput
from tierwise.data.messages import utf8

BATCH_ROWS = 8192
BATCH_BYTES = 16 * 2**20
"""A batch ends at either: rows bound the time of a step, bytes the memory that long texts take."""

_LARGEST_CELL = 2**28
"""Python refuses CSV cells over 128 kB unless told; an unclosed quote still has to end."""

_FORMATS = "Parquet (.parquet, .pq), JSON lines (.jsonl, .ndjson, .json) or CSV (.csv)"
_UNREADABLE = (OSError, EOFError, pyarrow.ArrowException, csv.Error, zlib.error, lzma.LZMAError)
_PACKED = (".gz", ".bz2", ".xz")


@dataclass(frozen=True)
class Batch:
    """Rows as they stand in a file.

    Attributes
    ----------
    file : str
        Path below the source; the file's name where the source is one file.
    rows : list of int
        Record number of each row in its file, from 1; in JSON lines the number of the line.
    frame : DataFrame, (n_rows, columns of the file)
        The cells, untyped.
    broken : list of (int, str)
        Records that are no row, with their reason.
    """

    file: str
    rows: list[int]
    frame: pd.DataFrame
    broken: list[tuple[int, str]]


def read_batches(source: str) -> Iterator[Batch]:
    """Read all files of a source, one batch at a time, in the order of their names.

    Parameters
    ----------
    source : str
        A file, a folder, a glob, or a URL that fsspec knows (`s3://bucket/traces/`).

    Raises
    ------
    BadInput
        Where there is no such file, or one that cannot be read.
    """
    filesystem, files = _files(source)
    for path, name in files:
        read = _reader(path)
        if read is None:
            raise BadInput(f"{name} has an unknown format", _FORMATS, "convert it or rename it")
        try:
            with filesystem.open(path, "rb", compression=_compression(path)) as stream:
                yield from read(stream, name)
        except UnicodeDecodeError as error:
            raise BadInput(
                f"{name} is not UTF-8 ({_first_line(error)})",
                "text in UTF-8",
                "convert it: iconv -f latin1 -t utf-8",
            ) from None
        except _UNREADABLE as error:
            raise BadInput(
                f"{name} cannot be read ({_first_line(error)})",
                f"a whole file in {_FORMATS}",
                "write or copy the file again",
            ) from None


def _files(source: str) -> tuple[Any, list[tuple[str, str]]]:
    try:
        filesystem, root = fsspec.core.url_to_fs(source)
        if filesystem.isdir(root):
            paths = [path for path in filesystem.find(root) if _is_data(path, root)]
        elif filesystem.exists(root):
            paths = [root]
        else:
            paths = [path for path in filesystem.glob(root) if filesystem.isfile(path)]
            root = ""
    except (ImportError, ValueError, OSError) as error:
        found = f"{source} cannot be reached ({_first_line(error)})"
        raise BadInput(found, "a path or a URL", "mend the path") from None
    if not paths:
        raise BadInput(f"no file at {source}", _FORMATS, "mend the path")
    return filesystem, [(path, _name(path, root)) for path in sorted(paths)]


def _is_data(path: str, root: str) -> bool:
    """Tell files of a known format from what tools leave in a folder, as in `_SUCCESS`."""
    hidden = any(part.startswith((".", "_")) for part in _name(path, root).split("/"))
    return not hidden and _reader(path) is not None


def _name(path: str, root: str) -> str:
    below = path.removeprefix(root).strip("/") if root else ""
    return below or path.rsplit("/", 1)[-1]


def _compression(path: str) -> str | None:
    return "infer" if path.lower().endswith(_PACKED) else None


def _reader(path: str) -> Callable[[IO[bytes], str], Iterator[Batch]] | None:
    stem = path.lower()
    for suffix in _PACKED:
        stem = stem.removesuffix(suffix)
    if stem.endswith((".parquet", ".pq")):
        return _parquet
    if stem.endswith((".jsonl", ".ndjson", ".json")):
        return _json_lines
    return _csv if stem.endswith(".csv") else None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _parquet(stream: IO[bytes], name: str) -> Iterator[Batch]:
    with pyarrow.parquet.ParquetFile(stream, buffer_size=2**20, pre_buffer=False) as file:
        size = sum(file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups))
        wide = max(size // max(file.metadata.num_rows, 1), 1)
        n_rows = int(min(BATCH_ROWS, max(BATCH_BYTES // wide, 1)))
        first = 1
        if not file.metadata.num_rows:  # its columns are still worth a look
            yield Batch(name, [], file.schema_arrow.remove_metadata().empty_table().to_pandas(), [])
        for batch in file.iter_batches(batch_size=n_rows):
            plain = batch.replace_schema_metadata()  # pandas fails on damaged notes of its own
            plain.validate(full=True)  # strings that are no UTF-8 would fail much later
            frame = plain.to_pandas(types_mapper=_EXACT.get)
            yield Batch(name, list(range(first, first + len(frame))), frame, [])
            first += len(frame)


_EXACT = {  # integers with nulls would become floats, and identifiers with them
    pyarrow.int8(): pd.Int8Dtype(),
    pyarrow.int16(): pd.Int16Dtype(),
    pyarrow.int32(): pd.Int32Dtype(),
    pyarrow.int64(): pd.Int64Dtype(),
    pyarrow.uint8(): pd.UInt8Dtype(),
    pyarrow.uint16(): pd.UInt16Dtype(),
    pyarrow.uint32(): pd.UInt32Dtype(),
    pyarrow.uint64(): pd.UInt64Dtype(),
    pyarrow.bool_(): pd.BooleanDtype(),
}


def _json_lines(stream: IO[bytes], name: str) -> Iterator[Batch]:
    rows: list[int] = []
    records: list[dict[str, Any]] = []
    broken: list[tuple[int, str]] = []
    held = 0
    for number, line in enumerate(stream, start=1):
        if number == 1 and line.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            raise BadInput(
                f"{name} is one JSON array",
                "JSON lines: one object a line",
                f"write it as lines: jq -c '.[]' {name} > traces.jsonl",
            )
        if not line.strip():
            continue
        record = _object(line)
        if isinstance(record, str):
            broken.append((number, record))
        else:
            rows.append(number)
            records.append(record)
        held += len(line)
        if len(rows) + len(broken) >= BATCH_ROWS or held >= BATCH_BYTES:
            yield Batch(name, rows, _objects(records), broken)
            rows, records, broken, held = [], [], [], 0
    if rows or broken:
        yield Batch(name, rows, _objects(records), broken)


def _object(line: bytes) -> dict[str, Any] | str:
    """Read one line, or say why it cannot be."""
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return "not UTF-8"
    except (ValueError, RecursionError):
        return "not JSON"
    return record if isinstance(record, dict) else "not a JSON object"


def _objects(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    names = dict.fromkeys(name for record in records for name in record)
    cells = {name: [record.get(name) for record in records] for name in names}
    return pd.DataFrame(
        {utf8(name).decode(): pd.Series(c, dtype="object") for name, c in cells.items()},
        index=range(len(records)),
    )


def _csv(stream: IO[bytes], name: str) -> Iterator[Batch]:
    csv.field_size_limit(_LARGEST_CELL)
    with io.TextIOWrapper(stream, "utf-8-sig", newline="") as text:
        lines = csv.reader(text, strict=True)
        header = next(lines, [])
        rows: list[int] = []
        cells: list[list[str]] = []
        broken: list[tuple[int, str]] = []
        held = 0
        for number, record in enumerate(lines, start=1):
            if not record:
                continue
            if len(record) == len(header):
                rows.append(number)
                cells.append(record)
            else:
                broken.append((number, f"{len(record)} cells, {len(header)} in the header"))
            held += sum(map(len, record))
            if len(rows) + len(broken) >= BATCH_ROWS or held >= BATCH_BYTES:
                yield Batch(name, rows, _table(cells, header), broken)
                rows, cells, broken, held = [], [], [], 0
        yield Batch(name, rows, _table(cells, header), broken)


def _table(cells: Sequence[Sequence[str]], header: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(cells, columns=list(header), dtype="object")
