"""What the estimators share: parameters, texts, training, the one file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from zoo.api import fit, load
from zoo.environment import choose_device
from zoo.errors import DataError, UsageError
from zoo.interfaces import Prediction
from zoo.trained import TrainedModel

# Key of the header of a weights file: what an estimator knows and a TrainedModel does not.
HEADER = "sklearn"


class TextEstimator(BaseEstimator):  # type: ignore[misc]
    """An estimator whose X is a sequence of texts.

    Args:
        model: Name of the recurrent model, see ``zoo list --models``; None: what suits the data.
        epochs: Passes over the training texts; None: what suits the data, as for the next three.
        batch_size: Texts a step.
        learning_rate: The largest one of the schedule.
        hidden_size: Units of the recurrent model.
        validation_size: Share of the texts from which the recurrent part does not learn: they fit
            the temperature and the threshold. The linear part is fitted to all texts in the end.
            Empty texts are left out.
        settings: Further settings, as after ``--set``: ``{"task.tokens": "characters"}``. They go
            before the parameters above.
        init: Weights to start from, as for :func:`zoo.fit`; None: those that suit the data, where
            ``model`` is None, too; empty: none.
        random_state: Seed of everything that is drawn, a ``numpy.random.RandomState`` or None.
        device: ``auto``, ``cpu``, ``cuda`` ...
        threads: Threads of torch during the training; 0: one for each processor. Give 1 where
            several trainings run at the same time, as with ``GridSearchCV(n_jobs=2)``.
        verbose: Whether to show what the data is taken for, and progress.

    Attributes:
        model_: The :class:`zoo.TrainedModel`.
    """

    model_: TrainedModel

    def __init__(
        self,
        model: str | None = None,
        *,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        hidden_size: int | None = None,
        validation_size: float = 0.1,
        settings: Mapping[str, object] | None = None,
        init: str | Path | None = None,
        random_state: int | np.random.RandomState | None = 1,
        device: str = "auto",
        threads: int = 0,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.hidden_size = hidden_size
        self.validation_size = validation_size
        self.settings = settings
        self.init = init
        self.random_state = random_state
        self.device = device
        self.threads = threads
        self.verbose = verbose

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the weights file, which ``zoo predict`` and :meth:`load` read.

        Args:
            path: Where to.
            overwrite: Whether an existing file is replaced.

        Raises:
            NotFittedError: The estimator is not fitted.
            UsageError: The file exists.
            DiskError: It cannot be written.
        """
        check_is_fitted(self, "model_")
        self.model_.save(path, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Self:
        """Return a fitted estimator of a weights file, a run directory or a recipe.

        Its parameters are the defaults, apart from ``model`` and ``device``.

        Args:
            path: As for :func:`zoo.load`.
            device: ``auto``, ``cpu``, ``cuda`` ...

        Raises:
            WeightsError: It is no weights file, or has been changed.
            UsageError: Its task answers with something else.
        """
        trained = load(path, str(choose_device(device)))
        estimator = cls(model=trained.spec.model.info.name, device=device)
        estimator._take(trained)
        return estimator

    def _take(self, trained: TrainedModel) -> None:
        """Take a trained model, and what its header has of this estimator."""
        raise NotImplementedError

    def _train(
        self, task: str, texts: Sequence[str], labels: Iterable[object], kind: str, header: object
    ) -> None:
        """Train in a directory that is removed.

        Args:
            task: Name of the task.
            texts: The texts.
            labels: A label for each, as the task writes them.
            kind: What the task calls such labels.
            header: What :meth:`_take` needs, as JSON.

        Raises:
            ValueError: A setting is wrong, or the data is unfit.
            ZooError: The training failed.
            KeyboardInterrupt: Ctrl-C ended the training.
        """
        parameters = {
            "training.epochs": self.epochs,
            "training.batch_size": self.batch_size,
            "training.learning_rate": self.learning_rate,
            "model.hidden_size": self.hidden_size,
            "task.validation_size": self.validation_size,
            "task.test_size": 0.0,
            "task.text_column": "text",
            "task.label_column": "label",
            "task.labels": kind,
        }
        given = {key: value for key, value in parameters.items() if value is not None}
        seed = self.random_state
        if not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(2**31 - 1)
        with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
            try:
                run = fit(
                    texts,
                    labels,
                    name=f"{task}/{self.model}" if self.model else task,
                    out=Path(folder) / "run",
                    settings={**given, **(self.settings or {})},
                    init=self.init,
                    seed=int(seed),
                    device=self.device,
                    threads=self.threads,
                    progress=self.verbose,
                )
            except (DataError, UsageError) as error:
                raise ValueError(f"cannot learn from {len(texts)} sample(s): {error}") from error
            if run.interrupted:
                raise KeyboardInterrupt
            trained = load(run.path, str(choose_device(self.device)))
        trained.info = {**trained.info, HEADER: header}
        self._take(trained)

    def _predict(self, X: Any) -> list[Prediction]:  # noqa: N803 - as scikit-learn calls it
        check_is_fitted(self, "model_")
        return list(self.model_.predict(texts_of(X)))

    # A pickle has the weights file in place of the model.

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "model_" in state:
            with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
                path = Path(folder) / "weights.safetensors"
                state.pop("model_").save(path)
                state["_weights"] = path.read_bytes()
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        rest = dict(state)
        weights = rest.pop("_weights", None)
        super().__setstate__(rest)
        if weights is not None:
            with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
                path = Path(folder) / "weights.safetensors"
                path.write_bytes(weights)
                # It may have been trained on a device that this machine lacks.
                self.model_ = load(path, str(choose_device()))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


def texts_of(X: Any) -> list[str]:  # noqa: N803
    """Return texts as a list.

    Args:
        X: Strings in a list, an array or a column, of shape (N,) or (N, 1).

    Raises:
        ValueError: It is something else, or empty; the message says which row is no string.
    """
    shape: tuple[int, ...] = getattr(X, "shape", ())
    is_sparse = hasattr(X, "toarray")
    single = isinstance(X, str | bytes | Mapping) or not hasattr(X, "__iter__")
    if single or is_sparse or len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
        what = "sparse matrix" if is_sparse else type(X).__name__
        of_shape = f" of shape {shape}" if shape else ""
        raise ValueError(f"X is a {what}{of_shape}: give strings in a list, an array or a column")
    found = list(np.asarray(X, dtype=object).ravel() if len(shape) == 2 else X)
    if not found:
        raise ValueError("X has 0 sample(s) (shape=(0,)) while a minimum of 1 is required.")
    for row, text in enumerate(found):
        if not isinstance(text, str):
            value = f"{text!r:.40}"
            raise ValueError(f"X[{row}] is not a string: {value}, a {type(text).__name__}")
    return [str(text) for text in found]


def check_target(X: Any, y: Any, estimator: TextEstimator) -> list[str]:  # noqa: N803
    """Return the texts of X, checked to be as many as y has labels.

    Raises:
        ValueError: They are no texts, y is missing, or lengths differ.
    """
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None"
        )
    texts = texts_of(X)
    check_consistent_length(texts, y)
    return texts
