"""A broken plugin is reported by name, in one line, and every other plugin keeps working."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Install, Run

from zoo import installed
from zoo.api.suggestions import choose
from zoo.discovery import DeclaredPlugin, discover
from zoo.discovery.validation import RECORD_HOOKS
from zoo.entry_points import PLUGINS_VARIABLE, read_points
from zoo.errors import PluginError, ZooWarning
from zoo.records import ModelInfo

HOOK = "import zoo\n@zoo.hookimpl\n"
MODEL = "zoo.ModelInfo(name='sru', summary='', target='x:Y', causal=True)"
GOOD = HOOK + f"def zoo_models():\n    return [{MODEL}]\n"
OPTIONS = (
    "from dataclasses import dataclass\n"
    "import zoo\n"
    "{decorator}\n"
    "class SRUOptions(zoo.Options):\n"
    "    size: int = {field}\n"
    "@zoo.hookimpl\n"
    "def zoo_models():\n"
    "    return [zoo.ModelInfo(name='sru', summary='', target='x:Y', causal=True,"
    " options=SRUOptions)]\n"
)
DATACLASS = "@dataclass(frozen=True)"
# What is wrong with a plugin, its source, and what the message says.
BROKEN = {
    "raises at import": ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
    "exits at import": ("import sys\nsys.exit('bye')", "SystemExit: bye"),
    "is no Python": ("def (", "SyntaxError"),
    "needs what is missing": ("import no_such_thing", "No module named 'no_such_thing'"),
    "is not there": (None, "No module named 'zoo_broken'"),
    "raises in a hook": (
        HOOK + "def zoo_models():\n    raise KeyError('lost')",
        "KeyError: 'lost'",
    ),
    "returns no list": (
        HOOK + f"def zoo_models():\n    return {MODEL}",
        "zoo_models returned ModelInfo, not a list",
    ),
    "returns names": (
        HOOK + "def zoo_models():\n    return ['sru']",
        "zoo_models returned a str in its list, not a ModelInfo",
    ),
    "returns the other kind of record": (
        HOOK + f"def zoo_tasks():\n    return [{MODEL}]",
        "zoo_tasks returned a ModelInfo in its list, not a TaskInfo",
    ),
    "misspells a hook": (HOOK + "def zoo_modles():\n    return []", "unknown hook 'zoo_modles'"),
    "asks for an argument": (
        HOOK + "def zoo_models(registry):\n    return []",
        r"zoo_models.*registry",
    ),
    "raises in two lines": ("raise ValueError('first\\nsecond')", "ValueError: first second"),
    "declares positionally": (
        HOOK + "def zoo_models():\n    return [zoo.ModelInfo('sru', '', 'x:Y', True)]",
        r"TypeError: .*positional",
    ),
    "declares a name twice": (
        HOOK + f"def zoo_models():\n    return [{MODEL}, {MODEL}]",
        "model 'sru' is declared twice",
    ),
    "declares no name": (
        HOOK + f"def zoo_models():\n    return [{MODEL.replace('sru', '')}]",
        "the name of a model is not a string: ''",
    ),
    "declares a name that cannot be typed": (
        HOOK + f"def zoo_models():\n    return [{MODEL.replace('sru', 'a/b')}]",
        "model 'a/b': names have letters, digits, hyphens and dots",
    ),
    "has a default out of bounds": (
        OPTIONS.format(decorator=DATACLASS, field="zoo.option(0, 'units', minimum=1)"),
        "model 'sru': size: 0 is less than 1",
    ),
    "has a default of another type": (
        OPTIONS.format(decorator=DATACLASS, field="zoo.option('big', 'units')"),
        "model 'sru': size: 'big' is not an integer",
    ),
    "has a field that is no option": (
        OPTIONS.format(decorator=DATACLASS, field="3"),
        r"field 'size' of SRUOptions is not made by zoo\.option",
    ),
    "forgets the decorator": (
        OPTIONS.format(decorator="", field="zoo.option(3, 'units')"),
        r"'size' of SRUOptions is not a field.*@dataclass",
    ),
    "has options that are none": (
        HOOK + f"def zoo_models():\n    return [{MODEL[:-1]}, options=dict)]",
        r"model 'sru': options is .*dict.*zoo\.Options",
    ),
    "has a submodel called like a part of every run": (
        HOOK + "def zoo_tasks():\n    return [zoo.TaskInfo(name='t', summary='', target='x:Y',"
        " monitor='loss', higher_is_better=False,"
        " submodels={'model': zoo.Submodel('', default='gru')})]",
        "task 't': .*'model' already",
    ),
    "has a callback called like a part of every run": (
        HOOK + "def zoo_callbacks():\n"
        "    return [zoo.CallbackInfo(name='training', summary='', target='x:Y')]",
        "callback 'training': .*'training' already",
    ),
    "returns recipes that are no paths": (
        HOOK + "def zoo_recipes():\n    return ['recipes.toml']",
        "zoo_recipes returned a str in its list, not a Path",
    ),
}  # fmt: skip


def found(distribution: str) -> DeclaredPlugin:
    (plugin,) = [p for p in discover() if p.info.distribution == distribution]
    return plugin


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_named_and_the_others_work(kind: str, install_plugin: Install) -> None:
    source, message = BROKEN[kind]
    before = {p.info.name: p for p in discover()}
    install_plugin("zoo-broken", source)
    install_plugin("zoo-good", GOOD)
    broken = found("zoo-broken")
    assert (broken.info.name, broken.info.version) == ("zoo-broken", "2.5")
    assert (broken.declarations, broken.recipe_paths, broken.info.provides) == ((), (), {})
    assert len(broken.info.error.splitlines()) == 1
    assert re.search(message, broken.info.error), broken.info.error
    assert found("zoo-good").info.provides == {"model": ("sru",)}
    after = {p.info.name: p for p in discover()}
    assert {name: after[name] for name in before} == before
    registry = installed.registry()
    assert registry.broken == ("zoo-broken",)
    assert {"sru", "lstm"} <= set(registry.names(ModelInfo))


def test_commands_work_beside_a_broken_plugin_and_warn_of_it(
    install_plugin: Install, zoo_here: Run
) -> None:
    install_plugin("zoo-broken", "raise RuntimeError('no luck')")
    listed = zoo_here("list", "lstm")
    assert listed.returncode == 0
    assert "LSTM with forget gate" in listed.stdout
    assert re.search("warning.*zoo-broken.*`zoo plugins`", listed.stderr)
    (line,) = [
        line for line in zoo_here("plugins").stdout.splitlines() if line.startswith("zoo-broken")
    ]
    assert re.match(r"zoo-broken +zoo-broken 2.5 .*RuntimeError: no luck \(zoo_broken", line)
    (record,) = [
        record
        for record in json.loads(zoo_here("plugins", "--json").stdout)
        if record["distribution"] == "zoo-broken"
    ]
    assert record["error"] == "RuntimeError: no luck (zoo_broken.py, line 1)"


def test_a_plugin_without_hooks_declares_nothing_and_is_not_broken(
    install_plugin: Install,
) -> None:
    install_plugin("zoo-empty", "x = 1\n")
    plugin = found("zoo-empty")
    assert plugin.info.error == ""
    assert (plugin.declarations, plugin.info.provides) == ((), {})


def test_records_are_attributed_to_the_plugin_that_declares_them(install_plugin: Install) -> None:
    install_plugin("zoo-good", GOOD)
    install_plugin("zoo-more", GOOD.replace("sru", "qrnn"))
    for distribution, name in (("zoo-good", "sru"), ("zoo-more", "qrnn")):
        plugin = found(distribution)
        (declared,), (record,) = plugin.declarations, plugin.load().records
        assert (declared.name, declared.plugin) == (name, plugin.info)
        assert (record.name, record.plugin) == (name, plugin.info)
        assert plugin.info.provides == {"model": (name,)}


def test_entry_points_are_found_without_importing_them(install_plugin: Install) -> None:
    install_plugin("zoo-good", GOOD)
    assert "zoo-good" in [point.name for point in read_points()]
    assert "zoo_good" not in sys.modules


def test_first_party_plugins_are_found_by_entry_point_like_any_other() -> None:
    declared = {
        point.name
        for point in importlib.metadata.distribution("seqzoo").entry_points
        if point.group == "zoo"
    }
    assert declared == {p.info.name for p in discover() if p.info.distribution == "seqzoo"}
    assert not any(p.info.error for p in discover())


@pytest.mark.parametrize(
    ("chosen", "loaded"),
    [
        ("", []),
        ("recurrent", ["recurrent"]),
        ("zoo-good, recurrent", ["recurrent", "zoo-good"]),
        ("no-such-plugin", []),
    ],
)
def test_the_environment_selects_plugins(
    chosen: str, loaded: list[str], install_plugin: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_plugin("zoo-good", GOOD)
    install_plugin("zoo-broken", "raise RuntimeError('no luck')")
    monkeypatch.setenv(PLUGINS_VARIABLE, chosen)
    assert [plugin.info.name for plugin in discover()] == loaded
    # The registry of this process follows the variable, without installed.forget().
    assert [info.name for info in installed.registry().plugins] == loaded
    assert "zoo_broken" not in sys.modules


def test_a_process_with_chosen_plugins_imports_no_other(zoo_command: Run) -> None:
    listed = zoo_command("list", "--json", env={PLUGINS_VARIABLE: "recurrent"})
    assert listed.returncode == 0, listed.stderr
    found = json.loads(listed.stdout)
    assert "lstm" in [record["name"] for record in found["models"]]
    assert found["tasks"] == []


def test_a_failing_environment_hook_leaves_zoo_env_working(
    install_plugin: Install, zoo_here: Run
) -> None:
    install_plugin("zoo-bad", HOOK + "def zoo_environment():\n    raise OSError('no device')\n")
    install_plugin("zoo-odd", HOOK + "def zoo_environment():\n    return ['not a mapping']\n")
    done = zoo_here("env", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    said = facts["zoo_environment of zoo-bad"]
    assert said == "failed: OSError: no device (zoo_bad.py, line 4)"
    assert "AttributeError" in facts["zoo_environment of zoo-odd"]
    assert facts["recurrent backend"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("METADATA", b""),
        ("METADATA", b"Name: zoo-odd\n"),
        ("METADATA", None),
        ("entry_points.txt", b"[zoo]\nodd = \xff\n"),
        ("entry_points.txt", b"[zoo\nodd\n"),
        ("entry_points.txt", b"[zoo]\nodd\n= x\nodd = \nodd = .a\nodd = a b:c d\n"),
    ],
)
def test_metadata_that_cannot_be_read_takes_no_other_plugin_down(
    file: str, content: bytes | None, install_plugin: Install, zoo_here: Run
) -> None:
    install_plugin("zoo-good", GOOD)
    folder = install_plugin("zoo-odd", GOOD)
    (path,) = folder.glob(f"*.dist-info/{file}")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PLUGINS_VARIABLE, "zoo-good,recurrent,odd")
        done = zoo_here("list", "--models")
    assert done.returncode == 0, done.stderr
    assert {"sru", "lstm"} <= {*done.stdout.split()}


def test_an_entry_point_may_have_the_name_of_another_package_s(
    install_plugin: Install, zoo_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = install_plugin("zoo-second", GOOD)
    (path,) = folder.glob("*.dist-info/entry_points.txt")
    path.write_text("[zoo]\nrecurrent = zoo_second\n")
    listed = json.loads(zoo_here("list", "--json").stdout)["models"]
    assert {"sru", "lstm"} <= {record["name"] for record in listed}
    plugins = json.loads(zoo_here("env", "--json").stdout)["plugins"]
    assert {"seqzoo:recurrent", "zoo-second:recurrent"} <= plugins.keys()


# What is cached


def cached() -> Path:
    return Path(os.environ["ZOO_CACHE"], "plugins.json")


def test_a_plugin_is_imported_when_a_record_of_it_is_used_and_not_before(
    install_plugin: Install, zoo_here: Run
) -> None:
    source = GOOD.replace("causal=True", "causal=True, options=SRUOptions")
    options = OPTIONS.format(decorator=DATACLASS, field="zoo.option(5, 'units')")
    install_plugin("zoo-good", options.partition("@zoo.hookimpl")[0] + source)
    for command in (("list",), ("plugins",), ("show", "sru"), ("--help",), ("env",)):
        done = zoo_here(*command)
        assert done.returncode == 0, done.stderr
        assert "zoo_good" not in sys.modules
    assert installed.registry().declaration(ModelInfo, "sru").options["size"].default == 5
    assert "zoo_good" not in sys.modules
    record = installed.registry().get(ModelInfo, "sru")
    assert "zoo_good" in sys.modules
    assert record.options is sys.modules["zoo_good"].SRUOptions
    assert record.plugin == found("zoo-good").info


def test_what_other_environments_have_is_forgotten_first(
    install_plugin: Install, zoo_here: Run
) -> None:
    zoo_here("plugins")
    document = json.loads(cached().read_text())
    own = {key: value for key, value in document["plugins"].items() if "\nseqzoo\n" in key}
    entry = next(iter(own.values()))
    document["plugins"] = own | {f"of another one {i}": entry for i in range(200)}
    cached().write_text(json.dumps(document))
    install_plugin("zoo-good", GOOD)
    zoo_here("plugins")
    kept = json.loads(cached().read_text())["plugins"]
    assert own.keys() < kept.keys()
    assert len(kept) == 64
    assert "of another one 199" in kept


def test_an_edited_module_of_the_package_is_seen(tmp_path: Path, install_plugin: Install) -> None:
    folder = install_plugin("zoo-good", None)
    package = folder / "zoo_good"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import zoo\nfrom zoo_good.names import NAME\n@zoo.hookimpl\ndef zoo_models():\n"
        f"    return [{MODEL.replace(repr('sru'), 'NAME')}]\n"
    )
    for name in ("one", "two"):
        (package / "names.py").write_text(f"NAME = '{name}'\n")
        assert found("zoo-good").info.provides == {"model": (name,)}


def test_a_plugin_that_failed_is_asked_again_when_it_is_edited_or_by_zoo_plugins(
    tmp_path: Path, install_plugin: Install, zoo_here: Run
) -> None:
    flag = tmp_path / "flag"
    source = f"import pathlib\nif not pathlib.Path({str(flag)!r}).exists(): raise OSError('no')\n"
    folder = install_plugin("zoo-good", source + GOOD)
    assert found("zoo-good").info.error
    flag.touch()
    assert found("zoo-good").info.error, "asked again"
    assert "models: sru" in zoo_here("plugins").stdout
    assert not found("zoo-good").info.error
    (folder / "zoo_good.py").write_text("raise ValueError")
    assert found("zoo-good").info.error
    (folder / "zoo_good.py").write_text(GOOD)
    assert not found("zoo-good").info.error


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", "[" * 100_000, '{"format": 1, "paths": 3, "plugins": {}}',
        '{"format": 2, "paths": {}, "plugins": {}}', "\x00" * 100, '{"format": 1',
    ],
)  # fmt: skip
def test_a_damaged_cache_is_made_anew(content: str) -> None:
    before = discover()
    good = cached().read_text()
    cached().write_text(content)
    assert discover() == before
    assert json.loads(cached().read_text()).keys() == json.loads(good).keys()


def test_a_cache_with_damaged_parts_is_made_anew() -> None:
    before = discover()
    document = json.loads(cached().read_text())
    damages: list[Any] = [None, 3, [], {}, {"answer": {}}, {"answer": {"provides": 3}}]
    for damage in damages:
        broken = {**document, "plugins": dict.fromkeys(document["plugins"], damage)}
        cached().write_text(json.dumps(broken))
        assert discover() == before
        cached().write_text(
            json.dumps({**document, "paths": dict.fromkeys(document["paths"], damage)})
        )
        assert discover() == before


def test_what_only_the_cache_says_is_not_imported(install_plugin: Install) -> None:
    folder = install_plugin("zoo-good", GOOD)
    (folder / "zoo_other.py").write_text(GOOD)
    assert not found("zoo-good").info.error
    text = cached().read_text()
    assert '"zoo_good"' in text
    cached().write_text(
        text.replace('"zoo_good"', '"zoo_other"').replace("\\nzoo_good\\n", "\\nzoo_other\\n")
    )
    with pytest.raises(PluginError, match="has no entry point 'zoo-good'"):
        found("zoo-good").load()
    assert "zoo_other" not in sys.modules


def test_plugins_work_without_a_cache_folder(
    install_plugin: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install_plugin("zoo-good", GOOD)
    install_plugin("zoo-broken", "raise RuntimeError('no luck')")
    before = discover()
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file" / "cache", Path("~/.cache/zoo")):
        monkeypatch.setenv("ZOO_CACHE", str(folder))
        monkeypatch.chdir(tmp_path)
        assert discover() == before
    assert not Path("~").exists()


def test_data_is_trained_on_beside_tasks_that_fail_on_it_or_claim_the_name_of_another(
    install_plugin: Install, tmp_path: Path
) -> None:
    task = "zoo.TaskInfo(name=n, summary='', target='x:Y', monitor='loss', higher_is_better=False,"
    hook = f"def zoo_tasks():\n    return [{task} suggest=suggest) for n in NAMES]\n"
    install_plugin(
        "zoo-stranger",
        "import zoo\nNAMES = ['a-task', 'text-classification']\n"
        f"def suggest(path, options):\n    raise SystemExit('bye')\n@zoo.hookimpl\n{hook}",
    )
    table = tmp_path / "table.csv"
    rows = [f"film {n} is good,pos\nfilm {n} is bad,neg\n" for n in range(40)]
    table.write_text("text,label\n" + "".join(rows))
    with pytest.warns(ZooWarning, match=r"suggest of task 'a-task' .*failed: SystemExit: bye"):
        choice = choose("", str(table), {}, installed.registry())
    assert choice.name.startswith("seqzoo:text-classification/")
    with pytest.raises(PluginError, match=r"suggest of task 'a-task' .*failed"):
        choose("a-task/lstm", str(table), {}, installed.registry())


# Processes


def test_the_plugin_that_ends_the_process_of_its_package_is_named(
    install_plugin: Install,
) -> None:
    folder = install_plugin("zoo-many", None)
    points = {"a": GOOD, "b": "import os\nos._exit(3)", "c": GOOD.replace("sru", "qrnn")}
    for name, source in points.items():
        (folder / f"zoo_many_{name}.py").write_text(source)
    (info,) = folder.glob("*.dist-info")
    lines = "".join(f"zoo-many-{name} = zoo_many_{name}\n" for name in points)
    (info / "entry_points.txt").write_text("[zoo]\n" + lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PLUGINS_VARIABLE, ",".join(f"zoo-many-{name}" for name in points))
        plugins = discover()
    assert [plugin.info.provides for plugin in plugins] == [
        {"model": ("sru",)}, {}, {"model": ("qrnn",)},
    ]  # fmt: skip
    assert [plugin.info.error for plugin in plugins] == [
        "", "exited with code 3 while it was imported", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("while True: pass", "did not answer within 2 s"),
        ("import os\nos.kill(os.getpid(), 9)", "killed by signal 9 while it was imported"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt: (zoo_broken.py, line 1)"),
    ],
)
def test_what_happened_in_the_process_is_told(
    source: str, said: str, install_plugin: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_PLUGIN_TIMEOUT", "2")
    install_plugin("zoo-broken", source)
    assert found("zoo-broken").info.error == said


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf"])
def test_a_time_limit_that_is_none_is_a_usage_error(
    value: str, install_plugin: Install, zoo_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_PLUGIN_TIMEOUT", value)
    install_plugin("zoo-good", GOOD)
    done = zoo_here("list")
    assert (done.returncode, done.stdout) == (2, "")
    assert "ZOO_PLUGIN_TIMEOUT" in done.stderr


def test_a_plugin_that_fails_only_here_is_named_and_prints_nothing_into_results(
    install_plugin: Install, zoo_here: Run
) -> None:
    here = f"import os\nprint('hello')\nif os.getpid() == {os.getpid()}: raise SystemExit('bye')\n"
    command = "zoo.CommandInfo(name='count', summary='Count.', target='zoo_good:count')"
    hook = f"@zoo.hookimpl\ndef zoo_commands():\n    return [{command}]\n"
    install_plugin("zoo-good", here + "import zoo\n" + hook)
    assert "count  " in zoo_here("--help").stdout
    done = zoo_here("count")
    assert (done.returncode, done.stdout) == (3, "")
    assert (
        "hello\nerror: plugin 'zoo-good' does not load in zoo-good 2.5: SystemExit: bye"
        in done.stderr
    )


def test_every_record_hook_has_a_kind_of_its_own() -> None:
    kinds = [kind.kind for kind in RECORD_HOOKS.values()]
    assert all(kinds)
    assert len(set(kinds)) == len(kinds)
