"""Sweeps: the trainings of several settings and seeds, by one or several processes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.api import resume, train
from zoo.api.initial import choose_initial
from zoo.api.suggestions import Choice, choose
from zoo.cli.output import format_value
from zoo.errors import DataError, DivergedError, UsageError, WeightsError
from zoo.files import absolute, digest, read_json, write_json
from zoo.installed import registry
from zoo.settings import resolve
from zoo.spec import RunSpec
from zoo_runs.locks import locked
from zoo_runs.results import Sweep, Trial, collect, on_test, seed_paths, validation_score
from zoo_runs.space import Choices, Space, grid, is_single, number_of_combinations, parse
from zoo_runs.study import Claim, Study, import_optuna, trial_folder
from zoo_runs.summary import CONFIG, read_run

RESULT = "sweep.json"


def run_sweep(
    name: str,
    data: str | Path,
    *,
    space: Mapping[str, object],
    settings: Mapping[str, object],
    seeds: int,
    trials: int,
    out: str | Path | None,
    storage: str,
    test: bool,
    init: str | Path | None,
    device: str,
    threads: int,
    progress: bool,
    on_trial: Callable[[Trial], None] | None,
) -> Sweep:
    """Train, and choose the best setting; see :func:`zoo_runs.sweep`."""
    import_optuna()  # Before anything is read.
    if seeds < 1 or trials < 0:
        raise UsageError("seeds are 1 or more, and trials 0 or more")
    if twice := sorted(space.keys() & settings.keys()):
        raise UsageError(f"{', '.join(twice)}: given both as a setting and as what varies")
    file = absolute(data)
    # Once, so that all runs have the same model and start from the same weights; where these need
    # another value than one of those that vary, they are left out.
    choice = choose(name, file, settings, registry())
    choice, _ = choose_initial(
        choice, init, {**settings, **space}, registry(), is_named=choice.name == name
    )
    name, start = choice.name, absolute(choice.init)
    make = _resolver(choice, file, settings)
    base = make({})
    values = parse(space, base)
    # Such as one list, where the setting is a list: it is the same in all runs.
    single = {key: found.values[0] for key, found in values.items() if is_single(found)}
    settings = {**settings, **single}
    values = {key: found for key, found in values.items() if key not in single}
    if not values:
        raise UsageError("nothing varies", fix="give values, for instance learning_rate=1e-3,3e-3")
    make = _resolver(choice, file, settings)
    number = number_of_combinations(values)
    if number is not None and trials >= number:
        trials = 0  # All combinations.
    listed = [] if trials else grid(values)
    _check(make, values, listed)
    folder = Path(out) if out else Path("runs") / f"{re.sub('[/:]', '-', name)}-sweep"
    metric, higher_is_better = base.task.monitor, base.task.higher_is_better
    definition = {
        "name": name,
        "data": file,
        "data_sha256": digest(Path(file)) if file and Path(file).exists() else "",
        "space": {key: _text(space[key]) for key in values},
        "settings": {key: format_value(value) for key, value in settings.items()},
        "init": start,
        "seeds": seeds,
        "storage": storage,
    }
    study_name = _begin(folder, definition)
    study = Study(folder, study_name, storage, values, higher_is_better=higher_is_better)
    arguments = {"device": device, "threads": threads, "progress": progress}

    def result() -> Sweep:
        found = collect(folder, study.records(), metric, seeds, higher_is_better=higher_is_better)
        return Sweep(folder, metric, seeds, found, trials or len(listed))

    while (claim := study.claim(listed, trials)) is not None:
        try:
            scores = _train(claim, name, file, start, settings, folder, seeds, metric, arguments)
            if scores is None:
                found = replace(result(), interrupted=True)
                _write(folder, found)
                return found
            study.finish(claim, sum(scores) / seeds)
        except DivergedError:
            study.give_up(claim)
        finally:
            claim.lock.release()
        found = result()
        _write(folder, found)
        if on_trial:
            path = folder / trial_folder(claim.number)
            on_trial(next(trial for trial in found.trials if trial.path == path))
    found = result()
    if test and found.complete and found.best:
        found = replace(found, test=on_test(found.best, seeds))
    _write(folder, found)
    return found


def _resolver(
    choice: Choice, data: str, settings: Mapping[str, object]
) -> Callable[[Mapping[str, object]], RunSpec]:
    """Return a function from values of what varies to the run, which checks them all."""
    return lambda values: resolve(
        choice.name, registry(), {**settings, **values}, suggested=choice.suggested,
        initial=choice.initial, data=data,
    )  # fmt: skip


def _check(
    make: Callable[[Mapping[str, object]], RunSpec],
    space: Space,
    combinations: list[dict[str, str]],
) -> None:
    """Check the settings before the first training, not in the middle of the night.

    Raises:
        UsageError: A value, or a combination of the grid, cannot be used.
    """
    ends = {
        key: values.values if isinstance(values, Choices)
        else (values.format(values.low), values.format(values.high))
        for key, values in space.items()
    }  # fmt: skip
    first = {key: values[0] for key, values in ends.items()}
    for key, values in ends.items():
        for value in values:
            make({**first, key: value})
    for combination in combinations:
        make(combination)


def _begin(folder: Path, definition: dict[str, Any]) -> str:
    """Write down what the sweep is, or compare with what it was; return the study's name.

    Raises:
        UsageError: The folder has another sweep.
        DataError: The data has changed.
    """
    with locked(folder):
        file = folder / RESULT
        if not file.exists():
            study = f"{folder.resolve().name}-{uuid.uuid4().hex[:8]}"
            write_json(file, {"study": study, **definition})
            return study
        before = {"init": "", **read_json(file)}  # Sweeps of 0.5.0 do not have it.
    if any(key not in before for key in ("study", *definition)):
        raise WeightsError("the file of the sweep is damaged", where=str(file))
    changed = [key for key, value in definition.items() if before[key] != value]
    if changed == ["data_sha256"]:
        raise DataError(
            "the data has changed since the sweep was begun", where=definition["data"],
            fix="give another folder with --out",
        )  # fmt: skip
    if changed:
        key = changed[0]
        raise UsageError(
            "the folder has another sweep",
            where=str(folder),
            why=f"{key} was {before[key]}, and is {definition[key]}",
            fix="give another folder with --out",
        )
    return str(before["study"])


def _train(
    claim: Claim,
    name: str,
    data: str,
    init: str,
    settings: Mapping[str, object],
    folder: Path,
    seeds: int,
    metric: str,
    arguments: Mapping[str, Any],
) -> list[float] | None:
    """Train a setting with each seed, as far as that was not done; return the scores.

    None where a training was interrupted.
    """
    scores = []
    paths = seed_paths(folder / trial_folder(claim.number), seeds)
    for seed, path in enumerate(paths, 1):
        if not (path / CONFIG).exists():
            run = train(
                name, data, out=path, settings={**settings, **claim.settings}, init=init,
                seed=seed, evaluate_test=False, **arguments,
            )  # fmt: skip
        elif read_run(path).state != "complete":
            run = resume(path, evaluate_test=False, **arguments)
        else:
            scores.append(validation_score(path, metric))
            continue
        if run.interrupted:
            return None
        scores.append(float(run.metrics["validation"][metric]))
    return scores


def _write(folder: Path, found: Sweep) -> None:
    """Write the result into the folder, beside what the sweep is."""
    with locked(folder):
        file = folder / RESULT
        write_json(file, {**read_json(file), **found.to_json()})


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return ";".join(map(format_value, value)) if isinstance(value, list | tuple) else str(value)
