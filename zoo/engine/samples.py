"""Texts that a language model generates while it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.engine.progress import say
from zoo.errors import UsageError
from zoo.generation import Sampling, generate
from zoo.interfaces import Callback, Generates

if TYPE_CHECKING:
    from zoo.engine.trainer import Trainer


class SampleTexts(Callback):
    """Writes a generated text to stderr every so many steps.

    Its random numbers are its own: the training has the same bits as without it.

    Args:
        every: Steps between two texts.
        prompt: What they begin with.
        length: How many tokens follow.
        sampling: How the next token is drawn; None: at temperature 0.7, with a fixed seed.

    Raises:
        UsageError: At the start of a training, where the task generates no text.
    """

    def __init__(
        self, every: int, prompt: str = "", length: int = 160, sampling: Sampling | None = None
    ) -> None:
        self.every, self.prompt, self.length = every, prompt, length
        self.sampling = sampling or Sampling(scale=1 / 0.7, seed=1)

    def on_train_begin(self, trainer: Trainer) -> None:
        if not isinstance(trainer.task, Generates):
            raise UsageError(
                f"the task {trainer.spec.task.name!r} generates no text",
                fix="leave out --sample-every",
            )

    def on_step_end(self, trainer: Trainer) -> None:
        if trainer.state.step % self.every or not isinstance(trainer.task, Generates):
            return
        network = trainer.eval_network
        was_training = network.training
        network.eval()
        tokens = generate(trainer.task, network, self.prompt, self.length, self.sampling, 1)
        text = self.prompt + "".join(token for (token,) in tokens)
        network.train(was_training)
        say(f"sample at step {trainer.state.step:,}: {' '.join(text.split())}")
