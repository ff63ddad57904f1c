"""What follows a training: callbacks and further metrics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from zoo.interfaces.data import Batch
from zoo.interfaces.tasks import Metrics, Step

if TYPE_CHECKING:
    from zoo.engine.trainer import Trainer
    from zoo.runs import Run


class Callback:
    """Follows a training; every method does nothing unless it is overridden.

    ``trainer.state`` says where the training is, ``trainer.stop(reason)`` ends it after the
    current step, with a checkpoint. A callback that raises ends the training with an error that
    names it; the last checkpoint stays.
    """

    def on_train_begin(self, trainer: Trainer) -> None:
        """Called before the first step, also of a resumed run.

        Args:
            trainer: The training.
        """

    def on_step_end(self, trainer: Trainer) -> None:
        """Called after every optimizer step.

        Args:
            trainer: The training.
        """

    def on_log(self, trainer: Trainer, metrics: Metrics) -> None:
        """Called every ``log_every`` steps, and after the last, with the metrics of these steps.

        They include ``batch_loss``, ``learning_rate`` and ``rows_per_second``.

        Args:
            trainer: The training.
            metrics: Values by name.
        """

    def on_evaluate(self, trainer: Trainer, metrics: Metrics) -> None:
        """Called after each evaluation with the validation metrics.

        ``trainer.state.is_best`` says whether they are the best so far.

        Args:
            trainer: The training.
            metrics: Values by name, as :meth:`Task.metrics` returns them.
        """

    def on_checkpoint(self, trainer: Trainer, path: Path) -> None:
        """Called after a checkpoint was written.

        Args:
            trainer: The training.
            path: The file of the checkpoint.
        """

    def on_train_end(self, trainer: Trainer) -> None:
        """Called when the training has come to its end or was stopped, and not after an error.

        Args:
            trainer: The training.
        """

    def on_run_end(self, run: Run) -> str | None:
        """Called when the run is complete; ``run.metrics`` has its score on the test part.

        It has none where the data has no test part, and with ``--no-test``. What is raised here
        is a warning, as the run is complete.

        Args:
            run: The complete run.

        Returns:
            A line that ``zoo train`` prints, such as where something was written.
        """
        return None

    def close(self) -> None:
        """Called last, also after an error, to release what the callback holds."""


class Metric(Protocol):
    """Metrics that are computed over a whole pass, by an object made anew for every pass.

    It is made by a task (:class:`zoo.interfaces.MakesMetrics`), or as ``target(task)`` of a
    :class:`zoo.MetricInfo`.
    """

    def update(self, batch: Batch, step: Step) -> None:
        """Add a batch; ``step`` is what :meth:`Task.step` returned for it.

        Args:
            batch: The batch.
            step: Its result.
        """
        ...

    def compute(self) -> Mapping[str, Any]:
        """Return values by name; a name that another metric has is refused.

        Beside numbers there may be tables: dictionaries with ``rows`` and ``columns`` (names),
        ``values`` (a list a row) and, if need be, ``note``. An interval of ``name`` is in
        ``name_low`` and ``name_high``, the label that it is about in ``name_label``; ``baselines``
        has values of the monitored metric by the name of the baseline.
        """
        ...
