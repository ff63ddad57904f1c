"""A regressor of texts."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.utils import check_array, column_or_1d

from zoo.errors import UsageError
from zoo.interfaces import ValuesPrediction
from zoo.sklearn.base import TextEstimator, check_target
from zoo.trained import TrainedModel


class TextRegressor(RegressorMixin, TextEstimator):  # type: ignore[misc]
    """A regressor of texts: a number for each.

    Every text but the validation part is learned from; no test part is taken from X. Parameters
    are those of :class:`zoo.sklearn.base.TextEstimator`. A text of which nothing is known, such as
    an empty one, is answered with the mean.

    Attributes:
        model_: The :class:`zoo.TrainedModel`.

    Example:
        >>> from zoo.sklearn import TextRegressor
        >>> texts, prices = [f"{n} eggs" for n in range(60)], [0.3 * n for n in range(60)]
        >>> regressor = TextRegressor(epochs=1, hidden_size=4, threads=1).fit(texts, prices)
        >>> regressor.predict(["7 eggs", "8 eggs"]).shape
        (2,)
    """

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Train on texts and a number of each.

        Args:
            X: N texts: a list, an array or a column of strings.
            y: N finite numbers.

        Raises:
            ValueError: They are not that, differ in length or are too few; or a parameter is wrong.
            ZooError: The training failed.
        """
        texts = check_target(X, y, self)
        numbers = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        numbers = column_or_1d(numbers, warn=True)
        self._train("text-regression", texts, numbers.tolist(), "numbers", {})
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return a number for each text (N,).

        Args:
            X: N texts: a list, an array or a column of strings.

        Raises:
            NotFittedError: The regressor is not fitted.
            ValueError: X is not a sequence of texts.
        """
        answers: list[Any] = self._predict(X)
        return np.array([answer.values[0] for answer in answers], dtype=np.float64)

    def _take(self, trained: TrainedModel) -> None:
        answer = next(trained.predict(["text"])) if trained.predicts else None
        if not isinstance(answer, ValuesPrediction) or len(answer.values) != 1:
            raise UsageError(
                f"{trained.name!r} does not answer with a number",
                why=f"its task is {trained.spec.task.info.name!r}",
                fix="load it with zoo.load",
            )
        self.model_ = trained
