"""Training: a recipe, ``TASK/MODEL`` or data alone to a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from zoo.api import frames
from zoo.api.frames import Source
from zoo.api.initial import choose_initial
from zoo.api.initial_notes import describe_initial
from zoo.api.resuming import resume_joined
from zoo.api.running import describe_length, lock_new, run_training
from zoo.api.same_run import check_same_run
from zoo.api.sources import check_files, with_files
from zoo.api.suggestions import Choice, choose
from zoo.engine.joining import check_launch, is_restarted, joined
from zoo.files import absolute
from zoo.installed import registry
from zoo.interfaces import Callback
from zoo.runs import Run
from zoo.settings import find_task, resolve
from zoo.spec import RunSpec
from zoo.values import check_seed


def train(
    name: str = "",
    data: Source = "",
    *,
    validation: Source = "",
    test: Source = "",
    out: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    callbacks: Sequence[Callback | str] = (),
    metrics: Sequence[str] = (),
    init: str | Path | None = None,
    seed: int = 1,
    device: str = "auto",
    threads: int = 0,
    progress: bool = True,
    check: bool = True,
    evaluate_test: bool = True,
) -> Run:
    """Train on data: a recipe, a task with a model, or what suits the data.

    Args:
        name: A recipe, or ``TASK/MODEL`` such as ``sentiment/gru``. Empty: the data is looked at,
            and task, model and settings are chosen; a task alone: model and settings are.
        data: A path or the name of a data set; a table: a DataFrame of pandas or polars, a
            mapping of columns, or a list of pairs (text, label). Empty: what the recipe says. A
            table is written into the run directory, as ``data.jsonl``.
        validation: A file or table of its own to validate with, where the task takes one.
        test: A file or table of its own for the test, where the task takes one.
        out: The run directory; by default a new one under ``runs/``.
        settings: Settings that differ from those of the recipe, as after ``--set``.
        callbacks: Callbacks, or names of installed ones.
        metrics: Names of further metrics of evaluations.
        init: Weights to start from: a weights file, a run directory or a recipe with weights.
            They decide the model, where none is named, and settings under which they fit, unless
            ``settings`` has others. What fits is taken by name; ``run.transfer`` says what was.
            Empty: none. None: what the recipe or the suggestion for the data names, if anything.
        seed: Seed of everything that is drawn.
        device: ``auto``, ``cpu``, ``cuda`` ...
        threads: Threads of torch during the training; 0: one for each processor.
        progress: Whether to show progress on stderr or in the notebook.
        check: Whether to check, before the first step, that the models keep what
            :mod:`zoo.interfaces` promises, that the task can be trained and evaluated, and that
            the network can be saved and loaded; see ``docs/conformance.md``.
        evaluate_test: Whether callbacks that follow the end of the run, such as a report, find its
            score on the test part.

    Returns:
        The run. Ctrl-C ends the training after the current step, with a checkpoint:
        ``run.interrupted`` is true then and :func:`resume` continues it.

    Raises:
        ZooError: A name, a setting, the data or the weights are wrong; or the training failed.
        TypeError: One of ``callbacks`` is neither a callback nor a name.

    Example:
        >>> import zoo
        >>> run = zoo.train("sample-lstm", out="runs/a", settings={"steps": 20}, progress=False)
        >>> sorted(run.model.info["metrics"])
        ['validation']
    """
    check_seed(seed)
    sources = {"data": data, "validation_data": validation, "test_data": test}
    tables = {part: source for part, source in sources.items() if frames.is_table(source)}
    names = tuple(callback for callback in callbacks if isinstance(callback, str))
    objects = [callback for callback in callbacks if not isinstance(callback, str)]
    with ExitStack() as stack:
        processes = stack.enter_context(joined(device))
        check_launch(processes, out, tables=bool(tables))
        if out and is_restarted(processes, out):
            files = {part: str(source) for part, source in sources.items()}
            check_same_run(
                out, name, data=files["data"], validation=files["validation_data"],
                test=files["test_data"], settings=settings,
                init=None if init is None else str(init), callbacks=names, metrics=metrics,
                seed=seed,
            )  # fmt: skip
            return resume_joined(
                out, 0, 0, objects, device, threads, progress, evaluate_test=evaluate_test,
                allow_changed=True, processes=processes,
            )  # fmt: skip
        # Before anything is read or written: the directory is this process's alone.
        directory = lock_new(stack, name or "table", out, processes) if out or tables else None
        if directory and tables:
            sources |= stack.enter_context(frames.written(tables, directory))
        files = {part: str(source) for part, source in sources.items()}
        data_file = absolute(files.pop("data"))
        given = with_files(settings or {}, files)
        choice = choose(name, data_file, given, registry())
        check_files(find_task(choice.name, registry()), files)
        is_named = choice.name == name  # The model, too.
        choice, source = choose_initial(
            choice, init, given, registry(), is_named=is_named, device=device
        )
        spec = resolve(
            choice.name,
            registry(),
            given,
            suggested=choice.suggested,
            initial=choice.initial,
            data=data_file,
            seed=seed,
            init=absolute(choice.init),
            callbacks=names,
            metrics=metrics,
        )
        directory = directory or lock_new(stack, choice.name, processes=processes)
        notes = [*choice.notes, *([] if is_named else [_chosen(choice, spec)])]
        if source is not None:
            unasked = choice.init if init is None else ""
            notes += describe_initial(unasked, source, spec, choice.initial, registry())
        return run_training(
            spec, directory, objects, device, threads, progress,
            source=source, check=check, evaluate_test=evaluate_test, notes=notes,
            processes=processes,
        )  # fmt: skip


def fit(
    texts: Iterable[str],
    labels: Iterable[object],
    *,
    name: str = "",
    out: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    callbacks: Sequence[Callback | str] = (),
    metrics: Sequence[str] = (),
    init: str | Path | None = None,
    seed: int = 1,
    device: str = "auto",
    threads: int = 0,
    progress: bool = True,
    check: bool = True,
    evaluate_test: bool = True,
) -> Run:
    """Train on texts and their labels, as :func:`train` does on a table of them.

    Args:
        texts: The texts.
        labels: A label for each: a string, a number, or a list of strings.
        name: As for :func:`train`; empty: what suits the data.
        out: As for :func:`train`, and so are all that follow.
        settings: See there.
        callbacks: See there.
        metrics: See there.
        init: See there.
        seed: See there.
        device: See there.
        threads: See there.
        progress: See there.
        check: See there.
        evaluate_test: See there.

    Raises:
        ZooError: As for :func:`train`; or there are more texts than labels, or fewer.
        TypeError: ``texts`` is a single string.

    Example:
        >>> import zoo
        >>> texts = [f"{word} film {n}" for n in range(30) for word in ("fine", "dull")]
        >>> labels = ["pos", "neg"] * 30
        >>> run = zoo.fit(
        ...     texts, labels, name="sentiment/gru", out="runs/f", settings={"steps": 2},
        ...     progress=False,
        ... )
        >>> next(run.model.predict(["fine film"])).text
        'fine film'
    """
    if isinstance(texts, str):
        raise TypeError("fit() takes several texts")
    return train(
        name,
        {"text": texts, "label": labels},
        out=out,
        settings=settings,
        callbacks=callbacks,
        metrics=metrics,
        init=init,
        seed=seed,
        device=device,
        threads=threads,
        progress=progress,
        check=check,
        evaluate_test=evaluate_test,
    )


def _chosen(choice: Choice, spec: RunSpec) -> str:
    return (
        f"chosen: {choice.name}, {describe_length(spec)}; change it with --set, "
        f"`zoo show {choice.name}` lists the settings"
    )
