"""Several runs side by side: scores, the settings that differ, curves."""

from __future__ import annotations

from collections.abc import Sequence

from zoo_report.charts import COLOURS, intervals
from zoo_report.curves import curve, figure, logged, thinned
from zoo_report.evidence import Evidence
from zoo_report.parts import Figure, Note, Part, Section, Table, number, setting
from zoo_report.reproduce import seconds
from zoo_report.scores import interval, is_score


def sections(runs: Sequence[Evidence], names: Sequence[str]) -> list[Section]:
    """Return what several runs have in common and what not.

    Args:
        runs: The runs.
        names: What each is called on the page.
    """
    return [
        section for section in (scores(runs, names), settings(runs, names), curves(runs, names))
        if section is not None
    ]  # fmt: skip


def scores(runs: Sequence[Evidence], names: Sequence[str]) -> Section | None:
    """Return the scores of runs beside one another; None where none has any."""
    measured = [(name, run) for name, run in zip(names, runs, strict=True) if run.split]
    if not measured:
        return None
    parts: list[Part] = []
    monitors = {run.monitor for _, run in measured}
    if len(monitors) == 1:
        (monitor,) = monitors
        shown = [
            interval(name, run, index)
            for index, (name, run) in enumerate(zip(names, runs, strict=True))
            if run.split and monitor in run.metrics
        ]
        label = monitor.replace("_", " ")
        title = f"{label}: " + ", ".join(f"{each.name} {each.value:.4g}" for each in shown)
        parts.append(
            Figure(
                f"{label[:1].upper()}{label[1:]}",
                intervals(shown, title=title, x_label=label),
                "Lines are 95 % intervals of each run by itself. Two runs on the same examples may "
                "differ significantly although they overlap.",
            )
        )
    metrics = [
        key for key in dict.fromkeys(key for _, run in measured for key in run.metrics)
        if any(is_score(key, run.metrics.get(key), run.metrics) for _, run in measured)
    ]  # fmt: skip
    rows = [["part"] + [run.split for _, run in measured]]
    rows += [[key.replace("_", " "), *(_cell(run, key) for _, run in measured)] for key in metrics]
    rows += [[name, *values] for name, values in _efforts(measured).items()]
    head = ["metric", *(name for name, _ in measured)]
    parts.append(Table("Scores", head, rows, is_wide=True))
    digests = {(run.split, run.metrics.get("data_sha256")) for _, run in measured}
    if len(digests) > 1:
        parts.append(
            Note(
                "These scores are of different data or different parts of it: they say little "
                "about which run is better."
            )
        )
    return Section("Scores side by side", parts)


def settings(runs: Sequence[Evidence], names: Sequence[str]) -> Section:
    """Return a table of the settings that are not the same in all runs."""
    found = []
    for run in runs:
        about = {
            "name": run.config["name"],
            "data": run.config["data"] or "sample",
            "seed": run.config["seed"],
            "init": run.config["init"],
            "optimizer": run.config["optimizer"]["name"],
            "schedule": run.config["scheduler"]["name"],
        }
        flat = run.run.settings
        found.append(about | {k: v for k, v in flat.items() if k not in _REPEATED})
    keys = dict.fromkeys(key for values in found for key in values)
    rows = []
    for key in keys:
        given = [values.get(key) for values in found]
        if all(key in values and values[key] == given[0] for values in found):
            continue
        cells = [setting(values[key], 80) if key in values else "-" for values in found]
        if len(set(cells)) == 1:  # They differ in what is not shown.
            cells = [str(value) for value in given]
        rows.append([key, *cells])
    if not rows:
        return Section("Settings that differ", [Note("All settings are the same.")])
    head = ["setting", *names]
    return Section("Settings that differ", [Table("", head, rows, is_text=True, is_wide=True)])


# They are the names of the optimizer and of the schedule.
_REPEATED = ("training.optimizer", "training.schedule")


def curves(runs: Sequence[Evidence], names: Sequence[str]) -> Section | None:
    """Return the validation curves of runs in common charts; None where none was evaluated."""
    rows = [thinned(logged(run.run, "evaluation")) for run in runs]
    parts: list[Part] = []
    for metric in dict.fromkeys(("loss", *(run.monitor for run in runs))):
        drawn = [
            line for index, (run, name, logs) in enumerate(zip(runs, names, rows, strict=True))
            if (line := curve(name, logs, metric, index, run.saves_last)) is not None
        ]  # fmt: skip
        if drawn:
            parts.append(figure(metric, drawn))
    if not parts:
        return None
    if len(runs) > COLOURS:
        parts.append(Note(f"Colours repeat after {COLOURS} runs."))
    return Section("Validation by step", parts)


def _cell(run: Evidence, key: str) -> str:
    value = run.metrics.get(key)
    if not is_score(key, value, run.metrics):
        return "-"
    low, high = run.metrics.get(f"{key}_low"), run.metrics.get(f"{key}_high")
    text = number(value) if isinstance(value, int | float) else "-"
    return text if low is None or high is None else f"{text} ({number(low)} to {number(high)})"


def _efforts(measured: Sequence[tuple[str, Evidence]]) -> dict[str, list[str]]:
    """Return sizes and times of runs, by what they are."""
    found: dict[str, list[str]] = {"parameters": [], "training": []}
    for _, run in measured:
        assert run.model is not None
        count = sum(parameter.numel() for parameter in run.model.module.parameters())
        found["parameters"].append(f"{count:,}")
        times = run.run.history.get("seconds")
        found["training"].append(seconds(times[-1]) if times else "-")
    return found
