"""Directives for the reference of what is installed: options of each record, recipes, data sets.

``{zoo-options} model`` documents the records of a kind, ``{zoo-options} training`` the options of
every training, ``{zoo-recipes}`` the recipes and ``{zoo-datasets}`` the data sets. All of them are
read from the registry when the site is built.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.std import StandardDomain
from sphinx.util.docutils import SphinxDirective

from zoo import records
from zoo.discovery import Declaration
from zoo.installed import registry
from zoo.options import options_of
from zoo.values import Option

KINDS: Mapping[str, type[records.Record]] = {
    kind.kind: kind
    for kind in (
        records.ModelInfo, records.TaskInfo, records.OptimizerInfo, records.SchedulerInfo,
        records.CallbackInfo, records.MetricInfo,
    )
}  # fmt: skip


class OptionsDirective(SphinxDirective):
    """``{zoo-options} KIND``: every record of a kind and its options."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        kind = self.arguments[0]
        if kind == "training":
            from zoo.spec import TrainingOptions

            return option_list(options_of(TrainingOptions).values())
        return [
            section(self, kind, found.name, [*_facts(found), *option_list(found.options.values())])
            for found in registry().declarations(KINDS[kind])
        ]


def _facts(found: Declaration) -> list[nodes.Node]:
    """Return the summary of a record and what else is declared of it."""
    facts: list[nodes.Node] = [paragraph(nodes.Text(f"{found.summary}."))]
    if found.kind == "model":
        causal = "Causal: an output depends on earlier steps alone."
        facts.append(paragraph(nodes.Text(
            causal if found.facts["causal"] else "Not causal: an output depends on the whole row."
        )))  # fmt: skip
    if found.kind == "task":
        way = "higher" if found.facts["higher_is_better"] else "lower"
        needs = " Needs a causal model." if found.facts["needs_causal"] else ""
        if found.facts["needs_bidirectional"]:
            needs = " Needs a bidirectional model."
        facts.append(paragraph(
            nodes.Text("The best weights are those with the "),
            nodes.Text("highest " if way == "higher" else "lowest "),
            literal(found.facts["monitor"]), nodes.Text(f" on the validation part.{needs}"),
        ))  # fmt: skip
    for part, submodel in found.facts.get("submodels", {}).items():
        facts.append(paragraph(
            literal(part), nodes.Text(": another model of the network, by default "),
            literal(submodel["default"]), nodes.Text(f". {submodel['summary']}."),
        ))  # fmt: skip
    if found.facts.get("tasks"):
        facts.append(paragraph(nodes.Text(f"Of the tasks {', '.join(found.facts['tasks'])}.")))
    if found.facts.get("default"):
        facts.append(paragraph(
            literal("zoo train"), nodes.Text(" adds it unless it is given "),
            literal(f"--no-{found.name}"), nodes.Text("."),
        ))  # fmt: skip
    if found.plugin:
        facts.append(paragraph(nodes.Text(f"Plugin: {found.plugin.name} ({found.plugin}).")))
    if not found.options:
        facts.append(paragraph(nodes.Text("It has no options.")))
    return facts


def option_list(options: Iterable[Option]) -> list[nodes.Node]:
    """Return options as a definition list: name, type, default, bounds and meaning."""
    items = []
    for option in options:
        facts = [option.described, f"default {value_text(option.default)}"]
        facts += [f"at least {option.minimum:,.12g}"] if option.minimum is not None else []
        facts += [f"at most {option.maximum:,.12g}"] if option.maximum is not None else []
        facts += [f"one of {', '.join(option.choices)}"] if option.choices else []
        items.append(item([literal(option.name)], ", ".join(facts), option.help))
    return [nodes.definition_list("", *items, classes=["options"])] if items else []


class RecipesDirective(SphinxDirective):
    """``{zoo-recipes}``: every recipe, with the settings that differ from the defaults."""

    def run(self) -> list[nodes.Node]:
        return [section(self, "recipe", each.name, self._recipe(each)) for each in recipes()]

    def _recipe(self, recipe: records.Recipe) -> list[nodes.Node]:
        facts: list[tuple[str, Sequence[nodes.Node]]] = [
            ("Task", [self._link("task", recipe.task)]),
            ("Model", [self._link("model", recipe.model)]),
            ("Data", [self._link("dataset", recipe.data) if recipe.data
                      else nodes.Text("the sample that the task carries")]),
        ]  # fmt: skip
        if recipe.weights:
            facts.append(("Weights", [nodes.Text(f"{recipe.weights.bytes:,} bytes, SHA-256 "),
                                      literal(recipe.weights.sha256)]))  # fmt: skip
        for key, value in recipe.metrics.items():
            facts.append((f"Measured {key}", [literal(value_text(value))]))
        return [
            paragraph(nodes.Text(f"{recipe.summary}.")), field_list(facts),
            paragraph(nodes.Text("Settings that differ from the defaults:" if recipe.settings
                                 else "All settings are the defaults.")),
            *_settings(recipe.settings),
        ]  # fmt: skip

    def _link(self, kind: str, name: str) -> nodes.Node:
        """Return a link to a record; one that does not exist is a warning of the build."""
        link = pending_xref(
            "", literal(name), refdomain="std", reftype="ref", refexplicit=True, refwarn=True,
            reftarget=label(kind, name), refdoc=self.env.docname,
        )  # fmt: skip
        self.set_source_info(link)
        return link


def recipes() -> list[records.Recipe]:
    """Return the recipes by name."""
    return registry().all(records.Recipe)


def _settings(settings: Mapping[str, Any]) -> list[nodes.Node]:
    lines = [nodes.list_item("", paragraph(literal(f"{key}={value_text(value)}")))
             for key, value in settings.items()]  # fmt: skip
    return [nodes.bullet_list("", *lines, classes=["settings"])] if lines else []


class DatasetsDirective(SphinxDirective):
    """``{zoo-datasets}``: every data set that can be downloaded."""

    def run(self) -> list[nodes.Node]:
        return [
            section(self, "dataset", found.name, [
                paragraph(nodes.Text(f"{found.summary}.")),
                field_list([
                    ("Address", [nodes.reference("", found.url, refuri=found.url)]),
                    ("Bytes", [nodes.Text(f"{found.bytes:,}")]),
                    ("SHA-256", [literal(found.sha256)]),
                ]),
            ])
            for found in registry().all(records.DatasetInfo)
        ]  # fmt: skip


def label(kind: str, name: str) -> str:
    """Return the label under which a record is linked."""
    return str(nodes.make_id(f"{kind}-{name}"))


def section(
    directive: SphinxDirective, kind: str, name: str, content: Sequence[nodes.Node]
) -> nodes.section:
    """Return a section about a record, which :func:`label` names."""
    identifier = label(kind, name)
    made = nodes.section("", nodes.title("", "", literal(name)), *content, ids=[identifier])
    domain = cast(StandardDomain, directive.env.get_domain("std"))
    domain.note_hyperlink_target(identifier, directive.env.docname, identifier, name)
    return made


def value_text(value: object) -> str:
    """Return a value as it is written after ``--set``."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(value_text(each) for each in value) or "(empty)"
    return str(value) if value != "" else "(empty)"


def literal(text: str) -> nodes.literal:
    """Return text in the typeface of code."""
    return nodes.literal("", text)


def paragraph(*content: nodes.Node) -> nodes.paragraph:
    """Return a paragraph."""
    return nodes.paragraph("", "", *content)


def item(term: Sequence[nodes.Node], facts: str, text: str) -> nodes.definition_list_item:
    """Return a definition: a term with facts beside it, and a text below it."""
    return nodes.definition_list_item(
        "", nodes.term("", "", *term, nodes.inline("", facts, classes=["facts"])),
        nodes.definition("", paragraph(*with_code(text))),
    )  # fmt: skip


def with_code(text: str) -> list[nodes.Node]:
    """Return text in which what stands between backticks is code."""
    return [literal(part) if number % 2 else nodes.Text(part)
            for number, part in enumerate(text.split("`"))]  # fmt: skip


def field_list(facts: Iterable[tuple[str, Sequence[nodes.Node]]]) -> nodes.field_list:
    """Return a list of names and what they are."""
    return nodes.field_list("", *(
        nodes.field("", nodes.field_name("", name), nodes.field_body("", paragraph(*content)))
        for name, content in facts
    ))  # fmt: skip


def use_own_plugins(app: Sphinx) -> None:
    """Document what ships with zoo, whatever else is installed."""
    del app
    points = importlib.metadata.distribution("seqzoo").entry_points.select(group="zoo")
    os.environ["ZOO_PLUGINS"] = ",".join(point.name for point in points)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.connect("builder-inited", use_own_plugins)
    app.add_directive("zoo-options", OptionsDirective)
    app.add_directive("zoo-recipes", RecipesDirective)
    app.add_directive("zoo-datasets", DatasetsDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
