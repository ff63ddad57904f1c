"""Data alone is enough: tasks look at it and suggest a model and settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from toy_task import TOY, ToyOptions

import zoo
from zoo import installed
from zoo.errors import DataError, PluginError, UsageError
from zoo.records import Recipe
from zoo.settings import resolve

SEEN: list[tuple[Path | None, ToyOptions]] = []


def look(path: Path | None, options: ToyOptions) -> zoo.Suggestion | None:
    """Files that end in .toy have the model in the first line and settings in the others."""
    SEEN.append((path, options))
    if path is None or path.suffix != ".toy":
        return None
    model, *lines = path.read_text().splitlines()
    if model == "broken":
        raise DataError("broken", where=str(path))
    settings = {key: int(value) for key, _, value in (line.partition("=") for line in lines)}
    return zoo.Suggestion(model, settings, (f"{path.name}: {len(lines)} settings",))


DECLARED: Mapping[str, Any] = {
    "training.epochs": 3,
    "training.batch_size": 16,
    "training.optimizer": "adamw",
    "training.weight_decay": 0.5,
    "optimizer.beta2": 0.99,
    "model.hidden_size": 5,
}


@pytest.fixture(autouse=True)
def looking(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a task that looks at data, and no other."""
    monkeypatch.setenv("ZOO_PLUGINS", "recurrent,optim")
    installed.forget()
    SEEN.clear()
    zoo.register(replace(TOY, suggest=look, settings=DECLARED))
    yield
    installed.forget()


@pytest.fixture
def train(tmp_path: Path) -> Any:
    """Train on a .toy file of these lines."""

    def run(*lines: str, name: str = "", **settings: object) -> zoo.Run:
        file = tmp_path / "data.toy"
        file.write_text("\n".join(lines))
        return zoo.train(
            name, file, out=tmp_path / "run", settings=settings, threads=1, progress=False
        )

    return run


def registered(**changes: Any) -> None:
    zoo.register(replace(TOY, **changes))


def test_data_alone_is_trained_as_the_task_that_knows_it_suggests(train: Any) -> None:
    config = train("gru", "epochs=2").config
    assert (config["name"], config["model"]["name"]) == ("toy/gru", "gru")
    assert Path(config["data"]).name == "data.toy"
    assert config["training"]["epochs"] == 2


def test_settings_of_the_task_give_way_to_the_suggestion_and_that_to_the_user(train: Any) -> None:
    found = train("gru", "task.length=3", "batch_size=8", "model.hidden_size=6", hidden_size=7)
    training = found.config["training"]
    assert (training["epochs"], training["batch_size"]) == (3, 8)
    assert found.config["model"]["options"]["hidden_size"] == 7
    assert found.config["task"]["options"]["length"] == 3
    assert found.config["optimizer"]["name"] == "adamw"
    assert found.config["optimizer"]["options"] == {"beta2": 0.99, "weight_decay": 0.5}


def test_a_task_that_is_named_suggests_settings_for_the_model_that_is(train: Any) -> None:
    config = train("gru", "training.epochs=1", name="toy/rnn").config
    assert (config["name"], config["training"]["epochs"]) == ("toy/rnn", 1)


def test_a_task_for_some_data_is_asked_where_it_is_named_alone(train: Any, tmp_path: Path) -> None:
    zoo.register(replace(TOY, name="a-special", suggest=look, for_any_data=False))
    assert train("gru", "epochs=1").config["name"] == "toy/gru"
    named = zoo.train("a-special/rnn", tmp_path / "data.toy", out=tmp_path / "b", progress=False)
    assert named.config["training"]["epochs"] == 1


def test_zoo_asks_its_own_special_tasks_last(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ZOO_PLUGINS", "recurrent,optim,text,lm")
    installed.forget()
    zoo.register(replace(TOY, name="toy-text", suggest=look, for_any_data=False))
    file = tmp_path / "data.toy"
    file.write_text("gru\nepochs=1\n")
    run = zoo.train(data=file, out=tmp_path / "run", threads=1, progress=False)
    assert run.config["name"] == "toy-text/gru"


def test_a_suggestion_sees_the_settings_of_the_user_and_none_for_the_sample(train: Any) -> None:
    train("gru", **{"task.length": "2", "epochs": 1, "hidden_size": 3})
    (seen,) = SEEN
    assert seen[1] == ToyOptions(length=2)
    with pytest.raises(UsageError, match="no task knows the data 'sample'"):
        zoo.train(data="sample")
    assert SEEN[-1] == (None, ToyOptions())


def test_a_recipe_has_settings_of_its_own_alone() -> None:
    known = installed.registry()
    known._records["recipe", "plain"] = [  # A recipe as a file declares it.
        Recipe(name="plain", summary="", task="toy", model="gru", settings={"training.epochs": 9})
    ]
    spec = resolve("plain", known, suggested={"training.batch_size": 1})
    assert (spec.training.epochs, spec.training.batch_size) == (9, 32)
    assert spec.optimizer.info.name == "adam"
    assert resolve("toy/gru", known, suggested={"batch_size": 1}).training.batch_size == 1


def test_data_that_no_task_knows(tmp_path: Path) -> None:
    (tmp_path / "data.xyz").write_bytes(bytes(range(256)))
    with pytest.raises(UsageError) as failed:
        zoo.train(data=tmp_path / "data.xyz", out=tmp_path / "run")
    message = str(failed.value)
    assert "no task knows the data" in message
    assert f"toy ({TOY.summary})" in message
    assert "TASK/MODEL" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["", "toy/gru"])
def test_broken_data_and_missing_data_are_reported_as_such(name: str, tmp_path: Path) -> None:
    file = tmp_path / "data.toy"
    file.write_text("broken")
    with pytest.raises(DataError, match="broken in"):
        zoo.train(name, file, out=tmp_path / "run")
    with pytest.raises(DataError, match="neither a path nor the name of a data set"):
        zoo.train(name, tmp_path / "missing.toy", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_nothing_to_train() -> None:
    with pytest.raises(UsageError, match="nothing to train; give data with --data FILE"):
        zoo.train()


def test_a_setting_that_a_task_does_not_take_is_the_users_mistake(train: Any) -> None:
    with pytest.raises(UsageError, match="bad setting for toy: length: 0 is less than 1"):
        train("gru", length=0)
    with pytest.raises(UsageError, match=r"learning_rte: .*did you mean 'learning_rate'"):
        train("gru", learning_rte=1)


# What the plugin gets wrong, and what it may say although it does not fit


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"training.epoch": 3}, "training.epoch: unknown setting (did you mean 'epochs'?)"),
        ({"task.hidden_size": 3}, "task.hidden_size: unknown setting"),
        ({"training.epochs": 0}, "training.epochs: 0 is less than 1"),
        ({"optimizer.beta3": 0.5}, "optimizer.beta3: unknown setting"),
        ({"training.optimizer": "adm"}, "optimizer: no optimizer 'adm' (did you mean 'adam'"),
        ({"model.hidden_size": "big"}, "model.hidden_size: 'big' is not an integer"),
        ({"dropout": 0.5, "task.length": 0}, "task.length: 0 is less than 1"),
    ],
)
def test_wrong_settings_of_a_task_are_an_error_of_its_plugin(
    settings: dict[str, Any], said: str
) -> None:
    for changes, suggested in (({"settings": settings}, {}), ({}, settings)):
        registered(**changes)
        with pytest.raises(PluginError) as failed:
            resolve("toy/lstm", installed.registry(), suggested=suggested)
        assert "task 'toy' has settings that cannot be used in program: toy" in str(failed.value)
        assert said in str(failed.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (zoo.Suggestion("gruu"), "task 'toy' suggests model 'gruu': no such model is installed"),
        ("gru", "task 'toy' suggests a str, not a zoo.Suggestion"),
    ],
)
def test_a_suggestion_that_cannot_be_followed(settings: Any, said: str, tmp_path: Path) -> None:
    registered(suggest=lambda path, options: settings)
    (tmp_path / "data.toy").touch()
    with pytest.raises(PluginError, match=said):
        zoo.train(data=tmp_path / "data.toy", out=tmp_path / "run")


def test_settings_for_what_the_user_replaces_are_left_out() -> None:
    known = installed.registry()
    spec = resolve(
        "toy/lstm", known, {"optimizer": "sgd"},
        suggested={"scheduler.factor": 0.5, "training.warmup": 0.1},
    )  # fmt: skip
    assert spec.optimizer.info.name == "sgd"
    # Both optimizers have weight_decay, and only a plateau has a factor.
    assert spec.optimizer.options.weight_decay == 0.5  # type: ignore[attr-defined]
    assert spec.scheduler.options.warmup == 0.1  # type: ignore[attr-defined]


def test_settings_for_models_that_have_them_are_left_out_for_one_that_has_not() -> None:
    def build(input_size: int, options: zoo.Options) -> None: ...

    zoo.register(zoo.ModelInfo(name="bare", summary="", target=build, causal=True))
    known = installed.registry()
    spec = resolve("toy/bare", known, suggested={"model.num_layers": 2, "hidden_size": 3})
    assert spec.network.model.options == zoo.Options()


# On the command line


def test_the_command_says_what_it_takes_the_data_for_and_what_it_chose(
    tmp_path: Path, zoo_here: Run
) -> None:
    (tmp_path / "data.toy").write_text("gru\nepochs=1")
    done = zoo_here("train", "--data", tmp_path / "data.toy", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    assert said[0] == "data.toy: 1 settings"
    assert said[1].startswith("chosen: toy/gru, 1 epoch; change it with --set")
    named = zoo_here("train", "toy/gru", "--data", tmp_path / "data.toy", "--out", tmp_path / "b")
    assert named.stderr.splitlines()[0] == "data.toy: 1 settings"
    assert "chosen" not in named.stderr


def test_the_model_of_a_task_is_that_which_it_suggests(train: Any) -> None:
    run = train("gru", "epochs=2", name="toy")
    assert (run.config["name"], run.config["training"]["epochs"]) == ("toy/gru", 2)
    zoo.api.check_same_run(run.path, "toy")
    with pytest.raises(UsageError, match="the run was started with other settings"):
        zoo.api.check_same_run(run.path, "toy/lstm")


def test_a_task_that_suggests_nothing_needs_a_model(tmp_path: Path) -> None:
    (tmp_path / "data.txt").touch()
    with pytest.raises(UsageError, match=r"task 'toy' suggests no model for .*name it: toy/MODEL"):
        zoo.train("toy", tmp_path / "data.txt", out=tmp_path / "run")


def test_options_of_the_command_are_settings(tmp_path: Path, zoo_here: Run) -> None:
    (tmp_path / "data.toy").write_text("gru")
    options = ("--batch-size", 4, "--lr", 0.5, "--hidden-size", 2, "--epochs", 1)
    out = tmp_path / "run"
    done = zoo_here("train", "--data", tmp_path / "data.toy", "--out", out, *options)
    assert done.returncode == 0, done.stderr
    config = zoo.open_run(out).config
    assert config["training"]["batch_size"] == 4
    assert config["training"]["learning_rate"] == 0.5
    assert config["model"]["options"]["hidden_size"] == 2
    again = zoo_here("train", "--out", out, "--resume", "--lr", 0.25)
    assert again.returncode == 2
    assert "training.learning_rate differ" in again.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "lstm",
            r"'lstm' is a model: name TASK/MODEL, such as toy/lstm, or give --data FILE alone",
        ),
        ("toy", r"'toy' is a task: name TASK/MODEL, such as toy/\w+, or give --data FILE alone"),
        ("data.toy", r"'data\.toy' is no recipe; give data with --data: --data data\.toy"),
        ("lst", r"no recipe 'lst' \(did you mean 'lstm'"),
    ],
)
def test_half_of_a_name_is_explained(name: str, said: str, tmp_path: Path, zoo_here: Run) -> None:
    (tmp_path / "data.toy").touch()
    done = zoo_here("train", name, cwd=tmp_path)
    assert done.returncode == 2
    assert re.search(said, done.stderr)


@pytest.mark.parametrize(
    ("key", "meant"),
    [("lr", "learning_rate"), ("hidden", "hidden_size"), ("bs", "batch_size"),
     ("learning_rte", "learning_rate"), ("scheduler", "schedule")],
)  # fmt: skip
def test_what_others_call_a_setting_is_understood(key: str, meant: str, zoo_here: Run) -> None:
    done = zoo_here("train", "toy/lstm", "--set", f"{key}=1")
    assert done.returncode == 2
    assert f"{key}: unknown setting (did you mean '{meant}'" in done.stderr


# Files beside the data


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_task_that_takes_no_further_files_says_so(
    part: str, tmp_path: Path, zoo_here: Run
) -> None:
    file = tmp_path / "data.toy"
    file.write_text("gru")
    done = zoo_here("train", "--data", file, f"--{part}", file, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert f"task 'toy' takes no {part} data of its own" in done.stderr
    kept = zoo_here("train", "--data", file, "--keep-duplicates", "--out", tmp_path / "run")
    assert kept.returncode == 2
    assert "task.duplicates: unknown setting" in kept.stderr
    assert not (tmp_path / "run").exists()
