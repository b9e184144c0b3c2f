"""Whoever reads the log may be slow or gone: serving does not wait, and the loss is counted."""

from __future__ import annotations

import json
import logging
import os
import time

from tierwise.serve.http_log import LogHandler, LogLines

SECRET = "the launch code is 0000"
PIPE_BYTES = 64 * 1024  # what the system takes of a pipe that nobody reads


def read(handle: int) -> list[dict[str, object]]:
    return [json.loads(line) for line in os.read(handle, PIPE_BYTES).splitlines()]


def test_lines_are_json_in_their_order() -> None:
    out, into = os.pipe()
    log = LogLines(into)
    log.line("one", number=1.5, nothing=float("nan"))
    log.line("two\n", text='"\n')
    log.close()
    one, two = read(out)
    assert (one["event"], one["number"], one["nothing"]) == ("one", 1.5, None)
    assert (two["event"], two["text"]) == ("two\n", '"\n')


def test_a_log_that_nobody_reads_loses_lines_and_keeps_no_one_waiting() -> None:
    _, into = os.pipe()
    log = LogLines(into, waiting=100)
    began = time.perf_counter()
    for _ in range(20):
        for _ in range(100):
            log.line("decision", text="x" * 1_000)
        time.sleep(0.02)
    log.close(timeout_s=0.1)
    assert time.perf_counter() - began < 5
    assert 0 < log.lost < 2_000


def test_lines_that_wait_take_no_more_bytes_than_they_may() -> None:
    _, into = os.pipe()
    log = LogLines(into, waiting_bytes=200_000)
    log.line("decision", text="x" * PIPE_BYTES)  # nobody reads: the rest of it stays in the way
    time.sleep(0.3)
    for _ in range(10):
        log.line("decision", text="x" * 50_000)
    log.close(timeout_s=0.1)
    assert log.lost == 7


def test_a_name_that_is_no_unicode_is_logged_all_the_same() -> None:
    out, into = os.pipe()
    log = LogLines(into)
    LogHandler(log).emit(logging.makeLogRecord({"msg": "no file \udcff", "levelname": "WARNING"}))
    log.close()
    assert read(out)[0]["message"] == "no file \ufffd"


def test_a_log_whose_reader_is_gone_counts_what_is_lost() -> None:
    out, into = os.pipe()
    os.close(out)
    log = LogLines(into)
    log.line("one")
    log.close()
    assert log.lost == 1


def test_of_an_error_its_kind_and_place_are_told_and_not_what_it_says() -> None:
    out, into = os.pipe()
    log = LogLines(into)
    logger = logging.Logger("a library")
    logger.addHandler(LogHandler(log))
    try:
        raise ValueError(SECRET)
    except ValueError:
        logger.exception("it failed\nhere")
    log.close()
    (line,) = read(out)
    assert (line["level"], line["logger"], line["message"]) == (
        "error", "a library", "it failed here",
    )  # fmt: skip
    assert line["error"] == "ValueError"
    assert str(line["place"]).startswith("test_http_log.py:")
    assert SECRET not in json.dumps(line)
