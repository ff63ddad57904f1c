"""The process around the application: models, the socket, signals and the end."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from zoo import TrainedModel
from zoo.api import load
from zoo.environment import num_processors, set_up_process
from zoo.errors import UsageError
from zoo_serve.app import create_app
from zoo_serve.limits import Limits
from zoo_serve.service import Service

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
BACKLOG = 1024
IDLE_SECONDS = 30
"""After which a connection without a request is closed."""

SWITCH_SECONDS = 0.001
"""After which a thread that computes in Python lets the one that reads requests go on."""


def load_models(names: Collection[str], device: str = "auto") -> dict[str, TrainedModel]:
    """Load models under the names by which they are served.

    Args:
        names: Weights files, run directories and recipes; or ``NAME=FILE``. Without a name a file
            is served under its stem, a directory and a recipe under their names.
        device: As for :func:`zoo.load`.

    Raises:
        UsageError: Two would have one name, or one cannot be a part of an address.
        WeightsError: A file is not a weights file.
    """
    files: dict[str, str] = {}
    for given in names:
        name, equals, file = given.partition("=")
        if not equals or Path(given).exists():
            name, file = _name_of(given), given
        if not name or not all(c.isalnum() or c in "-_.:" for c in name):
            why = "names have letters, digits and -_.:"
            raise UsageError(f"{name!r} cannot name a model", why=why, fix="give NAME=FILE")
        if name in files:
            why = f"{files[name]} and {file}"
            raise UsageError(f"two models are named {name!r}", why=why, fix="give NAME=FILE")
        files[name] = file
    return {name: load(file, device) for name, file in files.items()}


def serve(
    models: Mapping[str, TrainedModel],
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    limits: Limits | None = None,
    threads: int = 0,
    token: str = "",
    hosts: Collection[str] = (),
    origins: Collection[str] = (),
    proxies: Collection[str] = (),
    drain: float = 10.0,
    started: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve models until the process is told to end by SIGTERM, SIGINT or Ctrl-C.

    It then takes no further requests, and lets those in progress end. Settings of the process are
    made as a command of ``zoo`` makes them.

    Args:
        models: The models by name, at least one.
        host: The address to listen on.
        port: The port; 0: a free one.
        limits: What a client may ask for at once; None: the defaults.
        threads: Threads that compute for each model; 0: one for each processor.
        token: As for :func:`zoo_serve.app.create_app`.
        hosts: Further names under which the server is reached. On a loopback address, only its
            own names and these are answered; on others any, unless some are given.
        origins: Origins of web pages of others that may use the API.
        proxies: Addresses of proxies whose ``X-Forwarded-For`` says who the client is.
        drain: Seconds that requests in progress have at the end.
        started: Is told the address when requests are answered.

    Raises:
        UsageError: The address cannot be listened on.
    """
    set_up_process(threads=1)  # Each thread computes texts of its own, as in `zoo predict`.
    sys.setswitchinterval(SWITCH_SECONDS)
    limits = limits or Limits()
    listener = _listen(host, port)
    with listener:
        loopback = ipaddress.ip_address(listener.getsockname()[0]).is_loopback
        names = {*LOOPBACK_NAMES, _in_url(host), *hosts} if loopback else set(hosts)
        app = create_app(
            models,
            limits,
            threads=threads or num_processors(),
            token=token,
            hosts=names,
            origins=origins,
        )
        address = f"http://{_in_url(host)}:{listener.getsockname()[1]}"
        _run(app, app.state.service, listener, proxies, drain, lambda: started(address))


def _run(
    app: ASGIApp,
    service: Service,
    listener: socket.socket,
    proxies: Collection[str],
    drain: float,
    started: Callable[[], None],
) -> None:
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level=logging.ERROR,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=max(round(drain), 1),
    )
    with _signals_ignored_at_the_end():
        _Server(config, service, drain, started).run(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it has started and lets the service drain."""

    def __init__(
        self, config: uvicorn.Config, service: Service, drain: float, started: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._service = service
        self._drain = drain
        self._tell_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # A little earlier than uvicorn cuts them off, so that streams end with an event.
        self._service.drain(max(self._drain - 1, 0.5))
        super().handle_exit(sig, frame)


@contextmanager
def _signals_ignored_at_the_end() -> Iterator[None]:
    """Keep the signals that ended the server from ending the process a second time.

    uvicorn raises them again, for the handlers that were there before, when everything is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, lambda number, frame: None)
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot listen on {host}, port {port}", why=why, fix="choose others: --host, --port"
        ) from error


def _name_of(file: str) -> str:
    """Return the name of a model that is given without one."""
    path = Path(file)
    if not path.exists():
        return file  # A recipe.
    return path.resolve().name if path.is_dir() else path.stem


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
