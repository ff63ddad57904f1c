"""zoo list, show, plugins and env: what is installed, for people and for programs."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click
import pytest
from conftest import Install, Run

from zoo.cli.main import COMMANDS, cli

ROOT = Path(__file__).parent.parent
# Every recipe of a file, by name: the published ones, and those that plugins bring.
RECIPES: dict[str, Any] = {
    name: recipe
    for file in [ROOT / "registry.toml", *ROOT.glob("plugins/*/recipes.toml")]
    for name, recipe in tomllib.loads(file.read_text(encoding="utf-8"))["recipes"].items()
}
PLUGINS = {
    "recurrent", "text", "sentiment", "lm", "optim", "diagnose", "tensorboard", "mlflow",
    "explain", "report", "runs", "serve", "onnx",
}  # fmt: skip
# What each kind has to contain.
LISTED = {
    "optimizers": {"adam", "adamw", "sgd"},
    "schedulers": {"constant", "linear", "cosine", "one-cycle", "plateau"},
    "callbacks": {"tensorboard"},
    "metrics": {"top5"},
    "commands": {"diagnose"},
    "exporters": {"onnx"},
    "datasets": {"imdb", "island"},
}
MODELS = {"rnn", "lstm", "gru", "birnn", "bilstm", "bigru"}


def answer(run: Run, *arguments: str) -> Any:
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def names(records: list[dict[str, Any]]) -> list[str]:
    return [record["name"] for record in records]


# List


def summary(record: Mapping[str, Any]) -> str:
    """Return the summary of a record, and what a recipe starts from."""
    start = record.get("init")
    return f"{record['summary']} (from {start})" if start else str(record["summary"])


def test_list_has_every_task_model_and_recipe_with_a_line_each(zoo_here: Run) -> None:
    listed = answer(zoo_here, "list")
    assert list(listed) == ["tasks", "models", "recipes"]
    assert set(names(listed["models"])) >= MODELS
    assert {"sentiment", "char-lm"} <= set(names(listed["tasks"]))
    assert names(listed["recipes"]) == sorted(RECIPES)
    lines = zoo_here("list").stdout.splitlines()
    for kind, records in listed.items():
        assert kind in lines
        assert names(records) == sorted(names(records))
        for record in records:
            (shown,) = [line for line in lines if line.split()[0] == record["name"]]
            assert shown.endswith(summary(record))


def test_recipes_are_listed_with_score_weights_and_time(
    zoo_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    lines = [line.split("  ") for line in zoo_here("list", "--recipes").stdout.splitlines()]
    rows = {cells[0]: cells[1:] for cells in ([c.strip() for c in line if c] for line in lines)}
    for recipe in answer(zoo_here, "list", "--recipes")["recipes"]:
        metrics, cells = recipe["metrics"], rows[recipe["name"]]
        name = "accuracy" if "accuracy" in metrics else "loss"
        expected = [f"{name} {metrics[name]:.3f}"] if name in metrics else []
        expected += [f"{recipe['weights']['bytes'] / 1e6:.1f} MB"] if recipe["weights"] else []
        expected += [f"{recipe['seconds']} s"] if recipe["seconds"] else []
        expected += [f"{recipe['rate']:,.0f}/s"] if recipe["rate"] else []
        assert cells == [*expected, summary(recipe)]


def test_the_rate_of_recipes_is_listed_where_one_is_known(zoo_command: Run, tmp_path: Path) -> None:
    table = '[recipes.{}]\nsummary = "A"\ntask = "sentiment"\nmodel = "gru"\n'
    (tmp_path / "r.toml").write_text(table.format("a") + "rate = 21500\n" + table.format("b"))
    shown = zoo_command("list", "--recipes", env={"ZOO_REGISTRY": str(tmp_path / "r.toml")}).stdout
    head, *rows = shown.splitlines()[1:]
    assert head.split() == ["score", "weights", "time", "rate"]
    assert [row.split() for row in rows if row.split()[0] in "ab"] == [
        ["a", "21,500/s", "A"], ["b", "A"]
    ]  # fmt: skip


@pytest.mark.parametrize("kind", LISTED)
def test_other_kinds_are_listed_where_they_are_asked_for(kind: str, zoo_here: Run) -> None:
    listed = answer(zoo_here, "list", f"--{kind}")
    assert list(listed) == [kind]
    assert set(names(listed[kind])) >= LISTED[kind]
    assert all(record["summary"] for record in listed[kind])
    lines = zoo_here("list", f"--{kind}").stdout.splitlines()
    assert lines[0] == kind
    rows = lines[2:] if kind == "recipes" else lines[1:]
    assert [line.split()[0] for line in rows] == names(listed[kind])
    assert kind not in answer(zoo_here, "list")


@pytest.mark.parametrize("pattern", ["*lstm*", "gru", "bi*", "[rl]*", "*-lm"])
def test_a_pattern_chooses_names_as_the_shell_does(pattern: str, zoo_here: Run) -> None:
    everything, chosen = answer(zoo_here, "list"), answer(zoo_here, "list", pattern)
    for kind in everything:
        expected = [name for name in names(everything[kind]) if fnmatchcase(name, pattern)]
        assert names(chosen[kind]) == expected
    assert any(chosen.values())


@pytest.mark.parametrize("kind", ["tasks", "models", "recipes"])
def test_one_kind_can_be_asked_for(kind: str, zoo_here: Run) -> None:
    assert answer(zoo_here, "list", f"--{kind}") == {kind: answer(zoo_here, "list")[kind]}
    lines = set(zoo_here("list", f"--{kind}").stdout.splitlines())
    assert {"tasks", "models", "recipes"} & lines == {kind}


def test_runs_is_the_old_name_of_recipes(zoo_here: Run) -> None:
    old, new = zoo_here("list", "--runs"), zoo_here("list", "--recipes")
    assert (old.returncode, old.stdout) == (0, new.stdout)
    told = "--runs is deprecated since 0.2 and will be removed in 1.0: use --recipes"
    assert old.stderr == f"warning: {told}\n"


def test_no_match_is_reported_on_stderr_and_is_no_failure(zoo_here: Run) -> None:
    done = zoo_here("list", "transformer")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "nothing matches 'transformer'\n"
    assert answer(zoo_here, "list", "transformer") == {"tasks": [], "models": [], "recipes": []}


def test_list_says_which_models_are_causal_and_what_recipes_are_made_of(zoo_here: Run) -> None:
    listed = answer(zoo_here, "list")
    causal = {record["name"]: record["causal"] for record in listed["models"]}
    assert causal["lstm"] is True
    assert causal["bilstm"] is False
    for record in listed["recipes"]:
        recipe = RECIPES[record["name"]]
        assert (record["task"], record["model"]) == (recipe["task"], recipe["model"])
        settings = {
            f"{section}.{key}": value
            for section, table in recipe.get("settings", {}).items()
            for key, value in table.items()
        }
        assert record["settings"] == settings


# Show


def test_show_of_a_recipe_has_its_values_beside_the_defaults(zoo_here: Run) -> None:
    shown = answer(zoo_here, "show", "sample-lstm")
    recipe = RECIPES["sample-lstm"]
    assert (shown["kind"], shown["task"], shown["model"]) == (
        "recipe", recipe["task"], recipe["model"],
    )  # fmt: skip
    assert shown["summary"] == recipe["summary"]
    rate = shown["options"]["training"]["learning_rate"]
    assert rate["value"] == recipe["settings"]["training"]["learning_rate"]
    assert rate["default"] == 1e-3
    assert set(shown["options"]) == {"model", "task", "training", "optimizer", "scheduler"}
    text = zoo_here("show", "sample-lstm").stdout
    (line,) = [line for line in text.splitlines() if line.split()[:1] == ["learning_rate"]]
    assert line.split()[1] == str(rate["value"])
    assert "(default 0.001)" in line


def test_show_of_a_combination_has_the_options_of_its_parts(zoo_here: Run) -> None:
    shown = answer(zoo_here, "show", "sentiment/bigru")
    assert shown["name"] == "sentiment/bigru"
    assert {"hidden_size", "num_layers", "dropout"} <= set(shown["options"]["model"])
    assert {"fc_size", "max_tokens", "vectors"} <= set(shown["options"]["task"])
    assert {"epochs", "optimizer", "clip_norm"} <= set(shown["options"]["training"])
    assert {"beta2", "weight_decay"} <= set(shown["options"]["optimizer"])
    assert {"warmup"} <= set(shown["options"]["scheduler"])
    for name, section in shown["options"].items():
        for option in section.values():
            # The task has settings of its own for how it is trained.
            assert name not in ("model", "task") or option["value"] == option["default"]
            assert option["help"]


def test_show_run_is_what_a_run_directory_and_a_weights_file_say(
    tmp_path: Path, zoo_here: Run
) -> None:
    """One JSON form, wherever a run is described."""
    file, out = tmp_path / "recipes.toml", tmp_path / "run"
    file.write_text(
        "[recipes.tiny]\nsummary = 'Two steps'\ntask = 'sentiment'\nmodel = 'gru'\n"
        "settings.model = { hidden_size = 4 }\nsettings.task = { truncation = 'tail' }\n"
        "settings.training = { steps = 2, optimizer = 'adamw', beta2 = 0.9, schedule = 'linear' }\n"
    )
    shown = answer(zoo_here, "--registry", str(file), "show", "tiny")["run"]
    done = zoo_here("--registry", file, "train", "tiny", "--out", out, "--threads", 1)
    assert done.returncode == 0, done.stderr
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert {key: config[key] for key in shown} == shown
    assert set(config) - set(shown) == {"format", "requires", "zoo", "data_sha256"}
    header = answer(zoo_here, "inspect", str(out))["run"]
    assert list(header) == sorted(shown)  # Canonical JSON.
    # A weights file names its data, and a run directory says where it was.
    assert {**header, "data": ""} == shown
    assert header["data"] == "sample"
    assert shown["optimizer"]["name"] == "adamw"
    assert shown["optimizer"]["options"]["beta2"] == 0.9
    assert shown["scheduler"]["name"] == "linear"
    assert shown["model"]["options"]["hidden_size"] == 4
    for part in ("task", "model", "optimizer", "scheduler"):
        assert shown[part]["distribution"] == "seqzoo"
        assert shown[part]["version"] == importlib.metadata.version("seqzoo")


@pytest.mark.parametrize(
    ("name", "kind", "fact"),
    [
        ("lstm", "model", ("causal", True)),
        ("bilstm", "model", ("causal", False)),
        ("char-lm", "task", ("needs_causal", True)),
        ("sentiment", "task", ("needs_causal", False)),
        ("seqzoo:lstm", "model", ("name", "lstm")),
        ("adamw", "optimizer", ("name", "adamw")),
        ("one-cycle", "scheduler", ("name", "one-cycle")),
        ("tensorboard", "callback", ("name", "tensorboard")),
        ("top5", "metric", ("tasks", ["text-classification", "sentiment"])),
        ("diagnose", "command", ("name", "diagnose")),
    ],
)
def test_show_of_a_record_has_its_options_and_its_plugin(
    name: str, kind: str, fact: tuple[str, object], zoo_here: Run
) -> None:
    shown = answer(zoo_here, "show", name)
    assert shown["kind"] == kind
    assert shown[fact[0]] == fact[1]
    assert list(shown["options"]) == [kind]
    version = importlib.metadata.version("seqzoo")
    assert (shown["plugin"]["distribution"], shown["plugin"]["version"]) == ("seqzoo", version)
    text = zoo_here("show", name).stdout
    assert f"(seqzoo {version})" in text
    for key, option in shown["options"][kind].items():
        (line,) = [line for line in text.splitlines() if line.split()[:1] == [key]]
        assert option["help"] in line


def test_show_of_a_data_set_says_where_it_comes_from(zoo_here: Run) -> None:
    shown = answer(zoo_here, "show", "imdb")
    assert shown["kind"] == "dataset"
    assert shown["bytes"] == 84125825
    text = zoo_here("show", "imdb").stdout
    assert shown["url"] in text
    assert shown["sha256"] in text


def test_show_of_an_unknown_name_suggests_names_of_every_kind(zoo_here: Run) -> None:
    for typed, meant in [
        ("sample-lst", "sample-lstm"),
        ("bilstn", "bilstm"),
        ("sentimnt", "sentiment"),
        ("sentiment/gruu", "gru"),
        ("plateu", "plateau"),
        ("topp5", "top5"),
        ("ilsand", "island"),
    ]:
        done = zoo_here("show", typed)
        assert done.returncode == 2
        assert f"did you mean '{meant}'" in done.stderr, done.stderr


def test_a_name_of_two_kinds_is_shown_with_a_note(install_plugin: Install, zoo_here: Run) -> None:
    install_plugin(
        "zoo-second",
        "import zoo\n@zoo.hookimpl\ndef zoo_callbacks():\n"
        "    return [zoo.CallbackInfo(name='gru', summary='Other', target='x:Y')]\n",
    )
    done = zoo_here("show", "gru")
    assert done.returncode == 0
    assert "Gated recurrent unit" in done.stdout
    assert done.stderr == "note: there is also a callback 'gru'\n"


# Plugins and environment


def test_plugins_lists_every_plugin_with_its_package_and_what_it_provides(zoo_here: Run) -> None:
    listed = answer(zoo_here, "plugins")
    keys = ["name", "distribution", "version", "provides", "error"]
    assert all(list(record) == keys for record in listed)
    ours = {record["name"]: record for record in listed if record["distribution"] == "seqzoo"}
    assert set(ours) == PLUGINS
    assert set(ours["recurrent"]["provides"]["model"]) >= MODELS
    assert ours["sentiment"]["provides"] == {
        "task": ["sentiment"], "recipe": ["sample-lstm"],
    }  # fmt: skip
    assert ours["diagnose"] == {
        "name": "diagnose",
        "distribution": "seqzoo",
        "version": importlib.metadata.version("seqzoo"),
        "provides": {"command": ["diagnose"]},
        "error": "",
    }
    lines = zoo_here("plugins").stdout.splitlines()
    assert len(lines) == len(listed)
    for record, line in zip(listed, lines, strict=True):
        assert line.startswith(record["name"])
        assert f"{record['distribution']} {record['version']}" in line
        for provided in record["provides"].values():
            assert ", ".join(provided) in line


def test_env_has_versions_backend_and_plugins(install_plugin: Install, zoo_here: Run) -> None:
    install_plugin("zoo-broken", "raise RuntimeError('no luck')")
    facts = answer(zoo_here, "env")
    version = importlib.metadata.version("seqzoo")
    assert facts["zoo"] == version
    assert facts["torch"] == importlib.metadata.version("torch")
    assert facts["python"].startswith(platform.python_version())
    assert facts["cache"] == os.environ["ZOO_CACHE"]
    assert facts["recurrent backend"]
    assert facts["processor"]
    assert int(facts["threads"]) >= 1
    assert facts["plugins"].items() >= dict.fromkeys(PLUGINS, f"seqzoo {version}").items()
    assert (
        facts["plugins"]["zoo-broken"]
        == "zoo-broken 2.5, FAILED: RuntimeError: no luck (zoo_broken.py, line 1)"
    )
    text = zoo_here("env").stdout
    table = dict(re.split(" {2,}", line, maxsplit=1) for line in text.splitlines())
    plugins = {f"plugin {name}": told for name, told in facts.pop("plugins").items()}
    assert table == {**facts, **plugins}


# Help


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", [*COMMANDS, "diagnose", "dyneval"])
def test_every_command_has_help_with_examples(command: str, flag: str, zoo_here: Run) -> None:
    done = zoo_here(command, flag)
    assert (done.returncode, done.stderr) == (0, "")
    text, _, below = done.stdout.partition("Commands:")
    if below:
        name = f"{command} {below.split()[0]}"
        text = zoo_here(*name.split(), flag).stdout
    else:
        name = command
    assert text.startswith(f"Usage: zoo {name} ")
    assert f"  zoo {name}" in text.partition("Examples:")[2]


def test_help_has_a_line_for_every_command_on_80_columns(zoo_command: Run) -> None:
    text = zoo_command("--help", env={"COLUMNS": "80"}).stdout
    assert max(map(len, text.splitlines())) <= 80
    section = text.partition("Commands:\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in section.splitlines()] == [
        *COMMANDS, "compare", "diagnose", "dyneval", "explain", "report", "runs", "serve", "sweep",
    ]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_80_columns(command: str, zoo_here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, zoo_here(command, "--help").stdout.splitlines())) <= 80


def test_version_is_that_of_the_distribution(zoo_here: Run) -> None:
    assert zoo_here("--version").stdout.split()[-1] == importlib.metadata.version("seqzoo")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("zoo train imdb-b", {"imdb-bilstm", "imdb-bilstm-book"}),
        ("zoo show sentiment/bi", {"sentiment/bigru", "sentiment/bilstm", "sentiment/birnn"}),
        ("zoo show a", {"adam", "adamw"}),
        ("zoo predict isl", {"island-lstm", "island-lstm-book", "isl"}),  # The last: files.
        ("zoo --no-plugins train sample", set()),
    ],
)
def test_the_shell_is_offered_names_and_files(
    typed: str, offered: set[str], zoo_command: Run
) -> None:
    last = str(len(typed.split()) - 1)
    line = {"COMP_WORDS": typed, "COMP_CWORD": last, "_ZOO_COMPLETE": "bash_complete"}
    lines = zoo_command(env=line).stdout.split()
    kinds = [answer.split(",") for answer in lines]
    assert {name for _, name in kinds} == offered
    assert ("file" in {kind for kind, _ in kinds}) == ("predict" in typed)


def test_the_summaries_of_help_are_those_of_the_commands() -> None:
    context = click.Context(cli)
    for name, summary in COMMANDS.items():
        command = cli.get_command(context, name)
        assert command is not None
        assert command.get_short_help_str(100) == summary
