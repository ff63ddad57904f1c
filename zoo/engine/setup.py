"""From a RunSpec to a trainer: data, task, network and the callbacks of every run."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from zoo.building import build_callback, build_network, build_task
from zoo.data.source import locate
from zoo.engine import checkpoint, extension, origin
from zoo.engine.callbacks import EarlyStopping, MetricsLog, SaveWeights
from zoo.engine.evaluation import get_split
from zoo.engine.faults import named, naming_plugin
from zoo.engine.memory import within_memory
from zoo.engine.origin import CHANGES, DATA_SHA256
from zoo.engine.processes import ONE_PROCESS, Processes
from zoo.engine.run_directory import RunDirectory
from zoo.engine.startup import check_start
from zoo.engine.trainer import Trainer
from zoo.errors import DataError, DiskError, PluginError, UsageError, WeightsError, ZooWarning
from zoo.interfaces import Callback, Data, KeepsRows, RowNames, Task
from zoo.options import from_json
from zoo.records import MetricInfo
from zoo.registry import Registry
from zoo.spec import RunSpec, TrainingOptions
from zoo.weights import writer
from zoo.weights.transfer import Transfer, row_names, transfer

# Of the header of a checkpoint: what rows of the initial weights stand for. These may have changed
# when the run is resumed, or be gone.
_KEPT_ROWS = "kept_rows"


@dataclass(frozen=True, slots=True)
class InitialWeights:
    """A trained network that another one starts from.

    Args:
        task: Its task.
        network: The network.
    """

    task: Task
    network: nn.Module


def set_up(
    spec: RunSpec,
    directory: RunDirectory,
    device: torch.device,
    callbacks: Sequence[Callback] = (),
    metrics: Sequence[MetricInfo] = (),
    *,
    init: InitialWeights | None = None,
    resume: bool = False,
    extend: bool = False,
    registry: Registry,
    allow_changed: bool = False,
    check: bool = True,
    processes: Processes = ONE_PROCESS,
) -> tuple[Trainer, Transfer | None]:
    """Return the trainer of a run, ready to train, and what was taken from initial weights.

    Args:
        spec: The run.
        directory: Its files; created here unless ``resume``.
        device: Where to train.
        callbacks: Further callbacks, beside those of every run and those that the run names.
        metrics: Further metrics of evaluations.
        init: Weights to start from.
        resume: Whether to continue from the checkpoint.
        extend: Whether the run that is resumed was given a length. If it is complete, it goes on
            to this length, even where that is the length in its files.
        registry: What is installed.
        allow_changed: Whether a run may be resumed under other versions, on another number of
            threads or processes, or another kind of device. What has changed is recorded in its
            files.
        check: Whether to check models, task and weights file of a new run before its first step.
        processes: Train together; the main one alone has the callbacks of every run.

    Raises:
        ZooError: Any of them; nothing is written before the data is read and found fit.
    """
    changed: list[dict[str, Any]] = []
    kept = _rows_of(init) if init is not None else {}
    if resume and directory.checkpoint.exists():
        header = checkpoint.read_header(directory.checkpoint)
        # Of the main process: all go the same way, and machines may differ.
        found = json.dumps(origin.changes(header, directory, spec, device, registry))
        changed = json.loads(processes.broadcast_text(found))
        goes_on = extend or not header.get("state", {}).get("done")
        if changed and goes_on and not allow_changed:
            raise _changed(directory, changed)
        extend = extend or _has_other_length(header, spec)
        kept = header.get(_KEPT_ROWS, {})
    path = locate(spec.data, spec.dataset)
    with _naming(named(spec.task, "prepare")):
        task = build_task(spec.network.task)
        if not isinstance(task, KeepsRows):
            kept = {}
        elif kept:
            _keep_rows(task, kept)
        data = task.prepare(path, spec.seed)
    if not isinstance(data, Data):
        raise PluginError(f"{named(spec.task, 'prepare')} returned no zoo.interfaces.Data")
    for name in ("train", "validation"):
        if not get_split(data, name).num_examples:
            raise DataError(f"the {name} split is empty", where=data.summary)
    if resume:
        _check_same_data(directory, data)
    torch.manual_seed(spec.seed)
    with _naming(f"{named(spec.task, 'network')} with model {spec.network.model.info.name!r}"):
        with within_memory():
            network = build_network(task, spec.network)
        network = network.to(device)
    taken = None
    if init is not None:
        taken = transfer(init.network, init.task, network, task)
        if not taken:
            raise UsageError(
                f"nothing of {spec.init} fits",
                why=f"no tensor of {spec.name} has its name and shape",
                fix="see `zoo inspect` for its task, model and options",
            )
    header = writer.describe(spec, task, data)
    saving = SaveWeights(header)
    followers = list(callbacks)
    if processes.is_main:
        chosen = [build_callback(component) for component in spec.callbacks.values()]
        followers = [saving, MetricsLog(), EarlyStopping(), *chosen, *callbacks]
    trainer = Trainer(spec, task, data, network, directory, followers, metrics, processes)
    trainer.origin = origin.describe(spec, data.digest, device)
    if kept:
        trainer.origin = {**trainer.origin, _KEPT_ROWS: kept}
    if resume:
        trainer.resume()
        if changed and (extend or not trainer.state.done):
            _record(trainer, changed)
        if extend:
            _extend(trainer)
        if processes.is_main:
            saving.restore(trainer)
    else:
        if check:
            check_start(spec, task, data, network, header, registry, tuple(metrics), processes.size)
        directory.create({**writer.versions(), **spec.to_json(), DATA_SHA256: data.digest})
    return trainer, taken


def _rows_of(init: InitialWeights) -> dict[str, Any]:
    """Return names and shapes of the rows of initial weights, as JSON values for a checkpoint."""
    state = init.network.state_dict()
    return {
        name: {**asdict(rows), "names": list(rows.names), "shape": list(state[name].shape)}
        for name, rows in row_names(init.task, init.network).items()
        if name in state
    }


def _keep_rows(task: KeepsRows, kept: Mapping[str, Any]) -> None:
    try:
        shapes = {name: rows["shape"] for name, rows in kept.items()}
        rows = {
            name: RowNames(rows["names"], rows["by_row"], rows["match_norm"])
            for name, rows in kept.items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise WeightsError("the checkpoint is damaged", why=f"{_KEPT_ROWS}: {error}") from error
    task.keep_rows(rows, shapes)


def _changed(directory: RunDirectory, changed: list[dict[str, Any]]) -> UsageError:
    return UsageError(
        "the run would go on under other conditions than before",
        where=str(directory.path),
        why=origin.listed(changed),
        fix="restore them, or allow it with --allow-changed (allow_changed=True): the same bits "
        "are not promised then",
    )


def _has_other_length(header: Mapping[str, Any], spec: RunSpec) -> bool:
    """Return whether the length was edited, or an extension was killed between its two files."""
    if not origin.has_other_length(header, spec):
        return False
    message = "the length of the run is another than when it was stopped: its schedule is made anew"
    warnings.warn(message, ZooWarning, stacklevel=2)
    return True


def _record(trainer: Trainer, changed: list[dict[str, Any]]) -> None:
    """Write into the files of a run what it goes on with."""
    directory = trainer.directory
    config = directory.read_config()
    entry = {"step": trainer.state.step, "changed": changed}
    directory.rewrite_config({**config, CHANGES: [*config.get(CHANGES, []), entry]})
    trainer.save_checkpoint()


@contextmanager
def _naming(who: str) -> Iterator[None]:
    """Name the plugin that fails; a disk that fails is none."""
    with naming_plugin(who):
        try:
            yield
        except OSError as error:
            raise DiskError("cannot read or write", where=who, why=str(error)) from error


def _extend(trainer: Trainer) -> None:
    """Extend a training that is complete or has another length, and have its files say so."""
    directory = trainer.directory
    config = directory.read_config()
    before = from_json(TrainingOptions, config["training"])
    if before == trainer.spec.training and not trainer.state.done:
        return
    extension.extend(trainer)
    # A process that is killed in between leaves the length that the run had.
    if directory.checkpoint.exists():
        trainer.save_checkpoint()
    directory.rewrite_config({**config, **trainer.spec.to_json()})


def _check_same_data(directory: RunDirectory, data: Data) -> None:
    """Refuse to resume with other data: its test part may have been training data before."""
    if directory.read_config().get(DATA_SHA256, data.digest) != data.digest:
        raise DataError(
            "the data has changed since the run was started",
            where=str(directory.path),
            why=f"{data.summary} now has the digest {data.digest}",
            fix="put the old data back, or start again in another --out",
        )
