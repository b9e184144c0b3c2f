"""`tierwise serve` as a process: who may reach it, what it logs, and how it stops."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tierwise import cli
from tierwise.serve.accepted import AcceptedFile

COMMAND = [sys.executable, "-c", "from tierwise.cli import main; main()", "serve"]
CLIENTS = 8
BODY = json.dumps({"text": "prove the report " * 60}).encode()
REQUEST = (
    b"POST /v1/route HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


class Process:
    """A running `tierwise serve`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stdout is not None
        self.where: dict[str, Any] = json.loads(process.stdout.readline())
        self.port: int = self.where["port"]

    def stopped(self, how: signal.Signals) -> tuple[int, list[dict[str, Any]]]:
        """Send a signal; return the exit code and the lines of the log."""
        self.process.send_signal(how)
        _, log = self.process.communicate(timeout=20)
        return self.process.returncode, [json.loads(line) for line in log.splitlines()]


@contextmanager
def serving(policy: Path, *options: str) -> Iterator[Process]:
    command = [*COMMAND, str(policy), "--port", "0", "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield Process(process)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run the command in this process where it should refuse; return its one line."""

    def run(*arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", ["tierwise", "serve", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        said = capsys.readouterr()
        assert (stop.value.code, said.out, said.err.count("\n")) == (2, "", 1)
        return said.err

    return run


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_the_log_is_json(
    bundle_folder: Path, how: signal.Signals
) -> None:
    with serving(bundle_folder) as served:
        connection = HTTPConnection("127.0.0.1", served.port, timeout=20)
        connection.request("GET", "/readyz")
        assert connection.getresponse().status == 200
        connection.close()
        code, log = served.stopped(how)
    assert code == 0
    assert [line["event"] for line in log] == ["start", "stop"]
    assert log[0]["policy_version"] == served.where["policy_version"]


class Client(threading.Thread):
    """Asks again and again, on a new connection whenever it is told to close the present one."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self.answered = 0
        self.fault = ""

    def run(self) -> None:
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", self._port), timeout=20)
            except ConnectionRefusedError:
                return  # not accepted any more
            try:
                self._ask(connection)
            except OSError as error:
                self.fault = f"no answer: {error!r}"
                return
            finally:
                connection.close()

    def _ask(self, connection: socket.socket) -> None:
        answer = connection.makefile("rb")
        closes = False
        while not closes:
            connection.sendall(REQUEST)
            if not (status := answer.readline()):
                raise ConnectionError("closed")
            assert status.startswith(b"HTTP/1.1 200"), status
            length = 0
            while line := answer.readline().strip().lower():
                closes |= line == b"connection: close"
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            assert len(answer.read(length)) == length
            self.answered += 1


def test_under_load_every_request_that_was_accepted_is_answered(bundle_folder: Path) -> None:
    with serving(bundle_folder, "--no-log-decisions") as served:
        clients = [Client(served.port) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(0.5)
        code, _ = served.stopped(signal.SIGTERM)
        for client in clients:
            client.join()
    assert [client.fault for client in clients] == [""] * CLIENTS
    assert min(client.answered for client in clients) > 1
    assert code == 0


def test_a_request_that_is_half_sent_when_the_signal_comes_is_answered(
    bundle_folder: Path,
) -> None:
    with serving(bundle_folder) as served:
        with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
            connection.sendall(REQUEST[:-10])
            time.sleep(0.3)
            served.process.send_signal(signal.SIGTERM)
            time.sleep(1.6)  # longer than it waits for idle connections
            connection.sendall(REQUEST[-10:])
            assert connection.recv(4_096).startswith(b"HTTP/1.1 200 ")
        assert served.process.wait(timeout=20) == 0


def test_a_second_signal_waits_for_nobody(bundle_folder: Path) -> None:
    with (
        serving(bundle_folder) as served,
        socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection,
    ):
        connection.sendall(REQUEST[:-10])
        time.sleep(0.3)
        served.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(timeout=5) == 0


def test_a_taken_port_is_one_line(bundle_folder: Path, refused: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"127.0.0.1:{port}" in refused(bundle_folder, "--port", port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_beyond_loopback_it_wants_keys(
    bundle_folder: Path, refused: Callable[..., str], host: str
) -> None:
    assert "--api-key-file" in refused(bundle_folder, "--host", host, "--port", "0")


def test_a_bundle_that_is_not_sound_is_one_line(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    assert "manifest.json" in refused(tmp_path, "--port", "0")


def test_an_older_bundle_is_refused_and_the_flag_takes_it(
    bundle_folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    served = tmp_path / "served.json"
    AcceptedFile(served).record(7, "a" * 64)  # this bundle has the number 0
    remembered = "--accepted", str(served)
    assert "sequence 0" in refused(bundle_folder, "--port", "0", *remembered)
    with serving(bundle_folder, *remembered, "--allow-older") as older:
        assert older.where["policy_version"]
    assert AcceptedFile(served).now.sequence == 0


def test_with_keys_it_listens_where_it_is_told(bundle_folder: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("0123456789abcdef\n")
    with serving(bundle_folder, "--host", "0.0.0.0", "--api-key-file", str(keys)) as served:
        connection = HTTPConnection("127.0.0.1", served.port, timeout=20)
        connection.request("GET", "/metrics")
        assert connection.getresponse().status == 401
        connection.close()


def test_without_its_extra_one_line_names_it(tmp_path: Path) -> None:
    code = "import sys; sys.modules['fastapi'] = None; from tierwise.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "tierwise[http]" in done.stderr
