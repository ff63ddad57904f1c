"""The documentation site builds; its reference has every public name, hook and option."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browser import browser as browser
from browser import overflow, page_at
from test_docstrings import MODULES, module_of_docs, public_names

import zoo
from zoo import hookspecs, records
from zoo.registry import Registry

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
pytest.importorskip("sphinx", reason="needs the extra 'docs'")


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


def text_of(page: Path) -> str:
    """Return the text of an HTML page, one space between words."""
    texts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = texts.append  # type: ignore[assignment, method-assign]
    parser.feed(page.read_text(encoding="utf-8"))
    return " ".join("".join(texts).split())


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    found = inventory(site)
    wanted = {f"{module}.{name}" for module in MODULES for name in public_names(module)}
    assert sorted(wanted - set(found)) == []


def test_the_arguments_of_a_base_class_are_described_where_a_class_is(site: Path) -> None:
    page = text_of(site / "reference" / "python" / "sklearn.html")
    assert page.count("Name of the recurrent model, see") == 2


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
            assert option.help.replace("`", "") in text


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


def test_the_search_works_in_a_site_that_is_opened_from_disk(site: Path, browser: Any) -> None:
    with page_at(browser, (site / "index.html").as_uri()) as page:
        page.keyboard.press("Control+k")
        page.keyboard.type("majority")
        page.keyboard.press("Enter")
        result = page.get_by_role("link", name="Data of your own", exact=True)
        result.wait_for()
        result.click()
        assert page.title() == f"Data of your own — zoo {zoo.__version__}"
        assert page.problems == []


def test_another_version_can_be_chosen_in_a_site_that_is_opened_from_disk(
    site: Path, browser: Any, tmp_path: Path
) -> None:
    for version in (zoo.__version__, "0.0.1"):
        shutil.copytree(site, tmp_path / version)
    module_of_docs("build_site.py").list_versions(tmp_path)
    with page_at(browser, (tmp_path / "index.html").as_uri()) as page:
        page.wait_for_url(f"**/{zoo.__version__}/index.html")
        page.get_by_label("Version of zoo").first.select_option("0.0.1")
        page.wait_for_url("**/0.0.1/index.html")
        assert page.problems == []


@pytest.mark.parametrize(
    "name",
    ["index", "own-data", "results", "reference/recipes", "reference/python/records", "cli"],
)
def test_pages_fit_a_small_screen_and_follow_the_colour_scheme(
    name: str, site: Path, browser: Any
) -> None:
    url = (site / f"{name}.html").as_uri()
    for width in (390, 1440):
        colours = set()
        for dark in (False, True):
            with page_at(browser, url, width, dark=dark) as page:
                assert overflow(page) == 0
                assert page.problems == []
                colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert len(colours) == 2


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
