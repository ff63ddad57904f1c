"""A classifier of texts."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from zoo.sklearn.base import HEADER, TextEstimator, check_target
from zoo.sklearn.targets import Classes
from zoo.trained import TrainedModel


class TextClassifier(ClassifierMixin, TextEstimator):  # type: ignore[misc]
    """A classifier of texts: one class a text, of two or more, or any number of labels.

    Every text but the validation part is learned from; no test part is taken from X. Parameters
    are those of :class:`zoo.sklearn.base.TextEstimator`. A text of which nothing is known, such as
    an empty one, is answered with the shares of the classes.

    Attributes:
        classes_: The K classes, sorted, in the dtype of y; of indicators ``0 ... K - 1``.
        model_: The :class:`zoo.TrainedModel`.

    Example:
        >>> from sklearn.model_selection import cross_val_score
        >>> from zoo.sklearn import TextClassifier
        >>> texts = [f"a {word} film, {n}" for n in range(30) for word in ("fine", "dull")]
        >>> classifier = TextClassifier(epochs=2, hidden_size=4, threads=1)
        >>> cross_val_score(classifier, texts, ["pos", "neg"] * 30, cv=2).shape
        (2,)
    """

    classes_: npt.NDArray[Any]
    _classes: Classes

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Train on texts and their classes.

        Args:
            X: N texts: a list, an array or a column of strings.
            y: A class of each, of any type, of shape (N,); or indicators of K labels, of shape
                (N, K), of which the names of the columns are kept in the file if they have any.

        Raises:
            ValueError: They are not that, differ in length, are too few or of a single class; or a
                parameter is wrong.
            ZooError: The training failed.
        """
        texts = check_target(X, y, self)
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind == "multilabel-indicator":
            return self._fit_indicators(texts, y)
        if kind not in ("binary", "multiclass"):
            raise ValueError(f"Unknown label type: {kind}")
        values, index = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        if values.dtype.kind in "mM":
            raise ValueError("Unknown label type: dates and times; convert them to strings")
        if len(values) < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least 2 classes: one class alone, "
                f"{values.tolist()[0]!r}, is in the data"
            )
        classes = Classes.of(values, several=False)
        labels = [classes.labels[n] for n in index.tolist()]
        self._train("text-classification", texts, labels, "classes", classes.to_json())
        return self

    def _fit_indicators(self, texts: list[str], y: Any) -> Self:
        columns = getattr(y, "columns", ())
        indicators = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
        if not indicators.any():
            raise ValueError("no text has any label: all of y is 0")
        numbers = np.arange(indicators.shape[1])
        classes = Classes.of(numbers, several=True, names=tuple(columns))
        labels = [[classes.labels[n] for n in np.flatnonzero(row)] for row in indicators]
        self._train("text-multilabel", texts, labels, "multilabel", classes.to_json())
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """Return the class of each text (N,), or indicators (N, K).

        With a decision threshold other than a half, this is not always the likeliest class.

        Args:
            X: N texts: a list, an array or a column of strings.

        Raises:
            NotFittedError: The classifier is not fitted.
            ValueError: X is not a sequence of texts.
        """
        answers: list[Any] = self._predict(X)
        index = {label: n for n, label in enumerate(self._classes.labels)}
        if not self._classes.several:
            return self.classes_[[index[answer.label] for answer in answers]]
        indicators = np.zeros((len(answers), len(self.classes_)), dtype=np.int64)
        for row, answer in zip(indicators, answers, strict=True):
            row[[index[label] for label in answer.labels]] = 1
        return indicators

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return the probability of every class (N, K), or of every label; errors as of predict.

        Args:
            X: N texts.
        """
        scores = self._scores(X)
        if not self._classes.several:
            scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return log-odds; errors as of predict.

        Of two classes those of the second (N,), of several labels those of each (N, K), and of
        more classes the logarithm of each probability (N, K).

        Args:
            X: N texts.
        """
        scores = self._scores(X)
        tiny = np.finfo(np.float32).tiny
        logs = np.log(np.maximum(scores, tiny))
        if self._classes.several:
            return logs - np.log(np.maximum(1 - scores, tiny))
        return logs[:, 1] - logs[:, 0] if len(self.classes_) == 2 else logs

    def _scores(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return the probability of every label as the model gives it (N, K)."""
        answers: list[Any] = self._predict(X)
        # A label that no text of the training part has is unknown to the model.
        rows = [[answer.scores.get(n, 0.0) for n in self._classes.labels] for answer in answers]
        return np.array(rows, dtype=np.float64)

    def _take(self, trained: TrainedModel) -> None:
        self._classes = Classes.of_model(trained, trained.info.get(HEADER))
        self.classes_ = self._classes.values
        self.model_ = trained

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.two_d_labels = True
        return tags
