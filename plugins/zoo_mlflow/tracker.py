"""The MLflow tracker."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from zoo.errors import UsageError
from zoo.files import read_json, write_json
from zoo.interfaces import RunStatus, Setting, Tracker
from zoo_mlflow import MLflowOptions

# Read by MLflow when it is imported; what the user has set counts. It sends usage data otherwise,
# and waits four minutes for a server that does not answer.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}
_STATUS: Mapping[RunStatus, str] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
_PARAMS_PER_REQUEST = 100  # MLflow's limit; that of metrics is 1,000.
_METRICS_PER_REQUEST = 1000


class MLflow(Tracker):
    """Logs a run to MLflow: parameters, metrics by step, weights and report as artifacts.

    The id of the MLflow run is kept as ``mlflow.json`` in the run directory, so that a resumed run
    goes on in it.

    Args:
        options: Which store and experiment.

    Raises:
        UsageError: The package mlflow-skinny (or mlflow) is not installed.
    """

    def __init__(self, options: MLflowOptions) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        try:
            import mlflow
        except ImportError as error:
            raise UsageError(
                "the mlflow callback needs MLflow",
                why=str(error),
                fix="pip install 'seqzoo[mlflow]'",
            ) from error
        self._mlflow: Any = mlflow
        self._options = options
        self._client: Any = None
        self._run_id = self._place = ""
        self._logged: set[tuple[str, int]] = set()  # By an earlier part of a resumed run.

    def start(self, run_directory: Path, settings: Mapping[str, Setting], step: int) -> None:
        del step
        file = run_directory / "mlflow.json"
        known = read_json(file) if file.exists() else {}
        # That of the folder in which the run was started, which may be another one now.
        uri = self._options.tracking_uri or known.get("tracking_uri")
        uri = uri or self._mlflow.get_tracking_uri()
        self._client = self._mlflow.MlflowClient(tracking_uri=uri)
        # Other addresses may have a password, which is not shown.
        is_local = "@" not in uri or urlsplit(uri).scheme in ("", "file", "sqlite")
        self._place = uri if is_local else "the tracking server"
        params = {name: str(value) for name, value in settings.items()}
        if known:
            self._continue(known["run_id"], params)
            return
        run = self._client.create_run(self._experiment_id(), run_name=run_directory.name)
        self._run_id = run.info.run_id
        write_json(file, {"run_id": self._run_id, "tracking_uri": uri if is_local else ""})
        entities = [self._mlflow.entities.Param(*param) for param in params.items()]
        for first in range(0, len(entities), _PARAMS_PER_REQUEST):
            batch = entities[first : first + _PARAMS_PER_REQUEST]
            self._client.log_batch(self._run_id, params=batch)

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        named = {re.sub(r"[^/\w.\- ]", "_", name): value for name, value in metrics.items()}
        entities = [
            self._mlflow.entities.Metric(name, value, now, step)
            for name, value in named.items()
            if (name, step) not in self._logged
        ]
        for first in range(0, len(entities), _METRICS_PER_REQUEST):
            batch = entities[first : first + _METRICS_PER_REQUEST]
            self._client.log_batch(self._run_id, metrics=batch)

    def finish(self, files: Sequence[Path]) -> str:
        for file in files:
            self._client.log_artifact(self._run_id, str(file))
        return f"mlflow: run {self._run_id} in {self._place}"

    def end(self, status: RunStatus) -> None:
        if self._run_id:
            self._client.set_terminated(self._run_id, _STATUS[status])

    def _experiment_id(self) -> str:
        name = self._options.experiment
        if not self._client.get_experiment_by_name(name):
            try:
                self._client.create_experiment(name)
            except self._mlflow.MlflowException:
                # Another process may have made it meanwhile.
                if not self._client.get_experiment_by_name(name):
                    raise
        experiment_id: str = self._client.get_experiment_by_name(name).experiment_id
        return experiment_id

    def _continue(self, run_id: str, params: Mapping[str, str]) -> None:
        """Go on in the MLflow run of a run that is resumed."""
        run = self._client.get_run(run_id)
        self._run_id = run_id
        self._client.update_run(run_id, status="RUNNING")
        # MLflow keeps both of two values for one step. Those of a resumed run are the same.
        self._logged = {
            (name, metric.step)
            for name in run.data.metrics
            for metric in self._client.get_metric_history(run_id, name)
        }
        # Parameters of MLflow cannot be changed.
        for name, value in params.items():
            if run.data.params.get(name) != value:
                self._client.set_tag(run_id, f"resumed.{name}", value)
