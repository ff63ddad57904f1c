"""Build the documentation site: ``python docs/build_site.py [FOLDER]``, by default ``build/docs``.

A site is built into a folder of its version, so that those of several versions lie side by side:
check another version out, build it into the same folder, and every page lists it.
``FOLDER/index.html`` leads to the latest one. Everything opens from disk.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from packaging.version import Version
from sphinx.cmd.build import main as sphinx_build

import zoo

DOCS = Path(__file__).parent
FOLDER = DOCS.parent / "build" / "docs"


def build(folder: Path) -> int:
    """Build the site of this version and list all versions.

    Args:
        folder: Where the sites of all versions lie.

    Returns:
        The exit code of Sphinx: not 0 where there was a warning.
    """
    site = folder / zoo.__version__
    # The reference depends on docstrings and records, so that nothing of an earlier build is used.
    options = ["--fresh-env", "--fail-on-warning", "--keep-going", "--quiet"]
    code = sphinx_build([*options, "-d", str(folder / ".doctrees"), str(DOCS), str(site)])
    if (site / "index.html").exists():
        list_versions(folder)
    return int(code)


def list_versions(folder: Path) -> None:
    """Write ``versions.js``, which every page reads, and a first page that leads to the latest."""
    names = [page.parent.name for page in folder.glob("*/index.html")]
    names.sort(key=Version, reverse=True)
    (folder / "versions.js").write_text(f"showVersions({json.dumps(names)});\n", encoding="utf-8")
    latest = f"{names[0]}/index.html"
    (folder / "index.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>zoo</title>'
        f'<meta http-equiv="refresh" content="0; url={latest}"><a href="{latest}">zoo</a></html>\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    result = build(target)
    sys.stdout.write(f"{target / 'index.html'}\n")
    sys.exit(result)
