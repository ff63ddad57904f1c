"""Checkpoints: one file from which a run resumes with the same bits as if it had never stopped."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel

from zoo.engine.finite import check_parameters, name_not_finite
from zoo.engine.log_window import LogWindow
from zoo.engine.run_directory import RunDirectory
from zoo.engine.state import Scheduler, TrainState
from zoo.errors import WeightsError
from zoo.files import write_atomically
from zoo.formats import (
    FORMAT,
    REQUIRES,
    check_format,
    upgrade_checkpoint,
    upgrade_tensor_name,
)
from zoo.weights.file import digest

KEY = "zoo-checkpoint"
_PAIRS = "complex128"


def save(
    path: Path,
    state: TrainState,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Scheduler,
    averaged: AveragedModel | None,
    window: LogWindow,
    origin: Mapping[str, Any],
) -> None:
    """Write a checkpoint atomically.

    Args:
        path: Where to.
        state: Where the training is.
        network: The network.
        optimizer: Its optimizer.
        scheduler: Its schedule.
        averaged: The moving average of the network, if there is one.
        window: The steps since the last line of the log.
        origin: What was trained and under what, as :mod:`zoo.engine.origin` has it; JSON values.

    Raises:
        DivergedError: A parameter is not finite; the checkpoint that is there stays.
        DiskError: It cannot be written.
    """
    check_parameters(network, state.step)
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    if averaged is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in averaged.state_dict().items()}
    # By parameter name, not by position as in torch, so that a reordered network is no danger.
    for name, parameter in _trainable(network):
        for key, value in optimizer.state[parameter].items():
            tensors[f"optimizer.{name}.{key}"] = torch.as_tensor(value)
    for number, part in enumerate(state.recurrent or ()):
        tensors[f"state.{number}"] = part
    tensors |= {f"window.{name}": value for name, value in window.state_dict().items()}
    tensors["random.cpu"] = torch.get_rng_state()
    device = next(network.parameters()).device
    if device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(device)
    header = {
        "format": FORMAT,
        "requires": REQUIRES,
        "state": state.to_json(),
        "evaluated": state.evaluated,
        "scheduler": _json_values(scheduler.state_dict()),
        "parameter_groups": [_numbers(group) for group in optimizer.param_groups],
        "states": len(state.recurrent or ()),
        **origin,
    }
    # Cloned, because the file format does not allow tensors that share memory.
    plain = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
    # The file format lacks complex128: pairs of float64 stand for it.
    header[_PAIRS] = sorted(n for n, t in plain.items() if t.dtype == torch.complex128)
    plain |= {name: torch.view_as_real(plain[name].resolve_conj()) for name in header[_PAIRS]}
    full = {**header, "digest": digest(header, plain)}
    write_atomically(path, safetensors.torch.save(plain, {KEY: json.dumps(full)}))


def load(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Scheduler,
    averaged: AveragedModel | None,
    window: LogWindow,
    *,
    higher_is_better: bool,
) -> TrainState:
    """Restore everything that :func:`save` wrote and return the state of the training.

    Args:
        path: The checkpoint.
        network: Takes its tensors.
        optimizer: Takes its state.
        scheduler: Takes its state.
        averaged: The moving average of the network, if there is one.
        window: Takes the steps since the last line of the log.
        higher_is_better: Which way the monitored metric improves.

    Raises:
        WeightsError: The file is not a checkpoint of this run, or a parameter is not finite.
    """
    try:
        header, tensors = _read(path)
        state = TrainState(**header["state"])
        # Where it is missing, an evaluation that was due had been made before the checkpoint.
        state.evaluated = int(header.get("evaluated", state.step))
        network.load_state_dict(_with_prefix(tensors, "network."))
        if averaged is not None:
            averaged.load_state_dict(_with_prefix(tensors, "average."))
        for name, parameter in _trainable(network):
            # The step count too: fused optimizers have it beside the parameter.
            optimizer.state[parameter] = {
                key: value.to(parameter.device)
                for key, value in _with_prefix(tensors, f"optimizer.{name}.").items()
            }
        _restore_schedule(header, state, optimizer, scheduler, higher_is_better)
        recurrent = tuple(tensors[f"state.{number}"] for number in range(header["states"]))
        torch.set_rng_state(tensors["random.cpu"])
        device = next(network.parameters()).device
        window.load_state_dict(_with_prefix(tensors, "window."), device)
        if device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], device)
        if name := name_not_finite(network):
            raise ValueError(f"parameter {name} is not finite")
    except (
        safetensors.SafetensorError, OSError, KeyError, ValueError, TypeError,
        RuntimeError,  # What load_state_dict raises where tensors do not fit.
    ) as error:  # fmt: skip
        raise _damaged(path, error) from error
    state.recurrent = tuple(part.to(device) for part in recurrent) or None
    return state


def check_not_lost(directory: RunDirectory) -> None:
    """Refuse to start a run again that has lost its checkpoint: its results would be too.

    Raises:
        WeightsError: It was evaluated more than once.
    """
    kinds = [line["kind"] for line in directory.read_metrics()]
    # The first evaluation is logged before the checkpoint is written, all others after it.
    if kinds.count("evaluation") > 1:
        raise WeightsError(
            "the checkpoint of the run is missing",
            where=str(directory.checkpoint),
            why=f"the run was evaluated {kinds.count('evaluation'):,} times",
            fix="put the file back, or start again in another --out",
        )


def is_complete(directory: RunDirectory) -> bool:
    """Return whether a training came to its end, as its checkpoint says; without one it did not.

    Raises:
        WeightsError: The checkpoint is damaged.
    """
    if not directory.checkpoint.exists():
        return False
    header = read_header(directory.checkpoint)
    state = header.get("state", header.get("position"))  # As it was called in format 1.
    if not isinstance(state, dict):
        raise _damaged(directory.checkpoint, ValueError("the state is no JSON object"))
    return bool(state.get("done"))


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a checkpoint without its tensors; the digest is not checked.

    Raises:
        WeightsError: The file is not a checkpoint.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[KEY])
        if not isinstance(header, dict):
            raise ValueError("the header is no JSON object")
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    check_format(header, str(path))
    return header


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return header and tensors in the form of this version, after checking the digest."""
    with safetensors.safe_open(path, framework="pt") as file:
        header = json.loads((file.metadata() or {})[KEY])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    version = check_format(header, str(path))
    # safetensors itself has no checksum.
    if header["digest"] != digest(header, tensors):
        raise ValueError("digest does not match")
    if version == 1:
        header = upgrade_checkpoint(header)
        tensors = {upgrade_tensor_name(name): tensor for name, tensor in tensors.items()}
    for name in header.get(_PAIRS, ()):  # Copied: complex128 has to start at a multiple of 16.
        tensors[name] = torch.view_as_complex(tensors[name].clone())
    return header, tensors


def _restore_schedule(
    header: Mapping[str, Any],
    state: TrainState,
    optimizer: torch.optim.Optimizer,
    scheduler: Scheduler,
    higher_is_better: bool,
) -> None:
    if header["parameter_groups"] is not None:
        scheduler.load_state_dict({**scheduler.state_dict(), **header["scheduler"]})
        groups = zip(optimizer.param_groups, header["parameter_groups"], strict=True)
        for group, values in groups:
            group |= {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    elif isinstance(scheduler, ReduceLROnPlateau):  # Of format 1.
        scheduler.num_bad_epochs = header["scheduler"].get("num_bad_epochs", 0)
        if state.best is not None:  # The trainer passes the negative where higher is better.
            scheduler.best = -state.best if higher_is_better else state.best
        for group in optimizer.param_groups:
            group["lr"] *= header["scheduler"].get("factor", 1.0)
    else:
        with warnings.catch_warnings():  # The optimizer has taken these steps in another process.
            warnings.simplefilter("ignore")
            for _ in range(state.step):
                scheduler.step()


def _numbers(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of a parameter group: what a scheduler may change, such as betas."""
    return {
        key: value
        for key, value in group.items()
        if all(type(v) in (int, float) for v in (value if isinstance(value, tuple) else (value,)))
    }


def _json_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that JSON can hold; a scheduler makes functions anew."""
    found = {}
    for key, value in values.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            continue
        found[key] = value
    return found


def _trainable(network: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in network.named_parameters() if p.requires_grad]


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _damaged(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        "cannot resume from the checkpoint",
        where=str(path),
        why=str(error).partition("\n")[0],
        fix="start again in another --out",
    )
