"""Running the sidecar: who may reach it, and how it stops without leaving anyone waiting."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn

from tierwise.data.errors import BadInput
from tierwise.serve.accepted import AcceptedFile
from tierwise.serve.http import app_of
from tierwise.serve.http_log import LogHandler, LogLines
from tierwise.serve.http_service import Service, Settings
from tierwise.serve.polling import Poller, Schedule
from tierwise.serve.reload import ReloadingRouter
from tierwise.serve.router import Router

_DRAIN_S = 1.0
_LINGER_S = 0.5
_LONGEST_STOP_S = 10
_KEEP_ALIVE_S = 75  # longer than clients' pools keep a connection: they close, not the sidecar
_CONNECTIONS = 1_000
_WAITING = 1_000  # connections not yet taken
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Server(uvicorn.Server):
    """A uvicorn server that drains before it stops, and ends as any program that is done.

    On SIGTERM or SIGINT `/readyz` says 503 and each answer closes its connection, until none is
    open or a second has passed. Then no more connections are taken, apart from those that the
    system took already, and whatever was asked is answered. A second signal stops at once.
    """

    def __init__(
        self, config: uvicorn.Config, service: Service, announce: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._service, self._announce = service, announce
        self._drain: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle signals on the loop; uvicorn would end by the signal it was sent."""
        loop = asyncio.get_running_loop()
        for one in _SIGNALS:
            loop.add_signal_handler(one, self._stop)
        try:
            yield
        finally:
            for one in _SIGNALS:
                loop.remove_signal_handler(one)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so: from then on a signal is a wish to drain."""
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take the connections that wait, let all ask what they came for, then stop."""
        for listener in sockets or []:
            await self._take_the_rest(listener)
        if not self.force_exit:
            await self._quiet(_LINGER_S)
        await super().shutdown(sockets)

    def _stop(self) -> None:
        if self._drain is not None:
            self.force_exit = self.should_exit = True
            return
        self._service.draining = True
        self._drain = asyncio.get_running_loop().create_task(self._drained())

    async def _drained(self) -> None:
        await self._quiet(_DRAIN_S)
        self.should_exit = True

    async def _quiet(self, longest_s: float) -> None:
        """Wait until no connection is open, but not for long: some never ask again."""
        loop = asyncio.get_running_loop()
        end = loop.time() + longest_s
        while self.server_state.connections and loop.time() < end:
            await asyncio.sleep(0.01)

    async def _take_the_rest(self, listener: socket.socket) -> None:
        """Stop listening; the system would reset connections that it took and nobody asked for."""
        loop = asyncio.get_running_loop()
        with listener.dup() as rest:
            for server in self.servers:
                server.close()
            await asyncio.sleep(0.01)  # the loop lets go of the listener in its next turns
            listener.close()
            rest.setblocking(False)
            waiting = []
            with suppress(BlockingIOError):
                while True:
                    waiting.append(rest.accept()[0])
        for connection in waiting:
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class  # uvicorn's own types are not exported
        made: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state={}
        )
        return made


@dataclass(frozen=True)
class Source:
    """Where policies come from.

    Attributes
    ----------
    folder : Path
        The bundle.
    reload_s : float
        Seconds between two looks for another one in its place; 0 never looks.
    public_key : Path or None
        The ed25519 key that has to have signed every bundle.
    accepted : Path or None
        Where to remember what was served, so that a restart takes no older bundle.
    allow_older : bool
        Whether older bundles than those served before are taken.
    """

    folder: Path
    reload_s: float = 30.0
    public_key: Path | None = None
    accepted: Path | None = None
    allow_older: bool = False

    def open(self) -> ReloadingRouter:
        """Open the bundle.

        Raises
        ------
        BundleError
            Where it is not sound, or older than one served before and that is not allowed.
        """
        load = partial(Router.load, public_key=self.public_key)
        accepted = AcceptedFile(self.accepted, allow_older=self.allow_older)
        return ReloadingRouter(self.folder, load=load, accepted=accepted)


def run(
    source: Source,
    host: str,
    port: int,
    settings: Settings,
    announce: Callable[[dict[str, Any]], None],
) -> None:
    """Serve a policy until a signal comes.

    Parameters
    ----------
    source : Source
    host, port
        Where to listen; port 0 takes a free one.
    settings : Settings
    announce : callable
        Told host, port and policy version once connections are taken.

    Raises
    ------
    BadInput
        Where the bundle is not sound, the port is taken, or a host that others can reach has no
        API key.
    """
    with listen(host, port, bool(settings.keys)) as listener:
        router = source.open()
        log = LogLines()
        for name in ("uvicorn.error", "tierwise"):
            logging.getLogger(name).addHandler(LogHandler(log))
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            service = Service(router, settings, log)
            bound, free = listener.getsockname()[:2]
            where = {"host": bound, "port": free, "policy_version": router.manifest.policy_version}

            def started() -> None:
                log.line("start", **where, digest=router.digest)
                announce(where)

            server = _server(service, started)
            gc.collect()
            gc.freeze()  # what is loaded stays: later collections need not walk through it
            look = Poller(router.look, Schedule(np.random.default_rng(), source.reload_s))
            with look if source.reload_s > 0 else nullcontext():
                server.run(sockets=[listener])
            log.line("stop")
            service.close()
        finally:
            log.close()


def listen(host: str, port: int, keys: bool) -> socket.socket:
    """Bind a port.

    Raises
    ------
    BadInput
        Where it cannot be bound, or others could reach it and there are no API keys.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise BadInput(f"host {host} ({error.strerror})", "a name or address", "mend it") from None
    if not keys and not ipaddress.ip_address(address[0]).is_loopback:
        raise BadInput(
            f"host {host} without API keys", "127.0.0.1, or keys", "give --api-key-file FILE"
        )
    listener = socket.socket(family, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        found = f"{host}:{port} ({error.strerror})"
        raise BadInput(found, "a free port", "give another one with --port") from None
    return listener


def _server(service: Service, announce: Callable[[], None]) -> Server:
    config = uvicorn.Config(
        app_of(service),
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_WAITING,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_LONGEST_STOP_S,
        limit_concurrency=_CONNECTIONS,
    )
    return Server(config, service, announce)
