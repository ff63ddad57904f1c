"""A checkpoint: one file that a run goes on from as if it had never stopped."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from zoo.engine.optimisation import Plateau
from zoo.errors import WeightsError
from zoo.files import write_atomically
from zoo.interfaces import State
from zoo.weights.file import digest

KEY = "zoo-checkpoint"
FORMAT = 1


@dataclass(slots=True)
class Position:
    """Where a run stands: what changes while it trains, apart from tensors.

    Args:
        epoch: The pass through the data that the next batch belongs to, from 0.
        batch: The number of the next batch in it, from 0.
        step: Optimiser steps taken.
        best: The best validation value so far; None before the first evaluation.
        stale: Evaluations since then.
        seconds: Time spent, over all sittings.
        done: Whether the training came to its end.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: float | None = None
    stale: int = 0
    seconds: float = 0.0
    done: bool = False


def save(
    path: Path,
    position: Position,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    plateau: Plateau,
    averaged: AveragedModel | None,
    state: State | None,
) -> None:
    """Write a checkpoint: one file, one rename.

    Raises:
        DiskError: It cannot be written.
    """
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    if averaged is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in averaged.state_dict().items()}
    # By name, not by torch's position, so that a reordered network cannot mix moments up.
    for name, parameter in _trained(network):
        for key, value in optimiser.state[parameter].items():
            tensors[f"optimiser.{name}.{key}"] = torch.as_tensor(value)
    for number, part in enumerate(state or ()):
        tensors[f"state.{number}"] = part
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    header = {
        "format": FORMAT,
        "position": asdict(position),
        "plateau": vars(plateau),
        "states": len(state or ()),
    }
    # Cloned, because the file format has no place for tensors that share memory.
    plain = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
    full = {**header, "digest": digest(header, plain)}
    write_atomically(path, safetensors.torch.save(plain, {KEY: json.dumps(full)}))


def load(
    path: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    plateau: Plateau,
    averaged: AveragedModel | None,
) -> tuple[Position, State | None]:
    """Put everything back as :func:`save` found it.

    Raises:
        WeightsError: The file is not a checkpoint of this run.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if header["format"] != FORMAT:
            raise ValueError(f"unknown format {header['format']}")
        # safetensors has no checksum of its own.
        if header["digest"] != digest(header, tensors):
            raise ValueError("digest does not match")
        position = Position(**header["position"])
        vars(plateau).update(header["plateau"])
        network.load_state_dict(_under(tensors, "network."))
        if averaged is not None:
            averaged.load_state_dict(_under(tensors, "average."))
        for name, parameter in _trained(network):
            moments = _under(tensors, f"optimiser.{name}.")
            # The step count too: fused optimisers keep it beside the parameter.
            optimiser.state[parameter] = {
                key: value.to(parameter.device) for key, value in moments.items()
            }
        state = tuple(tensors[f"state.{number}"] for number in range(header["states"]))
        torch.set_rng_state(tensors["random.cpu"])
        if torch.cuda.is_available() and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"])
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise _damaged(path, error) from error
    except RuntimeError as error:  # What load_state_dict raises where tensors do not fit.
        raise _damaged(path, error) from error
    device = next(network.parameters()).device
    return position, tuple(part.to(device) for part in state) or None


def _trained(network: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in network.named_parameters() if p.requires_grad]


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _damaged(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        "cannot go on from the checkpoint",
        where=str(path),
        why=str(error).splitlines()[0],
        fix="start anew in another --out",
    )
