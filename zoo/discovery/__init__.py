"""From entry points to plugins, and what each declares, without importing those that are known."""

from zoo.discovery.checks import check
from zoo.discovery.declarations import Declaration, declare
from zoo.discovery.finding import discover
from zoo.discovery.plugins import DeclaredPlugin, Plugin, described, printing_to_stderr

__all__ = [
    "Declaration",
    "DeclaredPlugin",
    "Plugin",
    "check",
    "declare",
    "described",
    "discover",
    "printing_to_stderr",
]
