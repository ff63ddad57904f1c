"""One optimizer step: the gradients of some batches, added up, clipped and applied."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from zoo.engine.faults import check_step, named, naming_plugin
from zoo.engine.finite import check_loss
from zoo.engine.log_window import LogWindow
from zoo.engine.parameters import clip_gradients
from zoo.engine.precision import is_mixed
from zoo.engine.processes import Processes
from zoo.engine.state import TrainState
from zoo.interfaces import Batch, HasPenalty, Task
from zoo.spec import RunSpec


class OptimizerStep:
    """What a training does again and again.

    Args:
        spec: Says how.
        task: Computes the loss of a batch.
        network: Is trained.
        optimizer: Has the parameters of the network.
        averaged: The moving average of the network, if there is one.
        processes: Each computes some rows of a batch.
    """

    def __init__(
        self,
        spec: RunSpec,
        task: Task,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        averaged: AveragedModel | None,
        processes: Processes,
    ) -> None:
        self._spec, self._task, self._network = spec, task, network
        self._optimizer, self._averaged, self._processes = optimizer, averaged, processes
        self._device = next(network.parameters()).device
        self._mixed = is_mixed(spec.training, self._device)
        self._penalties = [m for m in network.modules() if isinstance(m, HasPenalty)]

    def compute_gradients(
        self, batches: Sequence[Batch], chosen: range, state: TrainState, window: LogWindow
    ) -> list[Tensor]:
        """Leave the mean gradients of some batches in the network; return the losses.

        Args:
            batches: The batches of the epoch.
            chosen: Which of them.
            state: Keeps the recurrent state.
            window: Takes losses and metric sums.

        Raises:
            DivergedError: A loss is not finite; on a GPU, the next line of the log finds that.
            PluginError: The task or the model failed; the message names it.
        """
        self._network.train()
        self._processes.seed(self._spec.seed, state.step)
        self._optimizer.zero_grad(set_to_none=True)
        return [self._backward(batches, n, 1 / len(chosen), state, window) for n in chosen]

    def apply(self, losses: Sequence[Tensor], state: TrainState, window: LogWindow) -> None:
        """Change the parameters by the gradients that :meth:`compute_gradients` left.

        Args:
            losses: What it returned.
            state: Where the training is.
            window: Takes the sum of the losses, where there are several processes.

        Raises:
            DivergedError: The loss of several processes is not finite.
            PluginError: The optimizer failed; the message names it.
        """
        sums = self._processes.sum_gradients(self._network, losses)
        if self._processes.size > 1:
            window.loss = sums[-1]
            if self._device.type == "cpu":
                check_loss(torch.stack(list(sums)).sum(), state.step + 1)
        with naming_plugin(named(self._spec.optimizer.info, "step"), state.where):
            clip_gradients(self._network, self._spec.training)
            self._optimizer.step()
        if self._averaged is not None:
            self._averaged.update_parameters(self._network)

    def _backward(
        self,
        batches: Sequence[Batch],
        index: int,
        share: float,
        state: TrainState,
        window: LogWindow,
    ) -> Tensor:
        """Add the gradients of a batch, multiplied by ``share``, and return its loss.

        Of several processes each computes some of its rows, and their share in the loss.
        """
        who = named(self._spec.task, "step")
        with naming_plugin(who, state.where):
            whole = batches[index]
            part, part_share = self._processes.part(self._task, whole)
            if part is None:
                state.recurrent = None  # That of the batch before has other rows.
                return torch.zeros((), device=self._device)
            batch = part.to(self._device)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._mixed):
                step = self._task.step(
                    self._network, batch, None if batch.reset_state else state.recurrent
                )
                check_step(step, who)
                loss = sum((module.penalty() for module in self._penalties), start=step.loss)
            if part_share != 1:
                loss = loss * part_share
            # Elsewhere reading a value waits for the device; several processes check the sum.
            if self._device.type == "cpu" and self._processes.size == 1:
                check_loss(loss, state.step + 1)
            (loss if share == 1 else loss * share).backward()
            # Truncated backpropagation through time: the state is carried, its history is not.
            state.recurrent = tuple(part.detach() for part in step.state) if step.state else None
            window.add(loss.detach(), len(whole), step.metric_sums)
            return loss.detach()
