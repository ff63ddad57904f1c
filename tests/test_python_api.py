"""The Python interface: what a program or a notebook calls, and what it gets."""

from __future__ import annotations

import doctest
import importlib
import itertools
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Run as Command
from safetensors.torch import load_file
from sum_task import Recorder, equal
from torch import nn

import zoo
from zoo import api, installed
from zoo.errors import DataError, UsageError, WeightsError
from zoo.interfaces import LabelPrediction

TEXTS = ["The plot was dull.", "", "A great film, not dull at all; the acting was superb.", "?!"]
SMALL = {"hidden_size": 4, "embed_size": 4, "fc_size": 4}


def test_train_resume_and_load(tmp_path: Path) -> None:
    recorder = Recorder()
    out = tmp_path / "a"
    run = zoo.train(
        "sample-lstm",
        data="sample",
        out=out,
        settings={**SMALL, "epochs": 1, "batch_size": 512},
        callbacks=[recorder],
        threads=1,
        progress=False,
    )
    assert run.path == out
    assert not run.interrupted
    assert len(recorder.parameters) == 9
    assert zoo.resume(out, threads=1, progress=False).path == out
    state = run.model.module.state_dict()
    for name in (out, str(out), out / "weights.safetensors"):
        assert equal(zoo.load(name).module.state_dict(), state)
    assert zoo.load("imdb-bilstm").name == "imdb-bilstm"
    tuned = zoo.train(
        "sentiment/lstm", data="sample", init=out, out=tmp_path / "b",
        settings={**SMALL, "steps": 1}, threads=1, progress=False,
    )  # fmt: skip
    assert "tensors taken" in tuned.transfer
    assert run.transfer == ""


def test_settings_are_values_or_the_texts_of_the_command_line(tmp_path: Path) -> None:
    given: list[dict[str, object]] = [
        {"hidden_size": 4, "learning_rate": 0.01, "task.dropout": 0.5, "steps": 1},
        {"hidden_size": "4", "learning_rate": "1e-2", "task.dropout": "0.5", "steps": "1"},
    ]
    for number, settings in enumerate(given):
        run = zoo.train(
            "sentiment/rnn", out=tmp_path / str(number), settings=settings, threads=1,
            progress=False,
        )  # fmt: skip
        assert run.config["model"]["options"]["hidden_size"] == 4
        assert run.config["training"]["learning_rate"] == 0.01
        assert run.config["task"]["options"]["dropout"] == 0.5


def test_a_run_has_a_directory_of_its_own_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [
        zoo.train("sentiment/rnn", settings={**SMALL, "steps": 1}, threads=1, progress=False)
        for _ in range(2)
    ]
    assert len({run.path for run in runs}) == 2
    assert all(run.path.parent == Path("runs") for run in runs)


def test_progress_goes_to_stderr_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {**SMALL, "steps": 1}
    zoo.train("sentiment/rnn", out=tmp_path / "a", settings=settings, threads=1, progress=False)
    assert capsys.readouterr() == ("", "")
    zoo.train("sentiment/rnn", out=tmp_path / "b", settings=settings, threads=1)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "accuracy" in shown.err


def test_predictions_are_labels_with_the_probability_of_each(sentiment_run: Path) -> None:
    model = zoo.load(sentiment_run)
    found = list(model.predict(TEXTS))
    assert [prediction.text for prediction in found] == TEXTS
    for prediction in found:
        assert isinstance(prediction, LabelPrediction)
        assert sum(prediction.scores.values()) == pytest.approx(1, abs=1e-6)
        assert prediction.probability == max(prediction.scores.values())
        assert prediction.scores[prediction.label] == prediction.probability
        assert json.loads(json.dumps(asdict(prediction)))["label"] in ("neg", "pos")
    # Lazily, from any iterable.
    endless = model.predict(itertools.repeat("fine"))
    assert next(endless).text == "fine"


def words_of(model: zoo.TrainedModel, text: str) -> torch.Tensor:
    """Return the embeddings (1, T, E) of the words of a text."""
    rows = model.task.encoder.encode([text])[0]  # type: ignore[attr-defined]
    token_ids = torch.tensor(rows.values[: rows.lengths[0]].astype(np.int64))
    weight: torch.Tensor = model.module.state_dict()["embedding.weight"]
    return weight[token_ids][None]


def plain_lstm(model: zoo.TrainedModel, size: int, hidden: int) -> nn.LSTM:
    rnn = nn.LSTM(size, hidden, batch_first=True)
    parameters = model.module.state_dict()
    rnn.load_state_dict({name: parameters[f"rnn.{name}"] for name in rnn.state_dict()})
    return rnn


def test_embeddings_of_texts_are_the_pooled_outputs_of_the_model(sentiment_run: Path) -> None:
    model = zoo.load(sentiment_run)
    rnn = plain_lstm(model, 20, 16)
    vectors = model.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), 3 * 16)  # The recipe pools last, mean and max.
    assert vectors.dtype == np.float32
    steps = model.embed(iter(TEXTS), per_step=True)
    assert [part.shape for part in steps] == [(4, 16), (1, 16), (11, 16), (1, 16)]
    with torch.no_grad():
        for text, vector, part in zip(TEXTS, vectors, steps, strict=True):
            outputs = rnn(words_of(model, text))[0][0].numpy()
            np.testing.assert_allclose(part, outputs, atol=1e-5)
            pooled = np.concatenate([outputs[-1], outputs.mean(0), outputs.max(0)])
            np.testing.assert_allclose(vector, pooled, atol=1e-5)
    assert model.embed([]).shape[0] == 0
    assert model.embed([], per_step=True) == []


def test_embeddings_of_a_language_model_are_means_of_its_outputs(char_lm_run: Path) -> None:
    model = zoo.load(char_lm_run)
    rnn = plain_lstm(model, 16, 32)
    texts = ["The sailor", "gulls", "7"]
    vectors, steps = model.embed(texts), model.embed(texts, per_step=True)
    assert vectors.shape == (3, 32)
    table = model.module.state_dict()["embedding.weight"]
    with torch.no_grad():
        for text, vector, part in zip(texts, vectors, steps, strict=True):
            token_ids = torch.tensor(model.task.encode(text))  # type: ignore[attr-defined]
            outputs = rnn(table[token_ids][None])[0][0].numpy()
            np.testing.assert_allclose(part, outputs, atol=1e-5)
            np.testing.assert_allclose(vector, outputs.mean(0), atol=1e-5)


def test_many_texts_have_the_embeddings_that_each_has_alone(sentiment_run: Path) -> None:
    model = zoo.load(sentiment_run)
    texts = [f"the plot {'was ' * (number % 9)}dull" for number in range(1100)]
    vectors = model.embed(texts)
    assert vectors.shape == (1100, 48)
    for number in (0, 8, 1023, 1024, 1099):
        np.testing.assert_allclose(vectors[number], model.embed([texts[number]])[0], atol=1e-5)


def test_generate_returns_the_prompt_and_what_follows(char_lm_run: Path) -> None:
    model = zoo.load(char_lm_run)
    text = model.generate("The ", 20, seed=1)
    assert text.startswith("The ")
    assert len(text) == 24
    rows = list(model.stream("The ", 20, samples=3))
    assert len(rows) == 20
    assert {len(row) for row in rows} == {3}


def test_evaluate_says_what_was_measured(
    sentiment_run: Path, zoo_here: Command, tmp_path: Path
) -> None:
    model = zoo.load(sentiment_run)
    measured = model.evaluate(split="test")
    assert (measured["split"], measured["examples"]) == ("test", 1200)
    assert measured["training_data"]
    assert measured["accuracy_low"] < measured["accuracy"] < measured["accuracy_high"]
    done = zoo_here("evaluate", sentiment_run, "--json", "--threads", 1)
    assert json.loads(done.stdout)["accuracy"] == measured["accuracy"]
    (tmp_path / "reviews.csv").write_text("text,label\n" + "fine plot,pos\ndull plot,neg\n" * 20)
    other = model.evaluate(tmp_path / "reviews.csv", split="all")
    assert (other["examples"], other["training_data"]) == (40, False)
    with pytest.raises(UsageError, match=r"no split 'tests' \(did you mean 'test'\?\)"):
        model.evaluate(split="tests")
    with pytest.raises(DataError):
        model.evaluate(tmp_path / "missing.csv")


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_save_writes_a_file_that_loads_and_verifies(
    dtype: str, sentiment_run: Path, tmp_path: Path
) -> None:
    model = zoo.load(sentiment_run)
    target = tmp_path / "x.safetensors"
    model.save(target, dtype=dtype)
    again = zoo.load(target)
    assert again.verify() < 1e-2
    expected = dict(model.info["metrics"]["validation"])
    if dtype != "float32":
        expected["measured_dtype"] = "float32"
    assert again.info["metrics"] == {"validation": expected}
    stored = load_file(target)
    assert {str(tensor.dtype) for tensor in stored.values()} == {f"torch.{dtype}"}
    expected = {
        n: t.to(getattr(torch, dtype)).float() for n, t in model.module.state_dict().items()
    }
    assert equal(again.module.state_dict(), expected)
    with pytest.raises(UsageError, match="file exists"):
        model.save(target)
    model.save(target, overwrite=True)
    assert load_file(target)["fc1.bias"].dtype == torch.float32


def test_saving_in_another_dtype_leaves_the_model_as_it_is(
    sentiment_run: Path, tmp_path: Path
) -> None:
    model = zoo.load(sentiment_run)
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    model.save(tmp_path / "x.safetensors", dtype="float16")
    assert equal(model.module.state_dict(), before)
    assert not model.module.training
    with pytest.raises(UsageError, match="no dtype 'float8'"):
        model.save(tmp_path / "y.safetensors", dtype="float8")
    assert not (tmp_path / "y.safetensors").exists()


def test_weights_that_were_changed_do_not_verify(sentiment_run: Path) -> None:
    model = zoo.load(sentiment_run)
    assert model.verify() < 1e-6
    with torch.no_grad():
        model.module.get_parameter("fc2.bias").add_(1)
    with pytest.raises(WeightsError, match="the probe does not agree"):
        model.verify()


def test_the_module_is_a_torch_module_in_evaluation_mode(sentiment_run: Path) -> None:
    module = zoo.load(sentiment_run).module
    assert isinstance(module, nn.Module)
    assert not module.training
    assert equal(module.state_dict(), load_file(sentiment_run / "weights.safetensors"))


def test_a_module_in_training_mode_predicts_as_in_evaluation_mode(tmp_path: Path) -> None:
    run = zoo.train(
        "sentiment/lstm", out=tmp_path / "run", threads=1, progress=False,
        settings={**SMALL, "steps": 1, "task.dropout": 0.5, "word_dropout": 0.5},
    )  # fmt: skip
    expected = list(run.model.predict(TEXTS)), run.model.embed(TEXTS)
    run.model.module.train()
    assert list(run.model.predict(TEXTS)) == expected[0]
    run.model.module.train()
    assert np.array_equal(run.model.embed(TEXTS), expected[1])


@pytest.mark.parametrize("method", ["predict", "embed"])
def test_a_single_text_is_refused(method: str, sentiment_run: Path) -> None:
    with pytest.raises(TypeError, match=r"takes several texts: give \[text\] for one"):
        getattr(zoo.load(sentiment_run), method)("one text")


def test_what_a_task_cannot_do_is_refused(sentiment_run: Path, char_lm_run: Path) -> None:
    with pytest.raises(
        UsageError, match="'sample-lstm' cannot generate text: its task is 'sentiment'"
    ):
        zoo.load(sentiment_run).generate("The")
    with pytest.raises(UsageError, match="'char-lm/lstm' cannot predict: its task is 'char-lm'"):
        zoo.load(char_lm_run).predict(["The"])
    with pytest.raises(UsageError, match="threads are fewer than one"):
        zoo.load(sentiment_run).predict(["The"], threads=0)
    with pytest.raises(UsageError, match="length is negative"):
        zoo.load(char_lm_run).generate("The", -1)
    with pytest.raises(DataError, match="lacks"):
        zoo.load(char_lm_run).generate("Ω", 1)


def test_history_is_columns_of_equal_length(train_here: Callable[..., zoo.Run],
                                            tmp_path: Path) -> None:  # fmt: skip
    settings = ("hidden_size=4", "steps=4", "evaluate_every=2", "log_every=1")
    run = train_here("sentiment/rnn", tmp_path / "run", *settings)
    history = run.history
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert {len(column) for column in history.values()} == {len(lines)} == {6}
    for number, line in enumerate(lines):
        assert {name: column[number] for name, column in history.items()} == {
            **dict.fromkeys(history), **line
        }  # fmt: skip


def test_history_is_one_call_from_a_data_frame(sentiment_run: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(zoo.resume(sentiment_run, threads=1, progress=False).history)
    assert {"kind", "step", "loss", "accuracy", "learning_rate"} <= set(table.columns)
    assert (table[table.kind == "evaluation"].accuracy > 0).all()


def test_models_and_runs_show_what_they_are(
    train_here: Callable[..., zoo.Run], tmp_path: Path
) -> None:
    run = train_here("sentiment/rnn", tmp_path / "<b>&", "hidden_size=4", "steps=2")
    path = str(tmp_path / "<b>&")
    for shown in (repr(run), repr(run.model)):
        assert "\n" not in shown
    assert path in repr(run)
    assert "complete" in repr(run)
    assert "sentiment" in repr(run.model)
    assert "rnn" in repr(run.model)
    for html in (run._repr_html_(), run.model._repr_html_()):
        assert html.startswith("<table>")
        assert html.endswith("</table>")
        assert "<b>" not in html
    assert "&lt;b&gt;&amp;" in run._repr_html_()
    assert f"{run.model.info['metrics']['validation']['accuracy']:.4f}" in run._repr_html_()


def test_a_run_without_weights_shows_itself_and_says_how_to_go_on(
    train_here: Callable[..., zoo.Run], tmp_path: Path
) -> None:
    run = train_here("sentiment/rnn", tmp_path / "run", "hidden_size=4", "steps=9", stop_after=1)
    assert "stopped: the test stops here" in repr(run)
    assert "stopped: the test stops here" in run._repr_html_()
    with pytest.raises(WeightsError, match="no weights yet"):
        _ = run.model


def test_evaluations_of_a_run_are_stored_and_exported(sentiment_run: Path, tmp_path: Path) -> None:
    run = zoo.resume(sentiment_run, threads=1, progress=False)
    measured = api.evaluate(sentiment_run, split="validation", threads=1, progress=False)
    assert run.metrics["validation"]["accuracy"] == measured["accuracy"]
    api.export(sentiment_run, tmp_path / "x.safetensors", dtype="float16")
    exported = zoo.load(tmp_path / "x.safetensors").info["metrics"]
    assert exported["validation"]["accuracy"] == measured["accuracy"]


def test_names_can_be_listed() -> None:
    assert {"lstm", "bilstm", "rnn-oo"} <= set(zoo.list_models())
    assert all("lstm" in name for name in zoo.list_models("*lstm*"))
    assert {"sentiment", "char-lm"} <= set(zoo.list_tasks())
    assert {"imdb-bilstm", "island-lstm"} <= set(zoo.list_recipes("i*"))


MODULES = (
    "zoo", "zoo.api", "zoo.api.loading", "zoo.api.models", "zoo.api.resuming", "zoo.api.training",
    "zoo.api.verification", "zoo.hookspecs", "zoo.installed", "zoo.interfaces.training",
    "zoo.options", "zoo.records", "zoo.runs", "zoo.runtime.model", "zoo.sklearn",
    "zoo.sklearn.classifier", "zoo.sklearn.regressor", "zoo.trained.model", "zoo.verdict",
)  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    installed.forget()
    try:
        result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    finally:
        installed.forget()
    assert result.failed == 0


@pytest.mark.parametrize("name", sorted(set(zoo.__all__) & set(api.__all__)))
def test_public_functions_have_an_example(name: str) -> None:
    function: Any = getattr(zoo, name)
    assert function.__doc__
    if name not in ("list_tasks", "list_recipes"):
        assert ">>>" in function.__doc__
