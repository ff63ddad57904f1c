"""Several processes of one training, over torch.distributed: sums, gathers and broadcasts.

Gradients are summed by one all-reduce over one flat tensor, after the backward pass.
``DistributedDataParallel`` would hide the network behind a wrapper that tasks do not know, and
needs every process to have rows in every batch; what it gains, communication during the backward
pass, is little here: the gradient of a recurrent weight is complete with the last step of
backpropagation through time.
"""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import safetensors.torch
import torch
import torch.distributed as dist

# Imported before a group is opened: its functions have the group of the time of import as a default
# argument. Imported later, by an optimizer, it would keep the group and its threads until Python
# exits, which may then end by SIGABRT.
import torch.distributed.nn.functional
from torch import Tensor, nn

from zoo.engine.interruption import InterruptedTrainingError
from zoo.engine.log_window import LogWindow
from zoo.engine.processes import EvaluateBatch, Evaluated, Processes, share_of
from zoo.engine.state import TrainState
from zoo.errors import NetworkError, UsageError
from zoo.interfaces import Batch, Metrics, Step, Task

Tensors = Mapping[str, Tensor]
_SUMS = "sums."


class LostProcessError(NetworkError):
    """Another process has ended, or does not answer."""


class ProcessGroup(Processes):
    """The processes that ``torchrun`` started; the default group of torch.distributed is open.

    Args:
        rank: The number of this process, from 0.
        size: How many there are.
        address: Where they have met, for messages.
    """

    def __init__(self, rank: int, size: int, address: str) -> None:
        super().__init__(rank, size)
        self._address = address

    # A training step

    def seed(self, seed: int, step: int) -> None:
        drawn = hashlib.sha256(f"{seed} {step} {self.rank}".encode()).digest()
        torch.manual_seed(int.from_bytes(drawn[:7], "big"))

    def part(self, task: Task, batch: Batch) -> tuple[Batch | None, float]:
        if len(batch) <= self.rank:
            return None, 0.0
        return share_of(task, batch, self.rank, self.size)

    def sum_gradients(self, network: nn.Module, losses: Sequence[Tensor]) -> Sequence[Tensor]:
        # Also those that are frozen: a process without rows may not know yet that they are not.
        parameters = list(network.parameters())
        device = parameters[0].device
        present = [p.grad is not None for p in parameters]
        flat = [_flat(p) for p in parameters]
        dtype = torch.float32
        for part in flat:
            dtype = torch.promote_types(dtype, part.dtype)
        flags = torch.tensor(present, dtype=dtype).to(device, non_blocking=True)
        head = [loss.reshape(1) for loss in losses]
        total = torch.cat([part.to(dtype) for part in (flags, *head, *flat)])
        with self._exchanging():
            dist.all_reduce(total)
        counts = [len(flags), *(1 for _ in head), *(len(part) for part in flat)]
        flags, *rest = total.split(counts)
        # A parameter without a gradient anywhere has none in one process either: the optimizer
        # leaves it alone. The flags are read where it matters only: it waits for a GPU.
        known = present if all(present) else (flags > 0).tolist()
        for parameter, part, has_gradient in zip(parameters, rest[len(head) :], known, strict=True):
            parameter.grad = _gradient(parameter, part) if has_gradient else None
        return [loss.reshape(()) for loss in rest[: len(head)]]

    def any(self, flags: Sequence[bool]) -> Sequence[bool]:
        found = torch.tensor(flags, dtype=torch.int32)
        with self._exchanging():
            dist.all_reduce(found, dist.ReduceOp.MAX)
        return [bool(flag) for flag in found.tolist()]

    # The state of the training

    def collect_window(self, window: LogWindow) -> LogWindow:
        parts = self._gather(window.sums.sums)
        return window.with_sums(parts) if self.is_main else window

    def collect_state(self, state: TrainState) -> TrainState:
        own = dict(enumerate(state.recurrent or ()))
        parts = self._gather({str(number): part for number, part in own.items()})
        if not self.is_main or not own:
            return state
        found = [[part[str(n)] for part in parts if str(n) in part] for n in own]
        return replace(state, recurrent=tuple(map(_interleaved, found)))

    def distribute(self, state: TrainState, window: LogWindow) -> None:
        if state.recurrent is not None:
            state.recurrent = tuple(
                p[:, self.rank :: self.size].contiguous() for p in state.recurrent
            )
        if not self.is_main:
            window.sums.sums = {}

    def check_same(self, facts: Callable[[], Mapping[str, Any]]) -> None:
        texts = self._gather_bytes(json.dumps(facts()).encode())
        differs = _difference([json.loads(text) for text in texts]) if self.is_main else ""
        if differs := self.broadcast_text(differs):
            raise UsageError(
                "the processes do not train the same",
                why=differs,
                fix="give all of them the same command, data and versions, and the same kind of "
                "machine; a callback must not change the network",
            )

    def broadcast_text(self, text: str) -> str:
        return self._broadcast(text.encode()).decode()

    def broadcast_buffers(self, network: nn.Module) -> None:
        buffers = dict(network.named_buffers())
        if not buffers:
            return
        sent = self._broadcast(_packed(buffers) if self.is_main else b"")
        if not self.is_main:
            with torch.no_grad():
                for name, value in safetensors.torch.load(sent).items():
                    buffers[name].copy_(value)

    # Evaluation

    def evaluated(
        self, batches: Iterable[Batch], compute: EvaluateBatch, *, outputs: bool
    ) -> Iterator[Evaluated]:
        """Compute each batch in one of the processes; those of a carried state in the same one."""
        owner = self.size - 1
        held: list[tuple[Batch, int]] = []
        own: dict[str, Tensor] = {}
        for batch in batches:
            if batch.reset_state:
                owner = (owner + 1) % self.size
            if owner == self.rank and not self.interrupted:
                own |= _tensors(compute(batch)[1], len(held), outputs=outputs)
            held.append((batch, owner))
            if len(held) == self.size:
                yield from self._exchanged(held, own)
                held, own = [], {}
        if held:
            yield from self._exchanged(held, own)

    def broadcast_metrics(self, metrics: Metrics) -> Metrics:
        text = json.dumps(metrics) if self.is_main else ""
        found: Metrics = json.loads(self.broadcast_text(text))
        return found

    def _exchanged(self, held: list[tuple[Batch, int]], own: Tensors) -> Iterator[Evaluated]:
        if self.any([self.interrupted])[0]:
            raise InterruptedTrainingError
        parts = self._gather(own)
        if self.is_main:
            for number, (batch, owner) in enumerate(held):
                yield batch, _step(parts[owner], number)

    # Exchange. Tensors travel in the format of safetensors: nothing is unpickled.

    def _gather(self, tensors: Tensors) -> list[dict[str, Tensor]]:
        """Return the tensors of each process to the main one, on the CPU."""
        return [safetensors.torch.load(text) for text in self._gather_bytes(_packed(tensors))]

    def _gather_bytes(self, content: bytes) -> list[bytes]:
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        with self._exchanging():
            dist.all_gather(sizes, torch.tensor([len(content)]))
            longest = max(int(size) for size in sizes)
            sent = torch.zeros(longest, dtype=torch.uint8)
            sent[: len(content)] = torch.frombuffer(bytearray(content), dtype=torch.uint8)
            received = [torch.empty_like(sent) for _ in sizes] if self.is_main else None
            dist.gather(sent, received)
        pairs = zip(received or (), sizes, strict=False)
        return [part[: int(size)].numpy().tobytes() for part, size in pairs]

    def _broadcast(self, content: bytes) -> bytes:
        """Return the bytes of the main process."""
        size = torch.tensor([len(content)])
        with self._exchanging():
            dist.broadcast(size, 0)
            sent = torch.zeros(int(size), dtype=torch.uint8)
            if self.is_main and content:
                sent = torch.frombuffer(bytearray(content), dtype=torch.uint8)
            if len(sent):
                dist.broadcast(sent, 0)
        return sent.numpy().tobytes()

    @contextmanager
    def _exchanging(self) -> Iterator[None]:
        """Name what it means that an exchange fails."""
        try:
            yield
        except RuntimeError as error:
            traceback.clear_frames(error.__traceback__)  # Their variables keep the group.
            said = str(error).partition("\n")[0].partition("] ")  # After the place in the source.
            raise LostProcessError(
                "another process of the training has ended or does not answer",
                where=f"the processes of {self._address}",
                why=(said[2] or said[0]).partition(". ")[0],
                fix="see what it said; the last checkpoint, if there is one, is complete",
            ) from error


def _flat(parameter: nn.Parameter) -> Tensor:
    """Return the gradient of a parameter as a vector of real numbers; zeros where it has none."""
    gradient = parameter.grad
    if gradient is None:
        gradient = torch.zeros_like(parameter)
    if gradient.is_complex():
        gradient = torch.view_as_real(gradient)
    return gradient.detach().reshape(-1)


def _gradient(parameter: nn.Parameter, flat: Tensor) -> Tensor:
    if parameter.is_complex():
        real = flat.to(parameter.real.dtype).reshape(*parameter.shape, 2)
        return torch.view_as_complex(real.clone())
    return flat.to(parameter.dtype).view_as(parameter)


def _interleaved(parts: Sequence[Tensor]) -> Tensor:
    """Return the rows of all processes (any, B, any) in the order of the batch."""
    rows = sum(part.shape[1] for part in parts)
    whole = parts[0].new_empty(parts[0].shape[0], rows, *parts[0].shape[2:])
    for rank, part in enumerate(parts):
        whole[:, rank :: len(parts)] = part
    return whole


def _difference(facts: Sequence[Mapping[str, Any]]) -> str:
    """Return what a process has otherwise than the first one, in words."""
    for rank, found in enumerate(facts):
        for name in facts[0].keys() | found.keys():
            if found.get(name) != facts[0].get(name):
                return (
                    f"{name} is {found.get(name)} in process {rank}, and "
                    f"{facts[0].get(name)} in process 0"
                )
    return ""


def _packed(tensors: Tensors) -> bytes:
    # Cloned, because the format does not allow tensors that share memory.
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    return safetensors.torch.save(plain)


def _tensors(step: Step, number: int, *, outputs: bool) -> dict[str, Tensor]:
    """Return what metrics need of a step, by names that begin with its number."""
    found = {"loss": step.loss, **{_SUMS + name: value for name, value in step.metric_sums.items()}}
    if outputs and step.outputs is not None:
        found["outputs"] = step.outputs
    if outputs and step.baseline_outputs is not None:
        found["baseline_outputs"] = step.baseline_outputs
    return {f"{number} {name}": value for name, value in found.items()}


def _step(tensors: Tensors, number: int) -> Step:
    """Return the step that :func:`_tensors` was given."""
    prefix = f"{number} "
    own = {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
    sums = {
        name.removeprefix(_SUMS): value for name, value in own.items() if name.startswith(_SUMS)
    }
    outputs, baseline = own.get("outputs"), own.get("baseline_outputs")
    return Step(own["loss"], sums, outputs=outputs, baseline_outputs=baseline)
