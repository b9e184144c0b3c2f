from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.data.clean import clean
from tierwise.data.errors import BadInput
from tierwise.data.mapping import rename
from tierwise.data.readers import Batch, read_batches
from tierwise.data.schema import ARROW, COLUMNS, to_arrow

Row = dict[str, Any]
Log = Callable[..., list[Row]]


def frame_of(source: Path) -> pd.DataFrame:
    return pd.concat([batch.frame for batch in read_batches(str(source))], ignore_index=True)


def as_parquet(path: Path, rows: list[Row]) -> None:
    pd.DataFrame(rows).to_parquet(path)


def as_csv(path: Path, rows: list[Row]) -> None:
    pd.DataFrame(rows).to_csv(path, index=False)


def as_lines(path: Path, rows: list[Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "write"), [("a.parquet", as_parquet), ("a.csv", as_csv), ("a.jsonl", as_lines)]
)
def test_every_format_gives_the_same_traces(
    run: Any, log: Log, tmp_path: Path, name: str, write: Any
) -> None:
    rows = [row | {"text": f'a "b",\nc\0 \u00e9 {i}'} for i, row in enumerate(log())]
    write(tmp_path / name, rows)
    run.read(tmp_path / name)
    found = run.traces[["trace_id", "step_id", "text", "tier", "quality", "cost_usd"]]
    pd.testing.assert_frame_equal(found, pd.DataFrame(rows), check_dtype=False)


def test_a_folder_is_read_in_the_order_of_names_without_what_tools_leave_there(
    run: Any, log: Log, tmp_path: Path
) -> None:
    rows = log()
    folder = tmp_path / "logs"
    (folder / "deep").mkdir(parents=True)
    as_lines(folder / "b.jsonl", rows[300:])
    as_csv(folder / "a.csv", rows[:100])
    as_parquet(folder / "deep" / "c.parquet", rows[100:300])
    (folder / "_SUCCESS").touch()
    (folder / "_part.csv").write_text("half a")
    (folder / "notes.txt").write_text("no log")
    run.read(folder)
    parts = [rows[:100], rows[300:], rows[100:300]]
    assert run.traces["text"].to_list() == [row["text"] for part in parts for row in part]
    globbed = [batch.file for batch in read_batches(str(folder / "*.jsonl"))]
    assert globbed == ["b.jsonl"]


def test_a_url_and_a_packed_file_are_read(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in log()).encode()))
    batches = list(read_batches(path.as_uri()))
    assert sum(len(batch.frame) for batch in batches) == 400


def test_identifiers_that_are_numbers_stay_exact(tmp_path: Path) -> None:
    ids = pyarrow.array([2**53 + 1, None], type=pyarrow.int64())
    pyarrow.parquet.write_table(pyarrow.table({"trace_id": ids}), tmp_path / "a.parquet")
    table, _ = clean(frame_of(tmp_path / "a.parquet"))
    assert table["trace_id"][0] == str(2**53 + 1)
    assert table["trace_id"].isna()[1]


def test_arrow_types_of_all_kinds_are_understood(tmp_path: Path) -> None:
    columns = {
        "latency_s": pyarrow.array([1_500_000], type=pyarrow.duration("us")),
        "ts": pyarrow.array([date(2026, 3, 1)]),
        "role": pyarrow.array(["planner"]).dictionary_encode(),
        "group": pyarrow.array([3.0]),
        "propensities": pyarrow.array([{"small": 0.25, "large": 0.75}]),
        "text": pyarrow.array([[{"role": "user", "content": "hello"}]]),
        "cost_usd": pyarrow.array([pyarrow.scalar("0.25").cast(pyarrow.decimal128(8, 2))]),
        "quality": pyarrow.array([True]),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    table, _ = clean(frame_of(tmp_path / "a.parquet"))
    row = table.iloc[0]
    assert (row["latency_s"], row["cost_usd"], row["quality"]) == (1.5, 0.25, 1.0)
    assert row["ts"] == pd.Timestamp("2026-03-01", tz="UTC")
    assert (row["role"], row["group"], row["text"]) == ("planner", "3", "hello")
    assert json.loads(row["propensities"]) == {"small": 0.25, "large": 0.75}


def test_messages_become_text_in_every_format(run: Any, log: Log, tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]
    rows = log()
    as_lines(tmp_path / "a.jsonl", [row | {"text": messages} for row in rows])
    as_csv(tmp_path / "a.csv", [row | {"text": json.dumps(messages)} for row in rows])
    for name in ("a.jsonl", "a.csv"):
        run.read(tmp_path / name)
        assert set(run.traces["text"]) == {"hello\n\nbe brief"}


def test_a_csv_row_of_another_length_is_refused_with_its_number(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("trace_id,text\na,b\na,b,c\n\nd,e\n")
    (batch,) = read_batches(str(tmp_path / "a.csv"))
    assert batch.broken == [(2, "3 cells, 2 in the header")]
    assert batch.frame.to_numpy().tolist() == [["a", "b"], ["d", "e"]]


UNREADABLE = {
    "empty.parquet": (b"", "cannot be read"),
    "torn.parquet": (b"PAR1" + b"\0" * 100, "cannot be read"),
    "array.json": (b' [{"a": 1}]', "one JSON array"),
    "latin.csv": ("trace_id,text\na,\u00e9\n".encode("latin1"), "is not UTF-8"),
    "quote.csv": (b'trace_id,text\na,"b\n', "cannot be read"),
    "torn.jsonl.gz": (gzip.compress(b"{}\n" * 1000)[:20], "cannot be read"),
    "no.jsonl.gz": (b"plain", "cannot be read"),
    "log.txt": (b"hello", "unknown format"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read_is_bad_input(tmp_path: Path, name: str) -> None:
    content, found = UNREADABLE[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=found):
        list(read_batches(str(tmp_path / name)))


def test_a_truncated_parquet_is_bad_input_and_leaves_nothing(
    run: Any, log: Log, tmp_path: Path
) -> None:
    as_parquet(tmp_path / "a.parquet", log())
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=r"a\.parquet cannot be read"):
        run.read(tmp_path / "a.parquet")
    assert list(run.folder.iterdir()) == []


@pytest.mark.parametrize("source", ["nowhere.parquet", "none/*.csv", "nosuch://bucket/a.csv"])
def test_a_source_that_is_not_there_is_bad_input(tmp_path: Path, source: str) -> None:
    with pytest.raises(BadInput):
        list(read_batches(source if "//" in source else str(tmp_path / source)))


def read_all(name: str, content: bytes) -> list[Batch]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(content)
        return list(read_batches(f"{folder}/{name}"))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["a.jsonl", "a.csv", "a.parquet", "a.jsonl.gz"]), st.binary(max_size=200))
def test_any_bytes_are_read_or_bad_input(name: str, content: bytes) -> None:
    try:
        batches = read_all(name, content)
    except BadInput:
        return
    for batch in batches:
        assert len(batch.rows) == len(batch.frame)


any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=8)
    | st.sampled_from(["nan", "1e999", "2026-01-01", "0x10", "-0", "9999-12-31T23:59:59", 1e300]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
any_row = st.dictionaries(st.sampled_from(sorted(COLUMNS)), any_json, max_size=12)


@settings(max_examples=15, deadline=None)
@given(st.lists(any_row, min_size=1, max_size=12))
def test_any_json_row_becomes_a_row_of_the_table_or_has_a_reason(rows: list[Row]) -> None:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    for batch in read_all("a.jsonl", content):
        table, reasons = clean(rename(batch.frame, {}))
        assert to_arrow(table, ARROW).num_rows == len(rows)  # every cell is of its type
        assert all(reason is None or reason for reason in reasons)


def test_names_and_texts_with_unpaired_surrogates_do_no_harm(run: Any, log: Log) -> None:
    rows = [row | {"\ud800": 1, "role": "\udfff"} for row in log()]
    assert run(rows).left_out == ("\ufffd",)
    assert set(run.traces["role"]) == {"\ufffd"}
