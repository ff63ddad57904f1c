"""Failures of plugins during a training or an evaluation, in one line that names the plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from zoo.discovery import described
from zoo.errors import PluginError, ZooError
from zoo.interfaces import Step
from zoo.records import Record

# What torch says where memory is missing; it has no class of its own for that on the CPU.
_NO_MEMORY = ("can't allocate memory", "out of memory", "Storage size calculation overflowed")


@contextmanager
def naming_plugin(who: str, where: Callable[[], str] = str, fix: str = "") -> Iterator[None]:
    """Turn what the code of a plugin raises into a PluginError that names it.

    Errors of zoo pass, and so does missing memory, which is no fault of the plugin.

    Args:
        who: What of which plugin is called.
        where: Says where the training is; called after a failure only.
        fix: What the user can do about it.

    Raises:
        PluginError: Anything else was raised, also an attempt to end the process.
        MemoryError: Memory is missing.
    """
    try:
        yield
    except (ZooError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        why = described(error)
        if isinstance(error, RuntimeError) and any(text in why for text in _NO_MEMORY):
            raise MemoryError(f"{who}: {why}") from error
        raise PluginError(f"{who} failed", where=where(), why=why, fix=fix) from error


def named(record: Record, part: str) -> str:
    """Return what a message calls a part of a plugin, such as the step of a task."""
    installed = record.plugin is not None and record.plugin.distribution
    plugin = f" ({record.plugin})" if installed else ""
    return f"{part} of {record.kind} {record.name!r}{plugin}"


def check_step(step: object, task: str) -> None:
    """Refuse what a task must not return for a training batch.

    Args:
        step: What it returned.
        task: What a message calls it.

    Raises:
        PluginError: It is no Step, or its loss is no number that can be back-propagated.
    """
    why = ""
    if not isinstance(step, Step):
        why = f"it is a {type(step).__name__}, not a zoo.interfaces.Step"
    elif not isinstance(step.loss, torch.Tensor):
        why = f"its loss is a {type(step.loss).__name__}, not a tensor"
    elif step.loss.numel() != 1:
        why = f"its loss has the shape {tuple(step.loss.shape)} and must be a scalar"
    elif not step.loss.is_floating_point():
        why = f"its loss is {str(step.loss.dtype).removeprefix('torch.')}, not floating point"
    elif not step.loss.requires_grad:
        why = "its loss does not depend on parameters: it has no gradient"
    if why:
        raise PluginError(f"{task} returned what cannot be trained on", why=why)
