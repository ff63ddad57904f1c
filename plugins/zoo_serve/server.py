"""The process around the application: models, the socket, signals and the end."""

from __future__ import annotations

import gc
import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from zoo import TrainedModel
from zoo.api import load
from zoo.environment import num_processors, set_up_process
from zoo.errors import UsageError, ZooError
from zoo_serve.app import application
from zoo_serve.computing import Computing, Threads
from zoo_serve.limits import Limits
from zoo_serve.processes import Processes
from zoo_serve.served import ServedModel
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
    workers: int = 0,
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
        workers: Processes that compute, on Linux, of models on the CPU; elsewhere threads. 0: one
            for each processor.
        token: As for :func:`zoo_serve.app.create_app`.
        hosts: Further names under which the server is reached. On a loopback address, only its
            own names and these are answered; on others any, unless some are given.
        origins: Origins of web pages of others that may use the API.
        proxies: Addresses of proxies whose ``X-Forwarded-For`` says who the client is.
        drain: Seconds that requests in progress have at the end.
        started: Is told the address when requests are answered.

    Raises:
        UsageError: The address cannot be listened on.
        ZooError: A process that computes ended by itself.
    """
    set_up_process(threads=1)  # Each worker computes texts of its own, as in `zoo predict`.
    # One text of a request, too, by the compiled layers: a server has loaded them.
    os.environ.setdefault("ZOO_BACKEND", "compiled")
    sys.setswitchinterval(SWITCH_SECONDS)
    listener = _listen(host, port)
    with listener:
        loopback = ipaddress.ip_address(listener.getsockname()[0]).is_loopback
        names = {*LOOPBACK_NAMES, _in_url(host), *hosts} if loopback else set(hosts)
        number = workers or num_processors()
        make: Callable[[Mapping[str, ServedModel]], Computing] = partial(Threads, number=number)
        if _can_fork(models):
            make = partial(Processes, number=number, sockets=[listener])
        service = Service(models, limits or Limits(), make)
        with closing(service):  # Its processes do not end by themselves where no server starts.
            app = application(service, token=token, hosts=names, origins=origins)
            address = f"http://{_in_url(host)}:{listener.getsockname()[1]}"
            gc.freeze()  # What was made since then stays, too.
            _run(app, service, listener, proxies, drain, lambda: started(address))
        if service.failure:
            fix = "a kill by the system may mean that memory is short: try fewer --workers"
            raise ZooError("the server ended", why=service.failure, fix=fix)


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

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or bool(self._service.failure)

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


def _can_fork(models: Mapping[str, TrainedModel]) -> bool:
    """Return whether forked processes can compute: CUDA cannot, nor can libraries of macOS."""
    devices = {p.device.type for model in models.values() for p in model.module.parameters()}
    return sys.platform == "linux" and devices <= {"cpu"}


def _name_of(file: str) -> str:
    """Return the name of a model that is given without one."""
    path = Path(file)
    if not path.exists():
        return file  # A recipe.
    return path.resolve().name if path.is_dir() else path.stem


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
