"""Callbacks that follow every training of the command line."""

from __future__ import annotations

from collections.abc import Container

from zoo.building import build_callback
from zoo.installed import default_callback_names, registry
from zoo.interfaces import Callback
from zoo.records import CallbackInfo
from zoo.spec import Component


def default_callbacks(without: Container[str] = ()) -> list[Callback]:
    """Return the callbacks that ``zoo train`` adds, for ``callbacks=`` of :func:`zoo.train`.

    They are those declared with ``default=True``, and have the defaults of their options.

    Args:
        without: Names of those that are left out.

    Raises:
        PluginError: One does not load.
    """
    names = [name for name in default_callback_names() if name not in without]
    found = [registry().get(CallbackInfo, name) for name in names]
    return [build_callback(Component(info, info.options())) for info in found]
