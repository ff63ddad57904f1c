"""zoo list, show and plugins: what there is, for people and for programs."""

from __future__ import annotations

import importlib.metadata
import json
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

from zoo.cli.main import COMMANDS

SHIPPED = tomllib.loads(
    (Path(__file__).parent.parent / "registry.toml").read_text(encoding="utf-8")
)
MODELS = {"rnn", "lstm", "gru", "birnn", "bilstm", "bigru"}


def answer(run: Run, *arguments: str) -> Any:
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def names(records: list[dict[str, Any]]) -> list[str]:
    return [record["name"] for record in records]


def test_list_has_every_task_model_and_published_run_with_a_line_each(zoo_here: Run) -> None:
    listed = answer(zoo_here, "list")
    assert list(listed) == ["tasks", "models", "runs"]
    assert set(names(listed["models"])) >= MODELS
    assert {"sentiment", "char-lm"} <= set(names(listed["tasks"]))
    assert names(listed["runs"]) == sorted(SHIPPED["runs"])
    lines = zoo_here("list").stdout.splitlines()
    for kind, records in listed.items():
        assert kind in lines
        assert names(records) == sorted(names(records))
        for record in records:
            included = "; weights included" if record.get("weights") else ""
            shown = [record["name"], record["summary"] + included]
            assert shown in [line.split(None, 1) for line in lines]


@pytest.mark.parametrize("pattern", ["*lstm*", "gru", "bi*", "[rl]*", "*-lm"])
def test_a_pattern_picks_names_as_the_shell_does(pattern: str, zoo_here: Run) -> None:
    everything, picked = answer(zoo_here, "list"), answer(zoo_here, "list", pattern)
    for kind in everything:
        expected = [name for name in names(everything[kind]) if fnmatchcase(name, pattern)]
        assert names(picked[kind]) == expected
    assert any(picked.values())


@pytest.mark.parametrize("kind", ["tasks", "models", "runs"])
def test_one_kind_can_be_asked_for(kind: str, zoo_here: Run) -> None:
    assert answer(zoo_here, "list", f"--{kind}") == {kind: answer(zoo_here, "list")[kind]}
    headings = {"tasks", "models", "runs"} & set(zoo_here("list", f"--{kind}").stdout.splitlines())
    assert headings == {kind}


def test_nothing_matching_is_said_on_stderr_and_is_no_failure(zoo_here: Run) -> None:
    done = zoo_here("list", "transformer")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "nothing matches 'transformer'\n"
    assert answer(zoo_here, "list", "transformer") == {"tasks": [], "models": [], "runs": []}


def test_list_says_what_is_causal_and_what_a_run_is_made_of(zoo_here: Run) -> None:
    listed = answer(zoo_here, "list")
    causal = {record["name"]: record["causal"] for record in listed["models"]}
    assert causal["lstm"] is True
    assert causal["bilstm"] is False
    for record in listed["runs"]:
        row = SHIPPED["runs"][record["name"]]
        assert (record["task"], record["model"]) == (row["task"], row["model"])
        settings = {
            f"{section}.{key}": value
            for section, table in row.get("settings", {}).items()
            for key, value in table.items()
        }
        assert record["settings"] == settings


def test_show_of_a_row_has_the_values_it_trains_with_beside_the_defaults(zoo_here: Run) -> None:
    shown = answer(zoo_here, "show", "sample-lstm")
    row = SHIPPED["runs"]["sample-lstm"]
    assert (shown["kind"], shown["task"], shown["model"]) == ("run", row["task"], row["model"])
    assert shown["summary"] == row["summary"]
    rate = shown["options"]["training"]["learning_rate"]
    assert rate["value"] == row["settings"]["training"]["learning_rate"]
    assert rate["default"] == 1e-3
    assert set(shown["options"]) == {"model", "task", "training"}
    text = zoo_here("show", "sample-lstm").stdout
    (line,) = [line for line in text.splitlines() if line.split()[:1] == ["learning_rate"]]
    assert line.split()[1] == str(rate["value"])
    assert "(default 0.001)" in line


def test_show_of_a_combination_has_the_options_of_both_and_of_training(zoo_here: Run) -> None:
    shown = answer(zoo_here, "show", "sentiment/bigru")
    assert shown["name"] == "sentiment/bigru"
    assert {"hidden_size", "num_layers", "dropout"} <= set(shown["options"]["model"])
    assert {"fc_size", "max_tokens", "vectors"} <= set(shown["options"]["task"])
    assert {"epochs", "optimizer", "clip_norm"} <= set(shown["options"]["training"])
    for section in shown["options"].values():
        for option in section.values():
            assert option["value"] == option["default"]
            assert option["help"]


@pytest.mark.parametrize(
    ("name", "kind", "fact"),
    [
        ("lstm", "model", ("causal", True)),
        ("bilstm", "model", ("causal", False)),
        ("char-lm", "task", ("needs_causal", True)),
        ("sentiment", "task", ("needs_causal", False)),
    ],
)
def test_show_of_a_model_or_task_has_its_options_and_its_plugin(
    name: str, kind: str, fact: tuple[str, bool], zoo_here: Run
) -> None:
    shown = answer(zoo_here, "show", name)
    assert shown["kind"] == kind
    assert shown[fact[0]] is fact[1]
    assert list(shown["options"]) == [kind]
    version = importlib.metadata.version("seqzoo")
    assert (shown["plugin"]["distribution"], shown["plugin"]["version"]) == ("seqzoo", version)
    text = zoo_here("show", name).stdout
    assert f"(seqzoo {version})" in text
    for key, option in shown["options"][kind].items():
        (line,) = [line for line in text.splitlines() if line.split()[:1] == [key]]
        assert option["help"] in line


def test_show_of_an_unknown_name_suggests_near_ones_of_every_kind(zoo_here: Run) -> None:
    for typed, meant in [
        ("sample-lst", "sample-lstm"),
        ("bilstn", "bilstm"),
        ("sentimnt", "sentiment"),
        ("sentiment/gruu", "gru"),
    ]:
        done = zoo_here("show", typed)
        assert done.returncode == 2
        assert f"did you mean '{meant}'" in done.stderr, done.stderr


def test_plugins_lists_every_plugin_with_its_package_and_what_it_adds(zoo_here: Run) -> None:
    listed = answer(zoo_here, "plugins")
    keys = ["name", "distribution", "version", "models", "tasks", "error"]
    assert all(list(record) == keys for record in listed)
    ours = {record["name"]: record for record in listed if record["distribution"] == "seqzoo"}
    assert set(ours) == {"recurrent", "sentiment", "char-lm"}
    assert set(ours["recurrent"]["models"]) >= MODELS
    assert ours["sentiment"]["tasks"] == ["sentiment"]
    assert ours["char-lm"] == {
        "name": "char-lm",
        "distribution": "seqzoo",
        "version": importlib.metadata.version("seqzoo"),
        "models": [],
        "tasks": ["char-lm"],
        "error": "",
    }
    lines = zoo_here("plugins").stdout.splitlines()
    assert len(lines) == len(listed)
    for record, line in zip(listed, lines, strict=True):
        assert line.startswith(record["name"])
        assert f"{record['distribution']} {record['version']}" in line


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_examples(
    command: str, flag: str, zoo_here: Run
) -> None:
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


def test_help_names_every_command(zoo_here: Run) -> None:
    lines = zoo_here("--help").stdout.partition("Commands:")[2].splitlines()
    assert {line.split()[0] for line in lines if line.startswith("  ")} >= set(COMMANDS)


def test_version_is_that_of_the_distribution(zoo_here: Run) -> None:
    assert zoo_here("--version").stdout.split()[-1] == importlib.metadata.version("seqzoo")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("zoo train imdb-b", {"imdb-bilstm", "imdb-bilstm-book"}),
        ("zoo show sentiment/bi", {"sentiment/bigru", "sentiment/bilstm", "sentiment/birnn"}),
        ("zoo predict isl", {"island-lstm", "island-lstm-book", "isl"}),  # The last: files.
    ],
)
def test_the_shell_is_offered_names_and_files(
    typed: str, offered: set[str], zoo_command: Run
) -> None:
    line = {"COMP_WORDS": typed, "COMP_CWORD": "2", "_ZOO_COMPLETE": "bash_complete"}
    kinds = [answer.split(",") for answer in zoo_command(env=line).stdout.splitlines()]
    assert {name for _, name in kinds} == offered
    assert ("file" in {kind for kind, _ in kinds}) == ("predict" in typed)
