"""``zoo show``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import completion, options
from zoo.cli.kinds import KINDS, declared
from zoo.cli.output import echo_columns, echo_json, format_value
from zoo.discovery import Declaration
from zoo.errors import ZooError
from zoo.options import options_of
from zoo.records import DatasetInfo, Recipe
from zoo.registry import Registry
from zoo.values import Option

if TYPE_CHECKING:
    from zoo.spec import Component


@click.command(
    epilog="""\b
Examples:
  zoo show imdb-bilstm
  zoo show lstm
  zoo show sentiment/gru --json
  zoo show adamw
"""
)
@click.argument("name", shell_complete=completion.every_name)
@options.as_json
def command(name: str, as_json: bool) -> None:
    """Show a recipe, TASK/MODEL or any other name, with its options.

    NAME is what `zoo list` lists, of any kind: a task, a model, an optimizer ...
    """
    from zoo.errors import UsageError, did_you_mean
    from zoo.installed import registry

    known = registry()
    bare = name.rpartition(":")[2]  # A name is also found as DISTRIBUTION:NAME.
    kinds = [kind for kind in KINDS.values() if known.has(kind, bare)]
    if "/" in name or known.has(Recipe, name):
        document = _run(name, known)
    elif kinds:
        document = _record(declared(kinds[0], name, known))
        for other in kinds[1:]:
            click.echo(f"note: there is also a {other.kind} {bare!r}", err=True)
    else:
        every = [found for kind in KINDS.values() for found in known.names(kind)]
        raise UsageError(f"no {name!r}{did_you_mean(name, every)}", fix="see `zoo list`")
    if as_json:
        echo_json(document)
    else:
        _echo(document)


def _run(name: str, known: Registry) -> dict[str, Any]:
    """Return what is shown of a recipe or TASK/MODEL; ``run`` is the JSON form of its RunSpec."""
    from zoo.settings import find_recipe, resolve
    from zoo.spec import TrainingOptions

    recipe = find_recipe(name, known)
    spec = resolve(name, known, initial=_initial(recipe, known))
    run = spec.to_json()
    components: dict[str, Component[Any]] = {
        "model": spec.network.model, "task": spec.network.task, **spec.network.submodels,
        "optimizer": spec.optimizer, "scheduler": spec.scheduler,
    }  # fmt: skip
    sections = {
        section: _options(options_of(part.info.options), part.to_json()["options"])
        for section, part in components.items()
    }
    sections["training"] = _options(options_of(TrainingOptions), run["training"])
    return {
        "name": name,
        "kind": "recipe",
        "summary": recipe.summary,
        "task": recipe.task,
        "model": recipe.model,
        "submodels": {
            part: {"model": chosen.info.name, "summary": spec.task.submodels[part].summary}
            for part, chosen in spec.network.submodels.items()
        },
        "data": recipe.data or "sample",
        "init": recipe.init,
        "metrics": dict(recipe.metrics),
        "weights": asdict(recipe.weights) if recipe.weights else None,
        "options": sections,
        "run": run,
    }


def _initial(recipe: Recipe, known: Registry) -> Mapping[str, object]:
    """Return the settings that a recipe has of the weights that it starts from."""
    if not recipe.init:
        return {}
    try:
        from zoo.api.initial import settings_of_recipe

        return settings_of_recipe(recipe.name, known)
    except (ZooError, ModuleNotFoundError) as error:
        click.echo(f"warning: settings of {recipe.init} are not shown: {error}", err=True)
        return {}


def _record(record: Recipe | DatasetInfo | Declaration) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": record.name, "kind": record.kind, "summary": record.summary,
    }  # fmt: skip
    if isinstance(record, DatasetInfo):
        place = {"file": record.file} if record.file else {"url": record.url}
        document |= {**place, "sha256": record.sha256, "bytes": record.bytes}
    elif isinstance(record, Declaration):
        shown = (
            "causal", "needs_causal", "needs_bidirectional", "monitor", "suffix", "tasks",
        )  # fmt: skip
        document |= {key: record.facts[key] for key in shown if key in record.facts}
    if record.plugin:
        plugin = record.plugin
        document["plugin"] = {
            "name": plugin.name, "distribution": plugin.distribution, "version": plugin.version,
        }  # fmt: skip
    if isinstance(record, Declaration):
        if submodels := record.facts.get("submodels"):
            document["submodels"] = {
                part: {"model": submodel["default"], "summary": submodel["summary"]}
                for part, submodel in submodels.items()
            }
        document["options"] = {record.kind: _options(record.options, {})}
    return document


def _options(declared: Mapping[str, Option], values: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("default", "help", "choices", "minimum", "maximum")
    return {
        name: {key: getattr(option, key) for key in keys}
        | {"type": option.described, "value": values.get(name, option.default)}
        for name, option in declared.items()
    }


def _echo(document: Mapping[str, Any]) -> None:
    keys = (
        "name", "kind", "summary", "task", "model", "data", "init", "causal", "monitor", "suffix",
        "url",
        "file", "sha256", "bytes",
    )  # fmt: skip
    facts = [(key, str(document[key])) for key in keys if document.get(key) not in (None, "")]
    for part, submodel in document.get("submodels", {}).items():
        facts.append((part, f"{submodel['model']}: {submodel['summary']}"))
    if tasks := document.get("tasks"):
        facts.append(("tasks", ", ".join(tasks)))
    if plugin := document.get("plugin"):
        facts.append(("plugin", f"{plugin['name']} ({plugin['distribution']} {plugin['version']})"))
    for key, value in document.get("metrics", {}).items():
        facts.append((f"measured {key}", str(value)))
    echo_columns(facts)
    for section, known in document.get("options", {}).items():
        if not known:
            continue
        click.echo(f"\n{section} options")
        rows = []
        for key, option in known.items():
            text = option["help"]
            if option["choices"]:
                text += f" [{', '.join(option['choices'])}]"
            value, default = format_value(option["value"]), format_value(option["default"])
            if value != default:
                text += f" (default {default})"
            rows.append((key, value, text))
        echo_columns(rows, indent="  ")
