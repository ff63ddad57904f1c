"""New plugin packages from templates."""

from __future__ import annotations

import datetime
import keyword
import re
from pathlib import Path

from zoo import __version__
from zoo.errors import DiskError, UsageError, listed

TEMPLATES = Path(__file__).with_name("templates")
KINDS = ("model", "task", "plugin")
_TRY = {
    "model": "zoo train sentiment/{name} --epochs 1",
    "task": "zoo train {name}/lstm --epochs 3",
    "plugin": "zoo train sample-lstm --epochs 1 --callback {name}",
}


def create(kind: str, name: str, out: Path) -> list[Path]:
    """Write a package that works as it is: module, tests, README, licence, CI file.

    Args:
        kind: ``model``, ``task`` or ``plugin`` (a callback and a command).
        name: What users will type: lower case, digits and hyphens.
        out: The folder that the package's folder ``zoo-NAME`` is made in.

    Returns:
        The files, relative to ``out``.

    Raises:
        UsageError: The name cannot be one, or the folder exists.
        DiskError: It cannot be written.
    """
    import jinja2

    if kind not in KINDS:
        raise UsageError(f"no template {kind!r}", fix=f"choose {listed(KINDS)}")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > 50:
        raise UsageError(f"{name!r} cannot be a name", fix="use lower case, digits and hyphens")
    module = "zoo_" + name.replace("-", "_")
    assert not keyword.iskeyword(module)
    folder = out / f"zoo-{name}"
    if folder.exists():
        raise UsageError("the folder exists", where=str(folder), fix="choose another name or --out")
    major, minor = __version__.split(".")[:2]
    values = {
        "name": name,
        "module": module,
        "distribution": f"zoo-{name}",
        "class_name": "".join(part.capitalize() for part in name.split("-")),
        "title": f"{name.replace('-', ' ').capitalize()}, a {kind}",
        "try": _TRY[kind].format(name=name),
        "version": f"{major}.{minor}",
        "next_version": f"{major}.{int(minor) + 1}",
        "year": datetime.datetime.now(datetime.UTC).year,
    }
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    written = []
    try:
        for source in ("common", kind):
            for template in sorted((TEMPLATES / source).rglob("*.jinja")):
                relative = template.relative_to(TEMPLATES / source).with_suffix("")
                target = environment.from_string(str(relative)).render(values)
                path = folder / target.replace("__module__", module)
                path.parent.mkdir(parents=True, exist_ok=True)
                text = environment.from_string(template.read_text(encoding="utf-8")).render(values)
                path.write_text(text, encoding="utf-8")
                written.append(path.relative_to(out))
    except OSError as error:
        raise DiskError("cannot write the package", where=str(folder), why=str(error)) from error
    return sorted(written)
