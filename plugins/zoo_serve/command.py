"""``zoo serve``."""

from __future__ import annotations

import click

from zoo.cli import completion, options
from zoo.errors import UsageError


@click.command(
    epilog="""\b
Examples:
  zoo serve imdb-bilstm
  zoo serve runs/sms --port 8080
  zoo serve spam=runs/sms island-lstm
  ZOO_SERVE_TOKEN=secret zoo serve runs/sms --host 0.0.0.0 --rate 20

The page to try the models is at /, the API under /v1/ with its documentation at /docs,
metrics for Prometheus at /metrics. Ctrl-C and SIGTERM end the server: requests in progress are
still answered. It needs the extra serve: pip install 'seqzoo[serve]'.
"""
)
@click.argument("file", nargs=-1, required=True, shell_complete=completion.weights)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True,
    help="Port; 0: a free one.",
)  # fmt: skip
@options.device
@click.option(
    "--workers", "--threads", type=click.IntRange(0, 256), default=0, show_default=True,
    help="Processes that compute; 0: one for each processor.",
)  # fmt: skip
@click.option(
    "--token", envvar="ZOO_SERVE_TOKEN", show_envvar=True, default="",
    help="Bearer token that clients have to send. Other users of the machine can read it here.",
)  # fmt: skip
@click.option(
    "--allow-host", multiple=True, metavar="NAME",
    help="Also answer requests to this host name, such as that of a proxy.",
)  # fmt: skip
@click.option(
    "--allow-origin", multiple=True, metavar="ORIGIN",
    help="Let pages of another site use the API from browsers, such as https://example.org.",
)  # fmt: skip
@click.option(
    "--behind-proxy", multiple=True, metavar="ADDRESS",
    help="Address of a proxy that tells who the client is.",
)  # fmt: skip
@click.option(
    "--rate", type=click.FloatRange(0), default=0.0, show_default=True,
    help="Requests a second from one client; 0: any.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(0, 3600, min_open=True), default=30.0, show_default=True,
    help="Seconds that a request may take.",
)  # fmt: skip
@click.option(
    "--max-body", type=click.IntRange(1), default=2 << 20, show_default=True,
    help="Bytes of a request.",
)  # fmt: skip
@click.option(
    "--max-texts", type=click.IntRange(1), default=1024, show_default=True,
    help="Texts of a request.",
)  # fmt: skip
@click.option(
    "--max-characters", type=click.IntRange(1), default=100_000, show_default=True,
    help="Characters of a text or a prompt.",
)  # fmt: skip
@click.option(
    "--max-tokens", type=click.IntRange(0), default=10_000, show_default=True,
    help="Tokens of a generated text.",
)  # fmt: skip
@click.option(
    "--max-queue", type=click.IntRange(1), default=8192, show_default=True,
    help="Texts that wait for one model.",
)  # fmt: skip
@click.option(
    "--max-generations", type=click.IntRange(1), default=4, show_default=True,
    help="Texts that are generated at the same time.",
)  # fmt: skip
@click.option(
    "--drain", type=click.FloatRange(1, 3600), default=10.0, show_default=True,
    help="Seconds that requests in progress have at the end.",
)  # fmt: skip
def command(
    file: tuple[str, ...],
    host: str,
    port: int,
    device: str,
    workers: int,
    token: str,
    allow_host: tuple[str, ...],
    allow_origin: tuple[str, ...],
    behind_proxy: tuple[str, ...],
    rate: float,
    timeout: float,
    max_body: int,
    max_texts: int,
    max_characters: int,
    max_tokens: int,
    max_queue: int,
    max_generations: int,
    drain: float,
) -> None:
    """Serve trained weights: a page to try them, and an HTTP API.

    FILE is a weights file, a run directory or a recipe with weights; NAME=FILE gives it a name.
    """
    try:
        from zoo_serve.server import load_models, serve
    except ModuleNotFoundError as error:
        raise UsageError(
            "zoo serve needs FastAPI, uvicorn and prometheus-client",
            why=str(error),
            fix="pip install 'seqzoo[serve]'",
        ) from error
    from zoo_serve.limits import Limits

    def started(address: str) -> None:
        click.echo(f"serving {', '.join(models)} at {address} (Ctrl-C ends it)", err=True)

    models = load_models(file, device)
    if host not in ("127.0.0.1", "localhost", "::1") and not token:
        click.echo(
            f"warning: everybody who reaches {host} can use the models; see --token", err=True
        )
    serve(
        models,
        host,
        port,
        limits=Limits(
            body=max_body,
            texts=max_texts,
            characters=max_characters,
            tokens=max_tokens,
            queue=max_queue,
            generations=max_generations,
            timeout=timeout,
            rate=rate,
        ),
        workers=workers,
        token=token,
        hosts=allow_host,
        origins=allow_origin,
        proxies=behind_proxy,
        drain=drain,
        started=started,
    )
