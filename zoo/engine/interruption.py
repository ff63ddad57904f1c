"""What a signal may end at once: forward passes leave no trace, and are done again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import nn

from zoo.engine.log_window import LogWindow
from zoo.engine.state import TrainState

T = TypeVar("T")


class InterruptedTrainingError(BaseException):
    """Ends what a trainer can do again; not an Exception, which plugins may catch."""


class Interruption:
    """Whether a signal ends a training, and what it ends at once.

    Attributes:
        is_due: Whether the training ends.
    """

    def __init__(self) -> None:
        self.is_due = False
        self._may_raise = False

    def request(self) -> None:
        """End the training after this step, or at once what can be done again.

        Raises:
            InterruptedTrainingError: Something is going on that can be done again.
        """
        self.is_due = True
        if self._may_raise:
            raise InterruptedTrainingError

    def attempt(
        self, action: Callable[[], T], take_snapshot: Callable[[], Callable[[], None]]
    ) -> T | None:
        """Return what an action returns that trains no parameter; None where a signal ends it.

        Args:
            action: What is done.
            take_snapshot: Returns what puts back all that the action changes.
        """
        if self.is_due:
            return None
        put_back = take_snapshot()
        try:
            try:
                self._may_raise = True
                return action()
            finally:
                self._may_raise = False
        except InterruptedTrainingError:
            self._may_raise = False
            self.is_due = True  # It may have been raised for another process of the training.
            put_back()
            return None


def snapshot(
    networks: Sequence[nn.Module], state: TrainState, window: LogWindow, device: torch.device
) -> Callable[[], None]:
    """Return a function that puts back what forward passes change.

    That is what is not trained, such as buffers, the recurrent state, the window of the log and the
    random numbers.

    Args:
        networks: The network, and its moving average.
        state: The state of the training.
        window: The steps since the last line of the log.
        device: Where the network is.
    """
    kept = [
        (tensor, tensor.detach().clone())
        for network in networks
        for tensor in (*network.buffers(), *network.parameters())
        if not tensor.requires_grad
    ]
    recurrent, logged = state.recurrent, window.state_dict()
    random = torch.get_rng_state()
    random_of_gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    def put_back() -> None:
        with torch.no_grad():
            for tensor, value in kept:
                tensor.copy_(value)
        state.recurrent = recurrent
        window.load_state_dict(logged, device)
        torch.set_rng_state(random)
        if random_of_gpu is not None:
            torch.cuda.set_rng_state(random_of_gpu, device)

    return put_back
