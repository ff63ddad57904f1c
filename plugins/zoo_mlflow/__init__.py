"""MLflow: settings, metrics, weights and report of runs. Needs ``seqzoo[mlflow]``."""

from __future__ import annotations

from dataclasses import dataclass

from zoo import CallbackInfo, Options, hookimpl, option


@dataclass(frozen=True)
class MLflowOptions(Options):
    tracking_uri: str = option(
        "", "address of the store; empty: MLFLOW_TRACKING_URI, or mlflow.db in the current folder"
    )
    experiment: str = option("zoo", "experiment that the run belongs to")

    def validate(self) -> None:
        if not self.experiment.strip():
            raise ValueError("experiment is empty")


@hookimpl
def zoo_callbacks() -> list[CallbackInfo]:
    return [
        CallbackInfo(
            name="mlflow",
            summary="Tracks runs with MLflow: settings, metrics, weights and report",
            target="zoo_mlflow.tracker:MLflow",
            options=MLflowOptions,
        )
    ]
