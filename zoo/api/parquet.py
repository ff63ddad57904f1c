"""Predictions of texts in Parquet files."""

from __future__ import annotations

import glob
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.api.parquet_files import (
    AnswersWriter,
    ParquetTexts,
    answer_schema,
    find_texts,
    require_pyarrow,
)
from zoo.errors import DataError, DiskError, UsageError
from zoo.files import open_atomically, refuse_existing
from zoo.interfaces import HasKnown, Prediction

if TYPE_CHECKING:
    from zoo.runtime import InferenceModel


@dataclass(frozen=True, slots=True)
class PredictedFiles:
    """What :func:`predict_parquet` wrote.

    Args:
        paths: The files.
        rows: How many texts they have.
        unknown: Of how many of them the training knew nothing (``known`` is 0).
    """

    paths: tuple[Path, ...]
    rows: int
    unknown: int


@dataclass(frozen=True, slots=True)
class _Job:
    """A file to read, and the one to write with its columns."""

    source: ParquetTexts
    target: Path
    schema: Any


def predict_parquet(
    model: InferenceModel,
    source: str | Path,
    output: str | Path,
    *,
    text_column: str = "",
    prefix: str = "",
    threads: int = 1,
    overwrite: bool = False,
    progress: Callable[[int, int], object] = lambda done, rows: None,
) -> PredictedFiles:
    """Predict a column of texts in Parquet files, in constant memory.

    The files that are written have the columns of the input and the fields of the predictions, as
    of ``zoo predict --json`` without ``text``. A file gets its name when it is complete.

    Args:
        model: Predicts the texts.
        source: A file; or a folder, or a pattern such as ``texts/*.parquet``, of several.
        output: The file to write; of several the folder, in which they keep their names.
        text_column: The column of the texts; empty: that of the training, or else ``text``, or the
            only one of strings.
        prefix: Put before the names of the added columns.
        threads: As for :meth:`zoo.runtime.InferenceModel.predict`.
        overwrite: Whether existing files are replaced.
        progress: Called with the number of rows that are predicted, and that of all.

    Raises:
        UsageError: pyarrow is missing, a file exists, the model predicts nothing, several columns
            may have the texts, or an added column has the name of another.
        DataError: A file is missing or not Parquet, has no such column of texts, or a text is
            null.
        DiskError: A file cannot be written.

    Example:
        >>> import pyarrow.parquet, zoo, zoo.api
        >>> texts = pyarrow.table({"text": ["A film to remember.", "Dull and far too long."]})
        >>> pyarrow.parquet.write_table(texts, "texts.parquet")
        >>> model = zoo.load("imdb-bilstm", runtime="numpy")
        >>> zoo.api.predict_parquet(model, "texts.parquet", "answers.parquet").rows
        2
        >>> pyarrow.parquet.read_table("answers.parquet")["label"].to_pylist()
        ['pos', 'neg']
    """
    require_pyarrow()
    model.predict(())  # Before files are read: it may be no model that predicts.
    default = model.info["run"]["task"]["options"].get("text_column", "")
    found = [
        (find_texts(path, text_column, default), target) for path, target in _files(source, output)
    ]
    for texts, target in found:
        if target.exists() and target.samefile(texts.path):
            raise UsageError("the output would replace the input", where=str(target))
        if not overwrite:
            refuse_existing(target)
    kind = _kind_of_predictions(model, [texts for texts, _ in found])
    jobs = [
        _Job(texts, target, answer_schema(texts.schema, kind, prefix, texts.path))
        for texts, target in found
    ]
    total = sum(job.source.num_rows for job in jobs)
    rows = unknown = 0
    for job in jobs:
        _make_folder(job.target.parent)
        with (
            open_atomically(job.target) as file,
            AnswersWriter(file, job.schema, kind) as writer,
        ):
            for batch, predictions in _predicted(model, job.source, threads):
                writer.write(batch, predictions)
                rows += len(predictions)
                unknown += sum(isinstance(p, HasKnown) and p.known == 0 for p in predictions)
                progress(rows, total)
    return PredictedFiles(tuple(job.target for job in jobs), rows, unknown)


def _files(source: str | Path, output: str | Path) -> list[tuple[Path, Path]]:
    """Return the files to read, each with the one to write.

    Raises:
        DataError: There is none.
        UsageError: Several cannot be written there.
    """
    path, target = Path(source), Path(output)
    if path.is_file():
        return [(path, target / path.name if target.is_dir() else target)]
    pattern = str(path / "*.parquet") if path.is_dir() else str(source)
    found = [Path(name) for name in sorted(glob.glob(pattern)) if Path(name).is_file()]  # noqa: PTH207
    if not found:
        raise DataError("no such file", where=pattern, fix="check the path")
    if target.exists() and not target.is_dir():
        raise UsageError("several files are written into a folder", why=f"{target} is a file")
    if len({file.name for file in found}) < len(found):
        why, fix = "two have the same name", "predict them one after the other"
        raise UsageError("several files are written into a folder", why=why, fix=fix)
    return [(file, target / file.name) for file in found]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError("cannot make the folder", where=str(folder), why=str(error)) from error


def _kind_of_predictions(model: InferenceModel, sources: list[ParquetTexts]) -> type[Prediction]:
    """Return the class of the predictions: that of the first text, because all are of one."""
    first = next((t for source in sources for b in source.batches() for t in source.texts(b)), "")
    (prediction,) = model.predict([first])
    return type(prediction)


def _predicted(
    model: InferenceModel, source: ParquetTexts, threads: int
) -> Iterator[tuple[Any, list[Prediction]]]:
    """Yield the rows of a file in batches, with their predictions."""
    waiting: deque[Any] = deque()  # Batches that were read and are not yet predicted.

    def texts() -> Iterator[str]:
        for batch in source.batches():
            waiting.append(batch)
            yield from source.texts(batch)

    predictions: list[Prediction] = []
    for prediction in model.predict(texts(), threads=threads):
        predictions.append(prediction)
        if len(predictions) == len(waiting[0]):
            yield waiting.popleft(), predictions
            predictions = []
