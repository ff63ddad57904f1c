"""TensorBoard: metrics and settings of runs. Needs ``seqzoo[tensorboard]``."""

from __future__ import annotations

from dataclasses import dataclass

from zoo import CallbackInfo, Options, hookimpl, option


@dataclass(frozen=True)
class TensorBoardOptions(Options):
    log_dir: str = option("", "folder of the event files; empty: tensorboard/ in the run directory")


@hookimpl
def zoo_callbacks() -> list[CallbackInfo]:
    return [
        CallbackInfo(
            name="tensorboard",
            summary="Tracks runs with TensorBoard: settings, metrics and paths of files",
            target="zoo_tensorboard.callback:TensorBoard",
            options=TensorBoardOptions,
        )
    ]
