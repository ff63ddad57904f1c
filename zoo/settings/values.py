"""The values of the options of every section of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zoo.deprecation import warn_deprecated
from zoo.errors import did_you_mean
from zoo.values import Option

# What people write elsewhere, to be found where nothing is of that name.
ABBREVIATIONS = {
    "lr": "learning_rate",
    "hidden": "hidden_size",
    "hidden_dim": "hidden_size",
    "bs": "batch_size",
    "batch": "batch_size",
    "layers": "num_layers",
    "n_layers": "num_layers",
    "lr_scheduler": "schedule",
    "scheduler": "schedule",
}


class Values:
    """The values of every section, taken from one source after the other.

    Args:
        sections: The options of each section: task, model, training ...
    """

    def __init__(self, sections: Mapping[str, Mapping[str, Option]]) -> None:
        self._sections = sections
        self._values: dict[str, dict[str, object]] = {section: {} for section in sections}

    def add_presets(
        self, settings: Mapping[str, object], excuses: Callable[[str, bool], bool]
    ) -> list[str]:
        """Take settings of a recipe or a task, in the types that these have.

        Args:
            settings: Values by key.
            excuses: (key, whether the option is unknown) to whether a preset that is wrong is
                left out without a word.

        Returns:
            What is wrong with the others.
        """
        wrong = []
        for key, value in settings.items():
            unknown = True
            try:
                section, found = self._find(key)
                unknown = False
                # TOML has no null: "none" is written as after --set.
                value = None if found.optional and value == "none" else value
                self._values[section][found.name] = found.check(value)
            except ValueError as error:
                if not excuses(key, unknown):
                    wrong.append(f"{key}: {error}")
        return wrong

    def add(self, settings: Mapping[str, object]) -> list[str]:
        """Take the settings of the user, strings are parsed; return what is wrong with them."""
        wrong = []
        for key, value in settings.items():
            try:
                section, found = self._find(key)
                parsed = found.parse(value) if isinstance(value, str) else found.check(value)
                self._values[section][found.name] = parsed
            except ValueError as error:
                wrong.append(f"{key}: {error}")
        return wrong

    def has(self, key: str) -> bool:
        """Return whether a key means one option, by its name of today or an old one."""
        section, dot, bare = key.rpartition(".")
        homes = [section] if dot else list(self._sections)
        return any(
            bare in (option.name, *option.old_names)
            for home in homes
            for option in self._sections.get(home, {}).values()
        )

    def make(self, section: str, cls: Any, problems: list[str]) -> Any:
        """Return the options of a section; or None, and say in ``problems`` why they are wrong."""
        try:
            return cls(**self._values[section])
        except ValueError as error:
            problems.append(f"{section}: {error}")
            return None

    def _find(self, key: str) -> tuple[str, Option]:
        """Return the section and the option that a key means.

        Raises:
            ValueError: There is none, or more than one.
        """
        section, dot, bare = key.rpartition(".")
        sections = [section] if dot else list(self._sections)
        if section == "training":  # Recipes give those of optimizer and schedule there, too.
            sections += ["optimizer", "scheduler"]
        places = [(home, self._sections.get(home, {})) for home in sections]
        found = [(home, declared[bare]) for home, declared in places if bare in declared]
        if not found:
            found = [
                (home, o) for home, declared in places for o in declared.values()
                if bare in o.old_names
            ]  # fmt: skip
            if len(found) == 1:
                _, meant = found[0]
                warn_deprecated(
                    f"option {bare!r}", use=repr(meant.name), since=meant.old_names_since,
                    removed=meant.old_names_removed,
                )  # fmt: skip
        if len(found) == 1:
            return found[0]
        if found:
            dotted = [f"{home}.{o.name}" for home, o in found]
            raise ValueError(f"ambiguous; say {' or '.join(dotted)}")
        known = [name for declared in self._sections.values() for name in declared]
        raise ValueError(f"unknown setting{_did_you_mean(bare, known)}")


def _did_you_mean(name: str, known: list[str]) -> str:
    meant = ABBREVIATIONS.get(name)
    return f" (did you mean {meant!r}?)" if meant in known else did_you_mean(name, known)
