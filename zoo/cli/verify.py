"""``zoo verify``."""

from __future__ import annotations

import click

from zoo.cli import completion, options

# A published figure is rounded to four decimals, and on another machine a borderline example may
# fall on the other side.
TOLERANCE = 2e-4


@click.command(
    epilog="""\b
Examples:
  zoo verify imdb-bilstm
  zoo verify imdb-bilstm --data aclImdb_v1.tar.gz
  zoo verify my.safetensors
"""
)
@click.argument("name", shell_complete=completion.weights)
@options.data
@options.device
@options.threads
def command(name: str, data: str, device: str, threads: int) -> None:
    """Check a published run or a weights file: its digests, its probe and, given data, its score.

    The score is checked for published runs: every figure in the registry is measured again on the
    split that it was published for, and must agree within 0.0002 (of itself, where it is above 1).
    """
    from zoo import catalog as catalogs
    from zoo.api import locate_weights
    from zoo.cli.progress import watched
    from zoo.engine.device import choose
    from zoo.engine.session import run_evaluation
    from zoo.errors import UsageError, WeightsError
    from zoo.files import digest
    from zoo.registry import Registry
    from zoo.weights.file import read
    from zoo.weights.network import build, verify

    catalog = catalogs.read()
    row = catalog.runs.get(name)
    path = locate_weights(name, catalog)
    if row and row.weights:
        if (found_digest := digest(path)) != row.weights.sha256:
            raise WeightsError(
                "file is not the published one",
                where=str(path),
                why=f"its sha256 is {found_digest}",
                fix="install the package again",
            )
        click.echo(f"sha256 agrees: {row.weights.sha256}")
    weights = read(path)
    click.echo("digest of header and tensors agrees")
    task, network = build(weights, Registry.installed())
    network.to(choose(device, threads))
    click.echo(f"probe agrees: logits differ by at most {verify(weights, task, network):.1e}")
    if not data:
        return
    if row is None or not row.metrics:
        raise UsageError("no published score to check", where=name)
    measured = run_evaluation(
        weights,
        task,
        network,
        catalog,
        data=data,
        split=str(row.metrics["split"]),
        watch=watched,
    )
    if row.metrics.get("data_sha256", measured["data_sha256"]) != measured["data_sha256"]:
        click.echo(f"the data has other bytes than the published score was measured on: {data}")
    click.echo(f"scored on {measured['split']}: {measured['data']}")
    for key, published in row.metrics.items():
        if isinstance(published, str):
            continue
        again = float(measured.get(key, "nan"))
        allowed = 0 if isinstance(published, int) else TOLERANCE * max(1.0, abs(published))
        if not abs(published - again) <= allowed:
            raise WeightsError(
                f"{key} does not agree",
                where=name,
                why=f"published {published:g}, measured {again:g}",
                fix="check that the data is the published one",
            )
        click.echo(f"{key} agrees: published {published:g}, measured {again:g}")
