"""The records that settings such as ``training.optimizer`` choose by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from zoo.errors import did_you_mean
from zoo.options import options_of
from zoo.records import Record
from zoo.registry import Registry

R = TypeVar("R", bound=Record)


class Choices:
    """Models, an optimizer and a schedule, as presets and then the user choose them.

    Presets are the settings of a recipe, or of a task. They may set options that the chosen
    record lacks, because they were written for another one: see :meth:`excuses`.

    Args:
        registry: What is installed.
        presets: Settings below those of the user; later ones are above earlier ones.
        given: The settings of the user.
        prefer: Distributions whose record a name of the presets or a default one means, where
            several plugins declare it.
        any_lack_is_excused: Whether presets may set what the chosen record lacks and any other
            one of its kind has (a task knows no model), or only what the one has that the
            presets choose and the user replaces (a recipe names them all).

    Attributes:
        problems: What is wrong with the names that the user gives.
        wrong_presets: What is wrong with the names of the presets.
    """

    def __init__(
        self,
        registry: Registry,
        presets: Sequence[Mapping[str, object]],
        given: Mapping[str, object],
        *,
        prefer: Sequence[str],
        any_lack_is_excused: bool,
    ) -> None:
        self._prefer = prefer
        self._registry, self._presets, self._given = registry, presets, given
        self._any = any_lack_is_excused
        self.problems: list[str] = []
        self.wrong_presets: list[str] = []
        self._replaced: set[str] = set()
        self._elsewhere: set[str] = set()

    def get(self, kind: type[R], key: str, default: str) -> R:
        """Return the record of the user's choice, of the presets' or the default one."""
        bare = key.rpartition(".")[2]
        before = default
        for preset in self._presets:
            before = str(preset.get(bare, preset.get(key, before)))
        given = self._given.get(bare, self._given.get(key))
        name = before if given is None else str(given)
        if not self._registry.has(kind, name):
            near = did_you_mean(name, self._registry.names(kind))
            is_given = given is not None or name == default
            problems = self.problems if is_given else self.wrong_presets
            problems.append(f"{bare}: no {kind.kind} {name!r}{near}")
            name, given = default, None  # Other settings are checked all the same.
        if name != before and self._registry.has(kind, before):
            replaced = self._registry.declaration(kind, before, prefer=self._prefer)
            self._replaced |= replaced.options.keys()
        found = self._registry.get(kind, name, prefer=self._prefer if given is None else ())
        self.add(found)
        return found

    def add(self, chosen: Record) -> None:
        """Add a record that is chosen by other means than a setting."""
        others = {
            name for other in self._registry.declarations(type(chosen)) for name in other.options
        }
        self._elsewhere |= others - options_of(chosen.options).keys()

    def excuses(self, key: str, unknown: bool) -> bool:
        """Return whether a preset may be left out.

        Args:
            key: Its key.
            unknown: Whether there is no such option; if not, its value is not allowed.
        """
        section, _, name = key.rpartition(".")
        if section == "task":
            return False
        if self._any:
            return name in (self._elsewhere if unknown else self._replaced)
        return section != "model" and name in self._replaced
