"""What a signal may end at once: forward passes leave no trace, and are done again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from zoo.engine.log_window import LogWindow
from zoo.engine.state import TrainState


class InterruptedTrainingError(BaseException):
    """Ends what a trainer can do again; not an Exception, which plugins may catch."""


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
