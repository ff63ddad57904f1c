"""The documentation site builds; its reference has every public name, hook and option."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import json
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from test_architecture import PUBLIC

import zoo
from zoo import hookspecs, records
from zoo.errors import ZooWarning
from zoo.registry import Registry

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
pytest.importorskip("sphinx", reason="needs the extra 'docs'")


def module_of_docs(path: str) -> ModuleType:
    """Import a module of docs/, which is in no package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, DOCS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODULES: tuple[str, ...] = module_of_docs("_ext/reference_modules.py").MODULES


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site with warnings as errors; broken links and unlisted pages are warnings."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, DOCS / "build_site.py", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / zoo.__version__


def inventory(site: Path) -> dict[str, str]:
    """Return what the reference documents: pages by full name, as Sphinx lists them for others."""
    content = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    found = {}
    for line in zlib.decompress(content).decode().splitlines():
        name, kind, _, place, _ = line.split(maxsplit=4)
        if kind.startswith("py:"):
            found[name] = place.partition("#")[0]
    return found


def public_names(module: str) -> list[str]:
    """Return ``__all__`` of a module or, where it has none, what it defines without underscore."""
    imported = importlib.import_module(module)
    if hasattr(imported, "__all__"):
        return list(imported.__all__)
    tree = ast.parse(inspect.getsource(imported))
    return [
        node.name for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]  # fmt: skip


def documented(module: str) -> Iterator[tuple[str, Any]]:
    """Yield the public functions and classes of a module, and the public methods of its classes."""
    for name in public_names(module):
        value = getattr(importlib.import_module(module), name)
        if inspect.isclass(value) or inspect.isroutine(value):
            yield f"{module}.{name}", value
        if inspect.isclass(value):
            for attribute, member in vars(value).items():
                if not attribute.startswith("_") and isinstance(_bare(member), FunctionType):
                    yield f"{module}.{name}.{attribute}", _bare(member)


def _bare(member: Any) -> Any:
    """Return the function of a method, a class method or a property."""
    for attribute in ("fget", "func", "__func__"):
        member = getattr(member, attribute, member)
    return member


def undescribed(value: Any) -> list[str]:
    """Return the arguments of a function or class that its docstring does not describe.

    Those of a class may be described by a class that it is derived from.
    """
    described: list[str] = []
    for each in [*value.__mro__, value.__init__] if inspect.isclass(value) else [value]:
        text = inspect.getdoc(each) or ""
        section = re.search(r"^(?:Args|Attributes):\n((?:    .*\n|\n)*)", f"{text}\n", re.MULTILINE)
        described += re.findall(
            r"^    \*{0,2}(\w+)(?: \(.*?\))?: \S", section[1] if section else "", re.M
        )
    if getattr(value, "_is_protocol", False) or value is ZooWarning:
        return []  # The one is not called, the other has the arguments of every exception.
    names = inspect.signature(value).parameters
    return [name for name in names if name not in {"self", "cls", *described}]


def text_of(page: Path) -> str:
    """Return the text of an HTML page, one space between words."""
    texts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = texts.append  # type: ignore[assignment, method-assign]
    parser.feed(page.read_text(encoding="utf-8"))
    return " ".join("".join(texts).split())


def test_the_reference_covers_what_plugins_may_import() -> None:
    for room in PUBLIC:
        assert any(module == room or module.startswith(f"{room}.") for module in MODULES), room


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    found = inventory(site)
    wanted = {f"{module}.{name}" for module in MODULES for name in public_names(module)}
    assert sorted(wanted - set(found)) == []


@pytest.mark.parametrize("module", MODULES)
def test_public_names_have_docstrings_that_describe_every_argument(module: str) -> None:
    for name, value in documented(module):
        text = inspect.getdoc(value) or ""
        assert text.strip(), name
        assert not text.startswith(f"{getattr(value, '__name__', '')}("), (
            f"{name}: of the dataclass"
        )
    assert {
        name: missing for name, value in documented(module) if (missing := undescribed(value))
    } == {}


def test_the_arguments_of_a_base_class_are_described_where_a_class_is(site: Path) -> None:
    page = text_of(site / "reference" / "python" / "sklearn.html")
    assert page.count("Name of the recurrent model, see") == 2


def test_an_argument_without_description_is_found() -> None:
    def scale(values: list[float], factor: float) -> None:
        """Scale.

        Args:
            values: Numbers.
        """

    assert undescribed(scale) == ["factor"]


def test_every_hook_is_in_the_guide_and_in_the_reference(site: Path) -> None:
    guide = (DOCS / "plugins.md").read_text(encoding="utf-8")
    page = text_of(site / "reference" / "hooks.html")
    hooks = [name for name in vars(hookspecs) if name.startswith("zoo_")]
    assert len(hooks) >= 9
    for name in hooks:
        assert f"def {name}(" in guide, name
        assert inventory(site)[f"zoo.hookspecs.{name}"] == "reference/hooks.html"
    for field in ("causal", "monitor", "suggest", "default", "tasks"):
        assert f" {field}: " in page, field


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("models", records.ModelInfo), ("tasks", records.TaskInfo),
        ("optimizers", records.OptimizerInfo), ("schedules", records.SchedulerInfo),
        ("callbacks", records.CallbackInfo), ("metrics", records.MetricInfo),
    ],
)  # fmt: skip
def test_every_option_is_in_the_reference(
    page: str, kind: type[records.Record], site: Path, registry: Registry
) -> None:
    text = text_of(site / "reference" / f"{page}.html")
    declared = registry.declarations(kind)
    assert declared
    for record in declared:
        assert record.summary in text
        for option in record.options.values():
            assert f"{option.name}{option.described}, default" in text, option.name
            assert option.help in text


def test_every_recipe_is_in_the_reference_with_its_settings(site: Path, registry: Registry) -> None:
    text = text_of(site / "reference" / "recipes.html")
    for recipe in registry.all(records.Recipe):
        assert f"{recipe.name} " in text
        for key in recipe.settings:
            assert f"{key}=" in text


def test_the_search_index_has_every_page_and_the_words_of_the_tutorials(site: Path) -> None:
    script = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(script.removeprefix("Search.setIndex(").rstrip().removesuffix(")"))
    pages = {
        page.relative_to(DOCS).with_suffix("").as_posix()
        for page in DOCS.rglob("*.md") if not page.relative_to(DOCS).as_posix().startswith("_")
    }  # fmt: skip
    assert set(index["docnames"]) == pages
    found = index["terms"]["spam"]
    numbers = [found] if isinstance(found, int) else found
    assert "own-data" in {index["docnames"][number] for number in numbers}


def test_every_built_version_is_listed_and_the_latest_one_opens(tmp_path: Path) -> None:
    for version in ("0.9.0", "0.10.0", "0.2.0"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "index.html").touch()
    module_of_docs("build_site.py").list_versions(tmp_path)
    script = (tmp_path / "versions.js").read_text(encoding="utf-8")
    assert script == 'showVersions(["0.10.0", "0.9.0", "0.2.0"]);\n'
    assert 'url=0.10.0/index.html"' in (tmp_path / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("own-data.md#files", "own-data.md#files"),
        ("../SECURITY.md", "vulnerabilities.md"),
        ("../README.md#recipes", "index.md#recipes"),
        ("../examples/zoo-mgu/zoo_mgu/model.py", "examples.md#zoo-mgu"),
        ("../zoo/nn.py", "https://github.com/seqzoo/zoo/tree/main/zoo/nn.py"),
        ("https://example.org/", "https://example.org/"),
    ],
)
def test_links_out_of_the_documentation_lead_to_what_the_site_has(link: str, expected: str) -> None:
    with_links = module_of_docs("_ext/outside_pages.py").with_links
    text = "See [this]({}).\n\n```text\n[code](../SECURITY.md)\n```\n"
    assert with_links(text.format(link), "docs/a.md", "a") == text.format(expected)
