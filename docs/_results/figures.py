"""Figures that no file of the repository has: sizes, training times and rates, kept as a table.

``figures.csv`` has a row for each, with the machine, the date and the command, so that the page
can be written again where the runs and the data are not.
"""

from __future__ import annotations

import csv
import datetime
import math
import statistics
import subprocess
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import zoo
from zoo.building import build_network, build_task
from zoo.engine import checkpoint
from zoo.environment import facts, num_processors
from zoo.errors import UsageError
from zoo.installed import registry
from zoo.interfaces import Data, KeepsRows
from zoo.records import Recipe
from zoo.settings import resolve
from zoo.trained import TrainedModel
from zoo.weights.file import inspect
from zoo.weights.transfer import row_names

TABLE = Path(__file__).with_name("figures.csv")
PARAMETERS, TRAINING, RATE = "parameters", "training", "rate"
_TURNS = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of the table.

    Args:
        recipe: Its name.
        what: ``parameters``, ``training`` (seconds) or ``rate`` (examples a second).
        value: The figure.
        machine: Processor and threads; empty for a size.
        date: When it was measured; for a training, when that ended.
        commit: What was checked out when it was noted.
        command: What measured it.
    """

    recipe: str
    what: str
    value: str
    machine: str
    date: str
    commit: str
    command: str


def read(path: Path = TABLE) -> list[Figure]:
    """Return the rows of the table."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Figure(**row) for row in csv.DictReader(file)]


def note(new: Iterable[Figure], path: Path = TABLE) -> None:
    """Add rows to the table in place of those for the same recipe, figure and machine."""
    kept = {(each.recipe, each.what, each.machine): each for each in [*read(path), *new]}
    with path.open("w", encoding="utf-8", newline="") as file:
        names = [field.name for field in fields(Figure)]
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(kept[key]) for key in sorted(kept))


def of_run(path: Path, machine: str = "") -> list[Figure]:
    """Return number of parameters and training time of a run of a recipe.

    Args:
        path: The run directory.
        machine: Where it was trained; by default, this machine and the run's threads.

    Raises:
        UsageError: It is no complete run of a recipe with the recipe's settings.
        ZooError: A file of the run is missing or damaged.
    """
    run = zoo.open_run(path)
    name = run.config["name"]
    if not registry().has(Recipe, name):
        raise UsageError("not the run of a recipe", where=str(path), why=f"it is one of {name!r}")
    if changed := run.changed_settings:
        why = f"{', '.join(changed)} differ from those of {name!r}"
        raise UsageError("the run has other settings than its recipe", where=str(path), why=why)
    header = checkpoint.read_header(path / "checkpoint.safetensors")
    if not header["state"]["done"]:
        raise UsageError("the run is not complete", where=str(path), fix="resume it first")
    environment = header.get("environment", {})  # Missing in checkpoints of earlier versions.
    if environment.get("device", "cpu") != "cpu" and not machine:
        fix = "name the machine: --machine 'one NVIDIA H100'"
        raise UsageError("the run was trained on another device", where=str(path), fix=fix)
    ended = datetime.date.fromtimestamp((path / "checkpoint.safetensors").stat().st_mtime)
    seconds = header["state"]["seconds"]
    start = " --init RUN" if run.config["init"] else ""
    command = f"zoo train {name}{start} --seed {run.config['seed']}"
    where = machine or _machine(environment.get("threads", num_processors()))
    size = count(shape for _, shape in inspect(path / "weights.safetensors").shapes.values())
    return [
        Figure(name, PARAMETERS, str(size), "", str(ended), _commit(), command),
        Figure(name, TRAINING, f"{seconds:.1f}", where, str(ended), _commit(), command),
    ]


def of_data(name: str, path: str) -> list[Figure]:
    """Return the number of parameters of a recipe's network, as built for its data.

    A recipe with published weights has none: they are counted where the page is written.

    Args:
        name: A recipe.
        path: Its data.

    Raises:
        ZooError: There is no such recipe, or its data is missing or unfit.
    """
    recipe = registry().get(Recipe, name)
    if recipe.weights:
        return []
    spec = resolve(name, registry())
    task = build_task(spec.network.task)
    if recipe.init and isinstance(task, KeepsRows):  # The vocabulary is that of both.
        initial = zoo.load(recipe.init)
        shapes = {name: tuple(value.shape) for name, value in initial.module.named_parameters()}
        task.keep_rows(row_names(initial.task, initial.module), shapes)
    task.prepare(Path(path), spec.seed, fit=True)
    size = count(tensor.shape for tensor in build_network(task, spec.network).state_dict().values())
    command = f"python docs/make_results.py {name}=DATA"
    return [Figure(name, PARAMETERS, str(size), "", str(datetime.date.today()), _commit(), command)]


def rate(name: str, model: TrainedModel, data: str | Data, target: str) -> Figure:
    """Return how many examples a second an evaluation takes, the median of five.

    The data is read and split into tokens before. The validation part is evaluated: the test part
    is not read again.

    Args:
        name: The recipe.
        model: Its weights.
        data: Its data, prepared or a path.
        target: What ``make_results.py`` was given, without the path.

    Raises:
        ZooError: The data is missing or unfit.
    """
    prepared = model.prepare(data)
    model.evaluate(prepared, split="validation", threads=0)  # Compiles, and fills caches.
    rates = []
    for _ in range(_TURNS):
        started = time.perf_counter()
        measured = model.evaluate(prepared, split="validation", threads=0)
        rates.append(measured["examples"] / (time.perf_counter() - started))
    value = f"{statistics.median(rates):.0f}"
    command = f"python docs/make_results.py --rate {target}"
    today, machine = str(datetime.date.today()), _machine(num_processors())
    return Figure(name, RATE, value, machine, today, _commit(), command)


def count(shapes: Iterable[tuple[int, ...]]) -> int:
    """Return how many numbers tensors of these shapes have."""
    return sum(math.prod(shape) for shape in shapes)


def _machine(threads: int) -> str:
    return f"{facts()['processor']}, {threads} thread{'s' if threads > 1 else ''}"


def _commit() -> str:
    command = ["git", "-C", str(TABLE.parent), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()
