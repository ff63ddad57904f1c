"""From a name and the user's settings to a RunSpec; every bad setting is reported at once."""

from zoo.settings.naming import find_dataset, find_recipe, find_task, names
from zoo.settings.resolving import resolve, task_options

__all__ = ["find_dataset", "find_recipe", "find_task", "names", "resolve", "task_options"]
