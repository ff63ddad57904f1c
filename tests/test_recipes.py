"""Recipe files: errors name file, recipe and key; those of zoo and of plugins resolve."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from conftest import Install, Run

from zoo import installed
from zoo.errors import UsageError, ZooWarning
from zoo.options import to_json
from zoo.recipes import read, shipped_path
from zoo.records import DatasetInfo, ModelInfo, Recipe
from zoo.registry import Registry
from zoo.settings import resolve

CHECKOUT = Path(__file__).parent.parent
DATA = """
[data.book]
summary = "A book"
url = "https://example.org/book.txt"
sha256 = "ab"
bytes = 12
"""
RECIPE = """
[recipes.book-lstm]
summary = "A recipe"
task = "char-lm"
model = "lstm"
"""
# What is wrong, the file, and the message, where FILE is the file's name.
WRONG = {
    "unknown table": (
        "[models.lstm]\n",
        r"unknown key 'models' in FILE: known keys are data, recipes",
    ),
    "unknown key of a recipe": (
        RECIPE + "colour = 1\n",
        r"unknown key 'colour' in FILE, recipes.book-lstm",
    ),
    "unknown key of data": (DATA + "size = 1\n", r"unknown key 'size' in FILE, data.book"),
    "a name as a key": (RECIPE + "name = 'x'\n", r"unknown key 'name' in FILE, recipes.book-lstm"),
    "a field that zoo sets": (RECIPE + "folder = 'x'\n", r"unknown key 'folder' in FILE, recipes"),
    "missing key of a recipe": (
        RECIPE.replace('model = "lstm"\n', ""),
        r"key 'model' is missing in FILE, recipes.book-lstm",
    ),
    "missing key of data": (
        DATA.replace('sha256 = "ab"\n', ""),
        r"key 'sha256' is missing in FILE, data.book",
    ),
    "number for a string": (
        RECIPE.replace('"lstm"', "7"),
        r"key 'model' is not a string in FILE, recipes.book-lstm: got 7",
    ),
    "number for initial weights": (
        RECIPE + "init = 7\n",
        r"key 'init' is not a string in FILE, recipes.book-lstm: got 7",
    ),
    "string for an integer": (
        DATA.replace("12", "'12'"),
        r"key 'bytes' is not an integer in FILE, data.book: got '12'",
    ),
    "boolean for an integer": (
        DATA.replace("12", "true"),
        r"key 'bytes' is not an integer in FILE, data.book: got True",
    ),
    "string for a list": (
        DATA + "contains = 'x'\n",
        r"key 'contains' is not a list of strings in FILE, data.book",
    ),
    "list of numbers": (
        DATA + "contains = [1]\n",
        r"key 'contains' is not a list of strings in FILE, data.book",
    ),
    "string for settings": (
        RECIPE + "settings = 'x'\n",
        r"settings is not a table in FILE, recipes.book-lstm",
    ),
    "setting outside a section": (
        RECIPE + "settings = { hidden_size = 5 }\n",
        r"key 'hidden_size' of settings is not a table in FILE, recipes.book-lstm; "
        r"write settings.model = ",
    ),
    "table for a setting": (
        RECIPE + "settings.model.hidden_size = { low = 5 }\n",
        r"setting model.hidden_size is not a plain value in FILE, recipes.book-lstm",
    ),
    "date for a setting": (
        RECIPE + "settings.model.hidden_size = 2020-01-01\n",
        r"setting model.hidden_size is not a plain value in FILE, recipes.book-lstm",
    ),
    "string for metrics": (
        RECIPE + "metrics = 'x'\n",
        r"metrics is not a table in FILE, recipes.book-lstm",
    ),
    "table for a metric": (
        RECIPE + "metrics.loss = { low = 1 }\n",
        r"key 'loss' of metrics is not a plain value in FILE, recipes.book-lstm",
    ),
    "string for weights": (
        RECIPE + "weights = 'x'\n",
        r"weights is not a table in FILE, recipes.book-lstm",
    ),
    "half of weights": (
        RECIPE + "weights = { file = 'x', bytes = 1 }\n",
        r"key 'sha256' is missing in FILE, recipes.book-lstm, weights",
    ),
    "data without a place": (
        DATA.replace('url = "https://example.org/book.txt"\n', ""),
        r"a data set has one of the keys 'url' and 'file' in FILE, data.book",
    ),
    "data in two places": (
        DATA + "file = 'book.txt'\n",
        r"a data set has one of the keys 'url' and 'file' in FILE, data.book",
    ),
    "texts of a file beside it": (
        DATA.replace("url =", "file =") + "contains = ['x']\n",
        r"key 'contains' is for data sets with a 'url' in FILE, data.book",
    ),
    "recipes that are no tables": ("recipes.book = 1\n", r"recipes.book is not a table in FILE"),
    "recipes that are no table": ("recipes = 1\n", r"key 'recipes' is not a table in FILE"),
    "no TOML": ("[recipes.x\n", r"recipe file is not TOML in FILE: .*line 1"),
    "a recipe twice": (RECIPE + RECIPE, r"recipe file is not TOML in FILE: .*line"),
}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("wrong", WRONG)
def test_an_error_names_file_recipe_and_key(wrong: str, tmp_path: Path) -> None:
    text, message = WRONG[wrong]
    file = write(tmp_path / "registry.toml", text)
    with pytest.raises(UsageError, match=message.replace("FILE", re.escape(str(file)))) as failed:
        read(file)
    assert failed.value.exit_code == 2
    assert len(str(failed.value).splitlines()) == 1


def test_a_recipe_file_that_is_missing_or_not_utf8_is_named(tmp_path: Path) -> None:
    file = tmp_path / "registry.toml"
    with pytest.raises(UsageError, match=rf"cannot read the recipe file in {re.escape(str(file))}"):
        read(file)
    file.write_bytes(b"# caf\xe9\n")
    with pytest.raises(UsageError, match=rf"recipe file is not TOML in {re.escape(str(file))}"):
        read(file)


def test_values_are_read_as_written(tmp_path: Path) -> None:
    settings = "settings.model = { sizes = [5, 6] }\nsettings.training = { clip_norm = 0.5 }\n"
    recipe = RECIPE + "data = 'book'\nmetrics.loss = 1.5\n" + settings
    file = read(write(tmp_path / "recipes.toml", DATA + "contains = ['THE BOOK']\n" + recipe))
    found = file.recipes["book-lstm"]
    assert (found.task, found.model, found.data) == ("char-lm", "lstm", "book")
    assert found.settings == {"model.sizes": [5, 6], "training.clip_norm": 0.5}
    assert found.metrics == {"loss": 1.5}
    assert (found.source, found.plugin) == (tmp_path / "recipes.toml", None)
    book = file.datasets["book"]
    assert (book.bytes, book.contains) == (12, ("THE BOOK",))
    assert found.weights_path is None


def test_the_table_name_of_0_1_is_read_with_a_warning(tmp_path: Path) -> None:
    old = write(tmp_path / "registry.toml", RECIPE.replace("[recipes.", "[runs."))
    with pytest.warns(ZooWarning, match=r"'runs' in .* is deprecated .* use 'recipes'"):
        assert list(read(old).recipes) == ["book-lstm"]


def test_recipes_under_the_old_and_the_new_table_name_are_both_read(tmp_path: Path) -> None:
    both = RECIPE.replace("[recipes.", "[runs.") + RECIPE.replace("book-lstm", "other-lstm")
    with pytest.warns(ZooWarning, match=r"'runs' in .* is deprecated .* use 'recipes'"):
        assert set(read(write(tmp_path / "r.toml", both)).recipes) == {"book-lstm", "other-lstm"}


def test_weights_files_are_relative_to_the_recipe_file(tmp_path: Path) -> None:
    weights = "weights = { file = 'w/x.safetensors', sha256 = 'ab', bytes = 1 }\n"
    found = read(write(tmp_path / "registry.toml", RECIPE + weights)).recipes["book-lstm"]
    assert found.weights_path == tmp_path / "w" / "x.safetensors"


def test_the_recipe_file_can_be_chosen_by_environment_or_option(
    tmp_path: Path, zoo_here: Run, zoo_command: Run
) -> None:
    file = write(tmp_path / "registry.toml", RECIPE)
    for done in (
        zoo_here("--registry", file, "list", "--recipes"),
        zoo_command("list", "--recipes", env={"ZOO_REGISTRY": str(file)}),
    ):
        assert done.returncode == 0, done.stderr
        assert re.search(r"book-lstm +A recipe", done.stdout)
        assert "sample-lstm" in done.stdout  # Those of plugins stay.
        assert "imdb-bilstm" not in done.stdout


PLUGIN = """
import zoo
from pathlib import Path
@zoo.hookimpl
def zoo_models():
    return [zoo.ModelInfo(name="mgu", summary="", target="x:Y", causal=True)]
@zoo.hookimpl
def zoo_recipes():
    return [Path(__file__).with_name("recipes.toml")]
"""


def test_recipes_and_data_of_a_plugin_are_merged(install_plugin: Install) -> None:
    weights = "data = 'book'\nweights = { file = 'x.safetensors', sha256 = 'ab', bytes = 1 }\n"
    folder = install_plugin("zoo-books", PLUGIN)
    write(folder / "recipes.toml", DATA + RECIPE + weights)
    registry = installed.registry()
    assert {"book-lstm", "imdb-bilstm", "sample-lstm"} <= set(registry.names(Recipe))
    found = registry.get(Recipe, "book-lstm")
    assert found.plugin is not None
    assert found.plugin.distribution == "zoo-books"
    assert found.weights_path == folder / "x.safetensors"
    spec = resolve("book-lstm", registry)
    assert (spec.name, spec.task.name) == ("book-lstm", "char-lm")
    assert spec.dataset == registry.get(DatasetInfo, "book")


def test_a_shipped_recipe_is_meant_before_one_of_a_plugin(
    install_plugin: Install, zoo_here: Run
) -> None:
    folder = install_plugin("zoo-books", PLUGIN)
    write(folder / "recipes.toml", RECIPE.replace("book-lstm", "imdb-bilstm"))
    registry = installed.registry()
    assert registry.clashes == ["imdb-bilstm"]
    assert "imdb-quick" in registry.names(Recipe)
    assert "BiLSTM and word pairs" in zoo_here("show", "imdb-bilstm").stdout
    assert resolve("zoo-books:imdb-bilstm", registry).task.name == "char-lm"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"cannot read the recipe file in \S+recipes.toml"),
        ("[recipes.x\n", r"recipe file is not TOML in \S+recipes.toml"),
        (RECIPE + "colour = 1\n", r"unknown key 'colour' in \S+recipes.toml, recipes.book-lstm"),
        (RECIPE + "data = 'bok'\n", r"data 'bok' is not in a data table in .*recipes.book-lstm"),
        (RECIPE.replace("book-lstm", '"a/b"'), r"recipe 'a/b': names have letters"),
    ],
)
def test_a_malformed_recipe_file_makes_only_its_plugin_fail(
    text: str | None, message: str, install_plugin: Install
) -> None:
    folder = install_plugin("zoo-books", PLUGIN)
    if text is not None:
        write(folder / "recipes.toml", text)
    registry = installed.registry()
    assert registry.broken == ("zoo-books",)
    (info,) = [info for info in registry.plugins if info.error]
    assert re.search(message, info.error), info.error
    assert "mgu" not in registry.names(ModelInfo)
    assert {"imdb-bilstm", "sample-lstm"} <= set(registry.names(Recipe))


def test_a_recipe_twice_in_the_files_of_a_plugin_is_refused(install_plugin: Install) -> None:
    two = "Path(__file__).with_name('recipes.toml'), Path(__file__).with_name('more.toml')"
    folder = install_plugin(
        "zoo-books", PLUGIN.replace('Path(__file__).with_name("recipes.toml")', two)
    )
    write(folder / "recipes.toml", RECIPE)
    write(folder / "more.toml", RECIPE)
    (info,) = [info for info in installed.registry().plugins if info.error]
    assert "recipe 'book-lstm' is declared twice" in info.error


def test_the_shipped_recipe_file_is_that_of_the_checkout() -> None:
    assert shipped_path() == CHECKOUT / "registry.toml"
    assert read(shipped_path()).recipes
    assert read(shipped_path()).datasets


def test_every_recipe_resolves_to_its_settings(registry: Registry) -> None:
    for recipe in registry.all(Recipe):
        spec = resolve(recipe.name, registry)
        sections = {
            "task": to_json(spec.network.task.options),
            "model": to_json(spec.network.model.options),
            "training": {
                **to_json(spec.scheduler.options), **to_json(spec.optimizer.options),
                **to_json(spec.training),
            },
        }  # fmt: skip
        for key, value in recipe.settings.items():
            section, _, option = key.partition(".")
            assert sections[section][option] == value
        assert (spec.task.name, spec.network.model.info.name) == (recipe.task, recipe.model)
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", recipe.name)
        assert recipe.summary


def test_every_shipped_data_set_can_be_downloaded_and_checked(registry: Registry) -> None:
    for dataset in registry.all(DatasetInfo):
        assert dataset.url.startswith("https://")
        assert re.fullmatch(r"[0-9a-f]{64}", dataset.sha256)
        assert dataset.bytes > 0


def test_every_published_weights_file_is_the_one_that_its_recipe_describes(
    registry: Registry,
) -> None:
    published = [recipe for recipe in registry.all(Recipe) if recipe.weights]
    assert published
    for recipe in published:
        assert recipe.weights is not None
        content = (recipe.weights_path or Path()).read_bytes()
        assert hashlib.sha256(content).hexdigest() == recipe.weights.sha256
        assert len(content) == recipe.weights.bytes


def test_data_beside_the_recipe_file_is_used_as_it_is_described(
    tmp_path: Path, zoo_here: Run
) -> None:
    content = "".join(f"word {n},{'ab'[n % 2]}\n" for n in range(60))
    write(tmp_path / "table.csv", f"text,label\n{content}")
    digest = hashlib.sha256((tmp_path / "table.csv").read_bytes()).hexdigest()
    size = (tmp_path / "table.csv").stat().st_size
    data = f"[data.words]\nsummary = ''\nfile = 'table.csv'\nsha256 = '{digest}'\nbytes = {size}\n"
    recipe = RECIPE.replace("char-lm", "text-classification") + "data = 'words'\n"
    file = write(tmp_path / "recipes.toml", data + recipe)
    train = ("--registry", file, "train", "book-lstm", "--set", "hidden_size=4", "--steps", "2")
    done = zoo_here(*train, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "60 texts of table.csv" in done.stderr
    assert "file    table.csv" in zoo_here("--registry", file, "show", "words").stdout

    write(tmp_path / "table.csv", f"text,label\n{content.replace('a', 'b')}")
    done = zoo_here(*train, "--out", tmp_path / "other")
    assert done.returncode == 4
    assert done.stderr.startswith(
        f"error: the file of the data set 'words' is not the one that was published in "
        f"{tmp_path / 'table.csv'}: "
    )
