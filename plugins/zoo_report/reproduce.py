"""What a run was made of and how to make it again: settings, commands, versions, sizes, speed."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping
from statistics import median
from typing import Any

from zoo.api import registry
from zoo.cli.output import format_value
from zoo.records import Recipe
from zoo_report.curves import logged
from zoo_report.evidence import Evidence
from zoo_report.parts import Commands, Facts, Lines, Part, Section, Table, setting, shortened


def about(evidence: Evidence) -> Section:
    """Return what was trained on what, and the settings that differ from the defaults."""
    config = evidence.config
    parts: list[Part] = [
        Facts(
            {
                "task": _named(config["task"]),
                "model": _named(config["model"]),
                **{f"{name} model": _named(part) for name, part in config["submodels"].items()},
                "data": shortened(str(config["data"] or "sample"), 200),
                "seed": str(config["seed"]),
                **({"started from": shortened(config["init"], 200)} if config["init"] else {}),
                "trained": _length(evidence),
            }
        )
    ]
    if evidence.data_lines:
        parts.append(Lines([shortened_line(line) for line in evidence.data_lines], "Data"))
    settings = _settings(evidence)
    if settings is not None:
        rows = [[name, setting(value, 200)] for name, value in settings.items()]
        parts.append(
            Table(
                "Settings chosen for this data or by you",
                ["setting", "value"],
                rows,
                f"The others are those of {config['name']}.",
                is_text=True,
            )
            if rows
            else Facts({"settings": f"those of {config['name']}"})
        )
    return Section("What was trained", parts)


def section(evidence: Evidence) -> Section:
    """Return sizes, speed, versions, and the commands that make the run again."""
    parts: list[Part] = [Facts(_sizes(evidence), "Sizes and speed"), _environment(evidence)]
    if command := _training(evidence):
        parts.append(Commands(command, "The same run again"))
    path = shlex.quote(str(evidence.run.path))
    use = [f"zoo evaluate {path}", f"zoo export {path} -o model.safetensors"]
    if evidence.model is not None and evidence.model.predicts:
        use.insert(0, f'zoo predict {path} "a text"')
    if evidence.model is not None and evidence.model.generates:
        use.insert(0, f"zoo generate {path}")
    parts.append(Commands("\n".join(use), "What to do with it"))
    return Section("Reproduce and use", parts)


def shortened_line(line: str) -> str:
    """Return a line that is aligned in columns, cut where it is very long."""
    return line if len(line) <= 300 else line[:299] + "…"


def seconds(value: float) -> str:
    """Return a duration in words.

    >>> [seconds(each) for each in (0.21, 75, 7300)]
    ['0.2 s', '1 min 15 s', '2 h 1 min']
    """
    if value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _settings(evidence: Evidence) -> Mapping[str, Any] | None:
    return evidence.attempt("the settings that differ", lambda: evidence.run.changed_settings)


def _named(part: Mapping[str, Any]) -> str:
    made_by = f" ({part['distribution']} {part['version']})" if part["distribution"] else ""
    return f"{part['name']}{made_by}"


def _length(evidence: Evidence) -> str:
    steps = evidence.run.history.get("step", [])
    if not steps:
        return "no steps logged"
    training = evidence.config["training"]
    wanted = f" of {training['steps']:,}" if training["steps"] else ""
    epochs = "" if training["steps"] else f", {training['epochs']} epochs asked for"
    reason = evidence.run.stop_reason
    return f"{steps[-1]:,}{wanted} steps{epochs}" + (f"; stopped: {reason}" if reason else "")


def _sizes(evidence: Evidence) -> dict[str, str]:
    found = {}
    if evidence.model is not None:
        count = sum(parameter.numel() for parameter in evidence.model.module.parameters())
        found["parameters"] = f"{count:,}"
        found["weights file"] = f"{evidence.model.path.stat().st_size / 1e6:,.2f} MB"
    lines = evidence.run.history
    if lines.get("seconds"):
        found["training"] = seconds(lines["seconds"][-1])
    rates = [row["rows_per_second"] for row in logged(evidence.run, "train")
             if row.get("rows_per_second")]  # fmt: skip
    if rates:
        found["training speed"] = f"{median(rates):,.0f} rows/s"
    return found


def _environment(evidence: Evidence) -> Facts:
    values = {}
    if evidence.model is not None:
        info = evidence.model.info
        values["zoo"] = str(info.get("zoo", ""))
        values |= {name: str(version) for name, version in info.get("environment", {}).items()}
    values["page made on"] = f"{platform.system()} {platform.machine()}, Python " + (
        platform.python_version()
    )
    values |= {name: str(value) for name, value in registry().environment().items()}
    for entry in evidence.config.get("changes", []):
        key = f"changed from step {entry.get('step', 0):,} on"
        what = [
            f"{each.get('name')} is {each.get('now')} and was {each.get('was')}"
            for each in entry.get("changed", [])
        ]
        values[key] = shortened(", ".join([*filter(None, [values.get(key)]), *what]), 200)
    return Facts(values, "Environment")


def _training(evidence: Evidence) -> str:
    """Return the command that trains the run again; empty where its settings are not known."""
    config, settings = evidence.config, _settings(evidence)
    if settings is None:
        return ""
    processes = evidence.attempt("the number of processes", lambda: evidence.run.num_processes) or 1
    start = f"torchrun --standalone --nproc-per-node={processes} -m " if processes > 1 else ""
    words = [f"{start}zoo train {shlex.quote(config['name'])}"]
    if config["data"]:
        words.append(f"--data {shlex.quote(config['data'])}")
    words += [f"--set {_pair(name, value)}" for name, value in settings.items()]
    words += [f"--metric {shlex.quote(name)}" for name in config["metrics"]]
    words += [f"--callback {shlex.quote(name)}" for name in config["callbacks"]]
    known = registry()
    starts = known.has(Recipe, config["name"]) and known.get(Recipe, config["name"]).init
    if config["init"] or starts:  # Without it, a recipe starts from the weights that it names.
        words.append(f"--init {shlex.quote(config['init'])}")
    words.append(f"--seed {config['seed']}")
    return " \\\n  ".join(words)


def _pair(name: str, value: Any) -> str:
    text = "" if value == "" else format_value(value)
    return shlex.quote(f"{name}={'' if text == repr('') else text}")
