"""Estimators of scikit-learn: what they learn from, what they keep, and scikit-learn's checks."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

import zoo
from zoo.errors import UsageError, WeightsError
from zoo.sklearn import TextClassifier, TextRegressor

TEXTS = [f"a {word} film, number {n}" for n in range(30) for word in ("fine", "dull")]
GRADES = ["good", "bad"] * 30
NUMBERS = [2.5, 1.0] * 30
INDICATORS = np.array([[1, 0, 1], [0, 1, 0]] * 30)
QUICK: dict[str, Any] = {
    "hidden_size": 3,
    "threads": 1,
    "settings": {"training.steps": 2, "task.embed_size": 3},
}


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    return TextClassifier(**QUICK).fit(TEXTS, GRADES)


@pytest.fixture(scope="module")
def labeler() -> TextClassifier:
    return TextClassifier(**QUICK).fit(TEXTS, pd.DataFrame(INDICATORS, columns=["x", "y", "z"]))


@pytest.fixture(scope="module")
def regressor() -> TextRegressor:
    return TextRegressor(**QUICK).fit(TEXTS, NUMBERS)


@pytest.fixture(params=["classifier", "labeler", "regressor"])
def fitted(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def outputs(estimator: Any) -> Any:
    """Return the finest that an estimator says of the texts."""
    return getattr(estimator, "predict_proba", estimator.predict)(TEXTS)


# What is learned


@pytest.mark.parametrize(
    "y",
    [
        np.array([1, 0] * 30),
        np.array([2.0, 1.0] * 30),
        np.array([True, False] * 30),
        np.array(GRADES),
        np.array([" a", ""] * 30),
        pd.Series(["nan", "1"] * 30, dtype=object),
    ],
    ids=lambda y: f"{y.dtype}",
)
def test_classes_are_those_of_y_in_its_own_dtype(y: Any) -> None:
    found = TextClassifier(**QUICK).fit(TEXTS, y)
    assert found.classes_.tolist() == sorted(set(y.tolist()))
    assert found.classes_.dtype == found.predict(TEXTS[:2]).dtype == y.dtype
    assert found.predict(TEXTS).tolist() == y.tolist()
    assert found.predict_proba(TEXTS).argmax(axis=1).tolist() == [1, 0] * 30


def test_probabilities_are_those_of_the_saved_model(
    classifier: TextClassifier, tmp_path: Path
) -> None:
    classifier.save(tmp_path / "w.safetensors")
    answers: list[Any] = list(zoo.load(tmp_path / "w.safetensors").predict(TEXTS))
    assert classifier.predict(TEXTS).tolist() == [answer.label for answer in answers]
    found = classifier.predict_proba(TEXTS)
    expected = [[answer.scores[name] for name in ("bad", "good")] for answer in answers]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    odds = found[:, 1] / found[:, 0]
    np.testing.assert_allclose(classifier.decision_function(TEXTS), np.log(odds))
    assert classifier.score(TEXTS, GRADES) == accuracy_score(GRADES, classifier.predict(TEXTS))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # It warns of rows that do not sum to one.
        assert log_loss(GRADES, found) < 0.7


def test_three_classes_have_a_decision_each() -> None:
    found = TextClassifier(**QUICK).fit(TEXTS, ["c", "a", "b"] * 20)
    assert found.predict_proba(TEXTS).shape == found.decision_function(TEXTS).shape == (60, 3)
    best = found.decision_function(TEXTS).argmax(axis=1)
    assert found.classes_[best].tolist() == found.predict(TEXTS).tolist()


def test_indicators_are_several_labels_a_text(labeler: TextClassifier, tmp_path: Path) -> None:
    assert labeler.classes_.tolist() == [0, 1, 2]
    assert labeler.predict(TEXTS).tolist() == INDICATORS.tolist()
    assert labeler.score(TEXTS, INDICATORS) == 1
    odds = labeler.predict_proba(TEXTS) / (1 - labeler.predict_proba(TEXTS))
    np.testing.assert_allclose(labeler.decision_function(TEXTS), np.log(odds))
    labeler.save(tmp_path / "w.safetensors")
    answers: list[Any] = list(zoo.load(tmp_path / "w.safetensors").predict(TEXTS[:2]))
    assert [set(answer.labels) for answer in answers] == [{"x", "z"}, {"y"}]


def test_numbers_are_those_of_the_saved_model(regressor: TextRegressor, tmp_path: Path) -> None:
    regressor.save(tmp_path / "w.safetensors")
    answers: list[Any] = list(zoo.load(tmp_path / "w.safetensors").predict(TEXTS))
    assert regressor.predict(TEXTS).tolist() == [answer.values[0] for answer in answers]
    assert regressor.score(TEXTS, NUMBERS) == r2_score(NUMBERS, regressor.predict(TEXTS))
    assert regressor.score(TEXTS, NUMBERS) > 0.5


@pytest.mark.parametrize(
    "texts",
    [
        np.array(TEXTS),
        np.array(TEXTS, object),
        pd.Series(TEXTS),
        pd.DataFrame({"a": TEXTS}),
        tuple(TEXTS),
        (text for text in TEXTS),
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_texts_may_be_in_whatever_has_strings(texts: Any, classifier: TextClassifier) -> None:
    assert outputs(classifier).tolist() == classifier.predict_proba(texts).tolist()


def test_every_text_is_learned_from_but_the_validation_part(
    capfd: pytest.CaptureFixture[str],
) -> None:
    TextRegressor(**QUICK, validation_size=0.25, verbose=True).fit(TEXTS, NUMBERS)
    assert "train 45, validation 15, test 0" in capfd.readouterr().err


def test_a_training_is_quiet_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.dumps(TextClassifier(**QUICK).fit([*TEXTS, *TEXTS[:9]], [*GRADES, *GRADES[:9]]))
    assert list(tmp_path.iterdir()) == []
    assert "".join(capfd.readouterr()) == ""


def test_random_state_decides_everything_that_is_drawn() -> None:
    def fit(seed: Any) -> Any:
        return outputs(TextRegressor(**QUICK, random_state=seed).fit(TEXTS, NUMBERS)).tolist()

    assert fit(3) == fit(3) != fit(4)
    assert fit(np.random.RandomState(0)) == fit(np.random.RandomState(0))
    assert fit(None) != fit(None)


def test_parameters_are_settings() -> None:
    given = TextClassifier(
        "gru", epochs=2, batch_size=7, learning_rate=0.5, hidden_size=4, threads=1,
        settings={"task.embed_size": 5},
    ).fit(TEXTS, GRADES)  # fmt: skip
    run = given.model_.info["run"]
    assert run["name"] == "text-classification/gru"
    assert (run["model"]["options"]["hidden_size"], run["task"]["options"]["embed_size"]) == (4, 5)
    training = run["training"]
    assert [training[n] for n in ("epochs", "batch_size", "learning_rate")] == [2, 7, 0.5]


def test_what_is_not_given_is_as_without_an_estimator(
    classifier: TextClassifier, tmp_path: Path
) -> None:
    run = zoo.fit(
        TEXTS, GRADES, name="text-classification/bilstm", out=tmp_path / "run", threads=1,
        settings={**QUICK["settings"], "hidden_size": 3}, progress=False,
    )  # fmt: skip
    found = classifier.model_.info["run"]
    assert found["training"] == run.config["training"]
    task, expected = found["task"]["options"], run.config["task"]["options"]
    assert {key for key in task if task[key] != expected[key]} == {"test_size"}


# With the rest of scikit-learn


def test_in_a_pipeline_and_in_a_grid_search() -> None:
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    loud = [text.upper() for text in TEXTS]
    pipeline = make_pipeline(lower, TextClassifier(**QUICK))
    grid = {"textclassifier__hidden_size": [2, 3], "textclassifier__model": ["gru"]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring="neg_log_loss", error_score="raise")
    search.fit(np.array(loud), GRADES)
    assert search.best_estimator_[-1].get_params()["model"] == "gru"
    assert search.predict(TEXTS).tolist() == search.predict(loud).tolist() == GRADES


def test_in_cross_validation_of_a_series() -> None:
    scores = cross_val_score(
        TextRegressor(**QUICK), pd.Series(TEXTS, index=range(60, 0, -1)), NUMBERS, cv=2,
        scoring="r2", error_score="raise",
    )  # fmt: skip
    assert scores.min() > 0.5


def test_a_clone_has_the_parameters_and_is_not_fitted(classifier: TextClassifier) -> None:
    cloned = clone(classifier)
    assert cloned.get_params() == classifier.get_params()
    for use in (cloned.predict, cloned.predict_proba, cloned.decision_function, cloned.save):
        with pytest.raises(NotFittedError):
            use(TEXTS)


# Kept


def test_pickles_answer_the_same_in_a_fresh_process(
    classifier: Any, labeler: Any, regressor: Any, tmp_path: Path
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.write_bytes(pickle.dumps(([classifier, labeler, regressor], TEXTS)))
    program = (
        "import pickle, sys, numpy\n"
        "estimators, texts = pickle.load(open(sys.argv[1], 'rb'))\n"
        "pickle.dump([e.predict(texts) for e in estimators], open(sys.argv[2], 'wb'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(before), str(after)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = pickle.loads(after.read_bytes())
    assert [f.tolist() for f in found[:2]] == [GRADES, INDICATORS.tolist()]
    np.testing.assert_allclose(found[2], regressor.predict(TEXTS), atol=1e-6)


def test_a_copy_answers_the_same(fitted: Any) -> None:
    assert outputs(copy.deepcopy(fitted)).tolist() == outputs(fitted).tolist()


def test_a_saved_file_is_a_fitted_estimator(fitted: Any, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    fitted.save(path)
    loaded = type(fitted).load(path)
    assert outputs(loaded).tolist() == outputs(fitted).tolist()
    assert loaded.get_params()["model"] == "bilstm"
    with pytest.raises(UsageError, match="file exists"):
        fitted.save(path)
    fitted.save(path, overwrite=True)


def test_a_file_keeps_the_dtype_of_the_classes(tmp_path: Path) -> None:
    for y in (np.array([10, 9] * 30, np.int16), np.array(["10", "9"] * 30)):
        path = tmp_path / f"{y.dtype.kind}.safetensors"
        TextClassifier(**QUICK).fit(TEXTS, y).save(path)
        loaded = TextClassifier.load(path)
        assert loaded.classes_.dtype == y.dtype
        assert loaded.score(TEXTS, y) == 1


def test_a_file_of_another_training_has_its_labels_for_classes(tmp_path: Path) -> None:
    run = zoo.fit(
        TEXTS, GRADES, name="text-classification/gru", out=tmp_path / "run", threads=1,
        settings={**QUICK["settings"], "hidden_size": 3}, progress=False,
    )  # fmt: skip
    loaded = TextClassifier.load(run.path)
    assert loaded.classes_.tolist() == ["bad", "good"]
    assert loaded.predict(TEXTS).tolist() == GRADES
    with pytest.raises(UsageError, match="does not answer with a number: its task is 'text-cl"):
        TextRegressor.load(run.path)
    with pytest.raises(UsageError, match=r"does not answer with labels .*'char-lm'"):
        TextClassifier.load("island-lstm")
    with pytest.raises(WeightsError, match="no weights"):
        TextClassifier.load(tmp_path / "missing")


# What is refused


@pytest.mark.parametrize(
    ("texts", "y", "said"),
    [
        (TEXTS, ["good"] * 60, "one class alone, 'good', is in the data"),
        ([], [], "0 sample"),
        (TEXTS, GRADES[:-1], "inconsistent numbers of samples"),
        (TEXTS, None, "requires y"),
        ([*TEXTS[:59], None], GRADES, r"X\[59\] is not a string: None, a NoneType"),
        (np.arange(60), GRADES, r"X\[0\] is not a string: .*, a int"),
        (np.array([TEXTS, TEXTS]).T, GRADES, r"X is a ndarray of shape \(60, 2\)"),
        ("a text", GRADES, "X is a str"),
        ({"text": TEXTS}, GRADES, "X is a dict"),
        (7, GRADES, "X is a int"),
        (TEXTS, np.linspace(0, 1, 60), "continuous"),
        (TEXTS, np.zeros((60, 3), int), "no text has any label"),
        (TEXTS, np.tile([[1, 2, 3]], (60, 1)), "multiclass-multioutput"),
        (TEXTS[:4], GRADES[:4], r"cannot learn from 4 sample\(s\): 4 texts are too few"),
    ],
)
def test_what_is_no_text_or_no_class_is_refused(texts: Any, y: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TextClassifier(**QUICK).fit(texts, y)


@pytest.mark.parametrize(
    ("y", "said"),
    [([[1.0, 2.0]] * 60, "should be a 1d array"), ([np.nan] * 60, "NaN"), (GRADES, "convert")],
)
def test_what_is_no_number_is_refused(y: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TextRegressor(**QUICK).fit(TEXTS, y)


@pytest.mark.parametrize("estimator", [TextClassifier(**QUICK), TextRegressor(**QUICK)])
def test_weights_of_samples_are_refused_in_training(estimator: Any) -> None:
    with pytest.raises(TypeError, match="sample_weight"):
        estimator.fit(TEXTS, NUMBERS, sample_weight=np.ones(60))


def test_a_wrong_parameter_is_refused_when_it_is_used() -> None:
    wrong = TextClassifier("lstmm", settings={"task.tokns": "words"})
    with pytest.raises(ValueError, match="did you mean 'lstm'"):
        wrong.fit(TEXTS, GRADES)
    with pytest.raises(ValueError, match=r"task\.tokns: unknown setting"):
        wrong.set_params(model="lstm").fit(TEXTS, GRADES)


# The checks of scikit-learn. Their X are numbers, so that they pass over what takes strings alone.
# Classes that write rows of numbers as texts take them here.


class _OfNumbers:
    """Writes rows of numbers as texts; checks them as scikit-learn wants it."""

    def fit(self, X: Any, y: Any) -> Any:  # noqa: N803
        return super().fit(self._as_texts(X, reset=True), y)  # type: ignore[misc]

    def _predict(self, X: Any) -> Any:  # noqa: N803
        check_is_fitted(self)
        return super()._predict(self._as_texts(X, reset=False))  # type: ignore[misc]

    def _as_texts(self, numbers: Any, *, reset: bool) -> list[str]:
        rows = validate_data(self, numbers, reset=reset, dtype=np.float64)
        return [" ".join(f"x{n}is{value:.6g}" for n, value in enumerate(row)) for row in rows]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.one_d_array, tags.input_tags.two_d_array = False, True
        for of_kind in (tags.classifier_tags, tags.regressor_tags):
            if of_kind is not None:
                of_kind.poor_score = True  # One step of training, on words that mean nothing.
        return tags


class NumbersClassifier(_OfNumbers, TextClassifier):
    """A classifier of rows of numbers."""


class NumbersRegressor(_OfNumbers, TextRegressor):
    """A regressor of rows of numbers."""


SHORT = {"training.steps": 1, "task.embed_size": 2, "task.ngram_weight": 0.0}
FAST: dict[str, Any] = {"hidden_size": 2, "batch_size": 64, "threads": 1, "validation_size": 0.3}


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        NumbersClassifier(**FAST, settings={**SHORT, "task.calibration": "none"}),
        NumbersRegressor(**FAST, settings=SHORT),
    ]
)
def test_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("estimator", [TextClassifier(), TextRegressor()])
def test_scikit_learn_passes_over_what_takes_strings(estimator: Any) -> None:
    tags = get_tags(estimator)
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    with pytest.warns(SkipTestWarning):
        check_estimator(estimator)
