"""The TensorBoard callback."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError
from zoo.interfaces import Callback, Metrics
from zoo_tensorboard import TensorBoardOptions

if TYPE_CHECKING:
    from zoo.engine.trainer import Trainer


class TensorBoard(Callback):
    """Writes metrics as scalars ``train/NAME`` and ``validation/NAME`` by step.

    Args:
        options: Where to write.

    Raises:
        UsageError: The package tensorboard is not installed.
    """

    def __init__(self, options: TensorBoardOptions) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError(
                "the tensorboard callback needs TensorBoard",
                why=str(error),
                fix="pip install 'seqzoo[tensorboard]'",
            ) from error
        self._make_writer = SummaryWriter
        self._log_dir = options.log_dir
        self._writer: Any = None

    def on_train_begin(self, trainer: Trainer) -> None:
        folder = self._log_dir or str(trainer.directory.path / "tensorboard")
        # A resumed run replaces what was logged after the step that it resumes from.
        self._writer = self._make_writer(folder, purge_step=trainer.state.step + 1)

    def on_log(self, trainer: Trainer, metrics: Metrics) -> None:
        self._add("train", trainer, metrics)

    def on_evaluate(self, trainer: Trainer, metrics: Metrics) -> None:
        self._add("validation", trainer, metrics)
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _add(self, split: str, trainer: Trainer, metrics: Metrics) -> None:
        for name, value in metrics.items():
            if isinstance(value, Real) and not isinstance(value, bool):
                self._writer.add_scalar(f"{split}/{name}", float(value), trainer.state.step)
