"""Weights files with 8-bit weights, and what they cost on held-out data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from zoo.api.loading import load
from zoo.engine.progress import progress_bar
from zoo.environment import computing
from zoo.errors import WeightsError
from zoo.files import refuse_existing
from zoo.interfaces import Data
from zoo.trained import TrainedModel
from zoo.weights import probe
from zoo.weights.file import read, write
from zoo.weights.metrics import WEIGHTS, stamped
from zoo.weights.quantization import QUANTIZED

# How much worse a quantized network may be: nats of loss, and share of examples.
MOST_LOSS, MOST_ACCURACY = 0.002, 0.001


def write_quantized(
    model: TrainedModel,
    path: Path,
    measured: Mapping[str, Any],
    data: Data | None,
    split: str,
    *,
    allow_worse: bool,
    overwrite: bool,
) -> str:
    """Write a weights file with 8-bit weights, after measuring what they cost.

    Args:
        model: Trained weights.
        path: Where to.
        measured: Metrics of them, by split.
        data: What both are evaluated on; None: the probe alone is compared.
        split: Of the data.
        allow_worse: Whether the file is written even if it is worse than the limits.
        overwrite: Whether an existing file is replaced.

    Returns:
        What was measured, in a line.

    Raises:
        UsageError: The file exists and is not to be overwritten, or the data has no such split.
        WeightsError: The loss is more than 0.002 worse, or the accuracy by more than 0.001 and one
            example; or outputs of the probe change by more than 0.5.
        DataError: The data is unfit for what the network learned.
        DiskError: The file cannot be written.
    """
    if not overwrite:
        refuse_existing(path)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "weights.safetensors"
        model.save(file, dtype=QUANTIZED, metrics=measured)
        weights, quantized = read(file), load(file, probe=False)
    with computing():
        exact = probe.outputs(model.module, model.task, model.task.probe()).numpy()
    change = float(np.abs(exact - np.array(weights.header["probe"]["outputs"])).max())
    header = {**weights.header, "quantization": {"probe_difference": change}}
    note = (
        f"{QUANTIZED}: outputs of the probe change by at most {change:.2g}; loss and accuracy were "
        "not measured (--data measures them)"
    )
    if data is not None:
        progress = partial(progress_bar, description=split)
        before = model.evaluate(data, split=split, progress=progress)
        after = quantized.evaluate(data, split=split, progress=progress)
        note, worse = compare(before, after)
        if worse and not allow_worse:
            raise WeightsError(
                f"{QUANTIZED} weights are worse",
                where=f"the {split} split",
                why=note,
                fix="store --dtype float16, or write them with --allow-worse",
            )
        header["quantization"] |= {
            "data_sha256": after["data_sha256"],
            "split": split,
            "examples": after["examples"],
            **{f"{key}_before": value for key, value in _figures(before).items()},
            **{f"{key}_after": value for key, value in _figures(after).items()},
        }
        if after["training_data"]:
            sha256 = header["data"]["sha256"]
            own = stamped({split: after}, header[WEIGHTS], sha256, QUANTIZED)
            header["metrics"] = {**header["metrics"], **own}
    write(path, weights.tensors, header)
    return note


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, bool]:
    """Compare evaluations of a network before and after its weights were quantized.

    Args:
        before: What ``evaluate`` returned.
        after: The same of the quantized network.

    Returns:
        Loss and accuracy in a line, and whether either is worse than it may be. An accuracy may
        also change by one example.
    """
    differences = {key: after[key] - value for key, value in _figures(before).items()}
    figures = [
        f"{key} {before[key]:.4f} -> {after[key]:.4f} ({difference:+.4f})"
        for key, difference in differences.items()
    ]
    most = max(MOST_ACCURACY, 1 / after["examples"])
    # A share is a quotient: the limit itself has to pass.
    worse = not (
        differences.get("loss", 0.0) <= MOST_LOSS
        and differences.get("accuracy", 0.0) >= -most * (1 + 1e-9)
    )
    examples = f"{after['examples']:,} examples of the {after['split']} split"
    return f"{QUANTIZED}: {', '.join(figures)}, on {examples}", worse


def _figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(metrics[key]) for key in ("loss", "accuracy") if key in metrics}
