"""Weights that a training starts from decide what makes them fit; recipes and tasks name some."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Run as Command
from plain_sentiment import TASK
from test_transfer import WORDS, reviews
from toy_task import TOY

import zoo
from zoo import installed
from zoo.errors import PluginError, UsageError
from zoo.records import Recipe, WeightsInfo
from zoo.sklearn import TextClassifier
from zoo_runs import sweep
from zoo_text.languages import is_english

Train = Callable[..., zoo.Run]
SOURCE = (
    *TASK, "hidden_size=5", "num_layers=2", "model.dropout=0.1", "embed_size=6", "fc_size=7",
    "pooling=last+mean+max", "steps=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reviews(tmp_path_factory.mktemp("data") / "reviews.csv", WORDS, ["neg", "pos"])


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other texts with the same labels, most words of which are new."""
    words = [*WORDS[:3], *(f"new{n}" for n in range(12))]
    return reviews(tmp_path_factory.mktemp("other") / "other.csv", words, ["neg", "pos"])


@pytest.fixture(scope="module")
def source(train_here: Train, data: Path, tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    return train_here(
        "sentiment/gru", tmp_path_factory.mktemp("source") / "run", *SOURCE, data=data
    )


def options(run: zoo.Run, part: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = run.config[part]["options"]
    return found


def test_data_and_weights_are_enough(
    source: zoo.Run, other: Path, zoo_here: Command, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = zoo_here(
        "train", "--data", other, "--init", source.path, "--steps", 1, "--threads", 1, "--out", out,
        "--no-test",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = zoo.open_run(out)
    assert run.config["name"] == "text-classification/gru"
    assert options(run, "model") == options(source, "model")
    for name in ("tokens", "embed_size", "fc_size", "pooling", "ngram_weight"):
        assert options(run, "task")[name] == options(source, "task")[name], name
    vocabulary = source.model.info["task_state"]["vocabulary"]
    assert run.model.info["task_state"]["vocabulary"][: len(vocabulary)] == vocabulary
    assert f"start: {source.path}: 12 tensors taken; embedding.weight: all 16 rows, 12 fresh" in (
        done.stderr
    )
    assert "init     " not in done.stderr


def test_the_same_is_one_call_in_python(source: zoo.Run, tmp_path: Path) -> None:
    texts = [f"{word} film {n}" for n in range(30) for word in ("fine", "dull")]
    run = zoo.fit(
        texts, ["pos", "neg"] * 30, init=source.path, out=tmp_path / "run",
        settings={"steps": 1}, progress=False,
    )  # fmt: skip
    assert run.config["name"] == "text-classification/gru"
    assert options(run, "model")["hidden_size"] == 5
    assert run.transfer.startswith("12 tensors taken; embedding.weight: all 16 rows, ")


def test_sizes_are_taken_for_a_named_model_and_the_user_goes_first(
    source: zoo.Run, other: Path, train_here: Train, zoo_here: Command, tmp_path: Path
) -> None:
    named = train_here(
        "sentiment/lstm", tmp_path / "named", "steps=1", data=other, init=source.path
    )
    sizes = ("hidden_size", "num_layers", "dropout")
    assert [options(named, "model")[size] for size in sizes] == [5, 2, 0.1]
    done = zoo_here(
        "train", "sentiment/bigru", "--data", other, "--init", source.path, "--steps", 1,
        "--set", "embed_size=3", "--set", "num_layers=1", "--out", tmp_path / "run", "--no-test",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = zoo.open_run(tmp_path / "run")
    assert (options(run, "task")["embed_size"], options(run, "model")["num_layers"]) == (3, 1)
    # Between the layers of one layer there is no dropout.
    assert (options(run, "model")["hidden_size"], options(run, "model")["dropout"]) == (5, 0)
    # Without vectors of this size the words of before are of no use.
    assert len(run.model.info["task_state"]["vocabulary"]) == 2 + 15
    assert (
        "init settings that the weights were not trained with: the model is bigru and was gru, "
        "num_layers is 1 and was 2, embed_size is 3 and was 6; what does not fit starts afresh"
    ) in " ".join(done.stderr.split())
    again = zoo_here(
        "train", "--resume", "--init", source.path, "--set", "embed_size=3", "--set",
        "max_vocab=100", "--out", tmp_path / "run", "--no-test",
    )  # fmt: skip
    assert "task.max_vocab differ" in again.stderr


def test_a_second_direction_is_said_to_be_fresh(
    source: zoo.Run, other: Path, train_here: Train, tmp_path: Path
) -> None:
    run = train_here("sentiment/bigru", tmp_path / "run", "steps=1", "num_layers=1", data=other,
                     init=source.path)  # fmt: skip
    assert "the source reads in one direction: the other one is fresh" in run.transfer
    assert "rnn.weight_hh_l0_reverse" in run.transfer.partition("fresh: ")[2]


@pytest.mark.parametrize("tokens", ["subwords", "characters"])
def test_units_of_words_are_kept_as_words_are(
    tokens: str, data: Path, other: Path, train_here: Train, tmp_path: Path
) -> None:
    settings = (f"tokens={tokens}", "embed_size=6", "hidden_size=5", "steps=1", "ngram_weight=0")
    start = train_here("sentiment/lstm", tmp_path / "start", *settings, data=data)
    run = train_here("", tmp_path / "run", "steps=1", data=other, init=start.path)
    assert options(run, "task")["tokens"] == tokens
    number = start.model.info["task_state"]["num_units"] + 1
    assert f"embedding.weight: all {number} rows, " in run.transfer
    with_words = train_here(
        "", tmp_path / "words", "steps=1", "tokens=words", data=other, init=start.path
    )
    assert "embedding.weight: 0 of 17 rows" in with_words.transfer


def test_a_language_model_of_characters_keeps_no_words(
    other: Path, train_here: Train, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text("so many sailors, so many ships; " * 60, encoding="utf-8")
    settings = ("hidden_size=5", "embed_size=6", "steps=1")
    start = train_here("char-lm/gru", tmp_path / "lm", *settings, data=tmp_path / "text.txt")
    run = train_here("", tmp_path / "run", "steps=1", data=other, init=start.path)
    assert run.config["name"] == "text-classification/gru"
    assert options(run, "task")["tokens"] == "subwords"
    assert run.transfer.startswith("4 tensors taken; embedding.weight: 0 of ")


def test_weights_with_nothing_in_common_are_refused(
    source: zoo.Run, train_here: Train, tmp_path: Path
) -> None:
    data = reviews(tmp_path / "other.csv", WORDS, ["bad", "good"])
    settings = ("embed_size=9", "fc_size=3", "hidden_size=2", "tokens=characters")
    with pytest.raises(UsageError, match=r"nothing of .* fits"):
        train_here("sentiment/rnn", tmp_path / "run", *settings, data=data,
                   init=source.path)  # fmt: skip
    assert not (tmp_path / "run").exists()


# Recipes and tasks that name weights


@pytest.fixture
def registered(source: zoo.Run, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Add recipes of sentiment, by name; `weights` are those of the source."""
    source.model.save(tmp_path / "source.safetensors")
    weights = WeightsInfo(
        "source.safetensors",
        zoo.files.digest(tmp_path / "source.safetensors"),
        (tmp_path / "source.safetensors").stat().st_size,
    )

    def add(name: str, *, has_weights: bool = False, **fields: Any) -> None:
        recipe = Recipe(
            name=name, summary=f"About {name}", task="sentiment", model="gru", folder=tmp_path,
            weights=weights if has_weights else None, **fields,
        )  # fmt: skip
        installed.registry()._records["recipe", name] = [recipe]

    yield add
    installed.forget()


def test_a_recipe_starts_from_the_weights_that_it_names(
    registered: Callable[..., None], other: Path, train_here: Train, tmp_path: Path
) -> None:
    registered("source", has_weights=True)
    registered("tuned", init="source", settings={"task.fc_size": 4, "training.steps": 1})
    run = train_here("tuned", tmp_path / "run", data=other)
    assert run.config["init"] == "source"
    assert options(run, "model")["hidden_size"] == 5
    assert options(run, "task")["fc_size"] == 4
    assert run.transfer.endswith("fc1.weight, fc1.bias, fc2.weight")
    plain = train_here("tuned", tmp_path / "plain", data=other, init="")
    assert (plain.config["init"], plain.transfer) == ("", "")
    assert options(plain, "model")["hidden_size"] == 64


def english_texts(words: Sequence[str] = WORDS) -> list[str]:
    """Return texts of words that the source knows, or of others; half of them are English."""
    return [f"the {first} was the {second}" for first in words for second in words]


def english(path: Path, words: Sequence[str] = WORDS) -> Path:
    rows = [f"{text},{'ab'[n % 2]}\n" for n, text in enumerate(english_texts(words))]
    path.write_text("text,label\n" + "".join(rows), encoding="utf-8")
    return path


def test_english_texts_start_from_the_recipe_that_is_suggested(
    registered: Callable[..., None], train_here: Train, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    data = english(tmp_path / "english.csv")
    registered("reviews-lm")
    without = train_here("", tmp_path / "without", "steps=1", data=data)
    assert (without.config["name"], without.config["init"]) == ("text-classification/bilstm", "")
    registered("reviews-lm", has_weights=True)
    run = train_here("", tmp_path / "run", "steps=1", data=data, progress=True)
    assert (run.config["name"], run.config["init"]) == ("text-classification/gru", "reviews-lm")
    said = capsys.readouterr().err.splitlines()
    at = said.index("init     reviews-lm: About reviews-lm")
    assert said[at + 1] == "         to train from scratch: --init ''"
    off = train_here("", tmp_path / "off", "steps=1", data=data, init="")
    assert off.config == {**without.config}
    # Settings of the user under which it does not fit leave it out.
    for setting, why in (("hidden_size=9", "has hidden_size="), ("merge=sum", "has no merge")):
        other = train_here("", tmp_path / setting, "steps=1", setting, data=data, progress=True)
        assert (other.config["name"], other.config["init"]) == ("text-classification/bilstm", "")
        assert f"init     from scratch: reviews-lm {why}" in capsys.readouterr().err
    # The same values in other words fit.
    same = ("num_layers=02", "locked_dropout=no")
    fits = train_here("", tmp_path / "same", "steps=1", *same, data=data)
    assert fits.config["init"] == "reviews-lm"
    named = train_here("text-classification/gru", tmp_path / "named", "steps=1", data=data)
    assert named.config["init"] == ""


def test_texts_of_words_that_suggested_weights_do_not_know_start_from_scratch(
    registered: Callable[..., None], train_here: Train, tmp_path: Path
) -> None:
    registered("reviews-lm", has_weights=True)
    data = english(tmp_path / "other.csv", [f"word{n}" for n in range(12)])
    assert train_here("", tmp_path / "run", "steps=1", data=data).config["init"] == ""
    run = train_here("", tmp_path / "asked", "steps=1", data=data, init="reviews-lm")
    assert run.config["init"] == "reviews-lm"


QUICK: dict[str, Any] = {"threads": 1, "settings": {"training.steps": 1}}


def test_a_sweep_starts_from_what_is_suggested_unless_it_varies_what_the_weights_decide(
    registered: Callable[..., None], tmp_path: Path
) -> None:
    pytest.importorskip("optuna", reason="needs the extra 'sweep'")
    registered("reviews-lm", has_weights=True)
    data = english(tmp_path / "english.csv")

    def started(out: str, space: dict[str, object], **arguments: Any) -> set[tuple[str, str]]:
        """Return what the runs of a sweep are and start from."""
        found = sweep(
            data=data, space=space, seeds=1, out=tmp_path / out, test=False, **QUICK, **arguments
        )
        assert found.complete
        configs = [zoo.open_run(trial.path / "seed-1").config for trial in found.trials]
        return {(config["name"], config["init"]) for config in configs}

    tuned, fresh = ("text-classification/gru", "reviews-lm"), ("text-classification/bilstm", "")
    assert started("rates", {"learning_rate": "1e-3,1e-2"}) == {tuned}
    assert started("sizes", {"hidden_size": [5, 9]}) == {fresh}
    assert started("off", {"learning_rate": "1e-3,1e-2"}, init="") == {fresh}
    with pytest.raises(
        UsageError, match="was text-classification/bilstm, and is text-classification/gru"
    ):
        started("off", {"learning_rate": "1e-3,1e-2"})


def test_an_estimator_starts_from_what_is_suggested_unless_a_model_is_named(
    registered: Callable[..., None],
) -> None:
    registered("reviews-lm", has_weights=True)
    texts = english_texts()
    labels = ["ab"[n % 2] for n in range(len(texts))]

    def started(**parameters: Any) -> tuple[str, str]:
        run = TextClassifier(**QUICK, **parameters).fit(texts, labels).model_.info["run"]
        return run["name"], run["init"]

    assert started() == ("text-classification/gru", "reviews-lm")
    assert started(init="") == ("text-classification/bilstm", "")
    assert started(model="bigru") == ("text-classification/bigru", "")
    assert started(model="bigru", init="reviews-lm") == ("text-classification/bigru", "reviews-lm")


def test_what_is_shown_of_a_recipe_has_the_settings_of_its_weights(
    zoo_here: Command, tmp_path: Path
) -> None:
    recipes = tmp_path / "recipes.toml"
    recipes.write_text(
        '[recipes.tuned]\nsummary = "Tuned"\ntask = "sentiment"\nmodel = "bilstm"\n'
        'init = "imdb-bilstm"\n[recipes.missing]\nsummary = "Lost"\ntask = "sentiment"\n'
        'model = "bilstm"\ninit = "nothing"\n',
        encoding="utf-8",
    )
    shown = zoo_here("--registry", recipes, "show", "missing")
    assert "init     nothing" in shown.stdout
    assert "warning: settings of nothing are not shown: no weights 'nothing'" in shown.stderr
    listed = zoo_here("--registry", recipes, "list", "--recipes", "tuned")
    assert "Tuned (from imdb-bilstm)" in listed.stdout
    document = json.loads(zoo_here("--registry", recipes, "show", "tuned", "--json").stdout)
    assert document["init"] == document["run"]["init"] == "imdb-bilstm"


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ("This is not what I had in mind, and the film was too long for me.", True),
        ("Das Hotel war sehr schön, aber der Service an der Bar war so langsam.", False),
        ("De kamer was heel mooi en we hadden een goed ontbijt in het hotel.", False),
        ("La chambre était très belle, on me dit que le déjeuner est bon.", False),
        ("房间很好、早餐也不错", False),
        ("", False),
    ],
)
def test_english_is_told_by_its_commonest_words(text: str, is_so: bool) -> None:
    assert is_english([text] * 3) == is_so


def test_a_task_whose_settings_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, train_here: Train, tmp_path: Path
) -> None:
    monkeypatch.setenv("ZOO_PLUGINS", "recurrent,optim")
    installed.forget()
    wrong: Any = lambda options, rows: ["length"]  # noqa: E731
    zoo.register(replace(TOY, settings_from=wrong))
    start = train_here("toy/gru", tmp_path / "start", "steps=1", "hidden_size=3")
    with pytest.raises(PluginError, match="task 'toy' returns a list, not a mapping of settings"):
        train_here("toy/gru", tmp_path / "run", "steps=1", init=start.path)
    zoo.register(replace(TOY, settings_from=lambda options, rows: {"length": 3, "other": 1}))
    run = train_here("toy/gru", tmp_path / "run", "steps=1", init=start.path)
    assert (options(run, "task")["length"], options(run, "model")["hidden_size"]) == (3, 3)
    installed.forget()
