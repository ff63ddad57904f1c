"""Make golden files with the installed version: ``python tests/golden/make.py FOLDER``.

Three small runs are trained on ``data/``, interrupted and resumed. FOLDER gets, for each run, its
directory as the interruption left it (``NAME/``) and the exported weights after it was resumed
(``NAME.safetensors``); ``expected.json`` has what these weights answer and the digests of all
files. See README.md.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

import zoo
from zoo.api import evaluate, export

DATA = Path(__file__).parent / "data"
SMALL = {"hidden_size": 4, "embed_size": 4}
# The network of the textbook, trained as it is there: the defaults until 0.2.
TEXTBOOK = {
    "tokens": "words", "ngram_weight": 0.0, "label_smoothing": 0.0, "calibration": "none",
    "embed_std": 1.0, "fc_size": 4, "pooling": "last", "word_dropout": 0.0, "embed_dropout": 0.0,
    "task.dropout": 0.0, "max_tokens": 0, "truncation": "head", "validation_size": 0.2,
    "batch_size": 32, "learning_rate": 1e-3, "clip_norm": 0.0, "schedule": "constant",
    "optimizer": "adam",
}  # fmt: skip
# Name and data, settings, the step after which the run is interrupted: within an epoch.
RUNS: dict[str, tuple[str, str, dict[str, object], int]] = {
    "char-lm": (
        "char-lm/lstm", "text.txt",
        {
            **SMALL, "batching": "contiguous", "bptt_steps": 16, "embed_dropout": 0.1,
            "task.dropout": 0.1, "steps": 30, "evaluate_every": 10, "log_every": 10,
            "optimizer": "adamw", "beta2": 0.99, "weight_decay": 0.01, "learning_rate": 0.05,
            "schedule": "cosine", "warmup": 0.1, "clip_norm": 1,
        },
        17,
    ),
    "sentiment": (
        "sentiment/bilstm", "reviews.csv",
        {
            **TEXTBOOK, **SMALL, "truncation": "head+tail", "max_tokens": 6, "word_dropout": 0.1,
            "epochs": 9, "batch_size": 16, "learning_rate": 0.1, "average": 0.8,
            "selection": "last", "beta2": 0.999, "warmup": 0.0,
        },
        14,
    ),
    "plateau": (
        "sentiment/gru", "reviews.csv",
        {
            **TEXTBOOK, **SMALL, "epochs": 8, "optimizer": "sgd", "momentum": 0.9,
            "schedule": "plateau", "selection": "last",
        },
        5,
    ),
}  # fmt: skip
TEXTS = ["good film", "bad plot", "the film the plot a dull the bad", "", "fine and unknown words"]
TOKEN_IDS, LENGTHS = [[2, 5, 3, 7, 4], [1, 6, 2, 0, 0]], [5, 3]


class StopAfter(zoo.Callback):
    """Interrupts a training after some steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_step_end(self, trainer: Any) -> None:
        if trainer.state.step == self.steps:
            trainer.stop("a golden file is made")


def machine() -> dict[str, str]:
    """Return what the last bits of arithmetic depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    name = next((line for line in lines if line.startswith("model name")), "")
    try:
        numba = importlib.metadata.version("numba")
    except importlib.metadata.PackageNotFoundError:
        numba = ""
    return {
        "torch": torch.__version__,
        "numba": numba,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "processor": name.partition(":")[2].strip(),
    }


def answers(weights: Path) -> dict[str, Any]:
    """Return outputs for fixed token ids, and what the network predicts or generates."""
    model = zoo.load(weights)
    with torch.no_grad():
        outputs = model.module(torch.tensor(TOKEN_IDS), torch.tensor(LENGTHS))[0]
    found: dict[str, Any] = {
        "ids": TOKEN_IDS,
        "lengths": LENGTHS,
        "outputs": [round(value, 7) for value in outputs.flatten().tolist()],
    }
    if model.spec.task.info.name == "char-lm":
        found["generated"] = model.generate("the ", 60, temperature=0)
    else:
        predictions: list[Any] = list(model.predict(TEXTS))
        found["predictions"] = [
            {"text": p.text, "label": p.label, "scores": dict(p.scores)} for p in predictions
        ]
    return found


def make(folder: Path) -> None:
    """Write the golden files of the installed version into a new folder."""
    folder.mkdir(parents=True)
    common: dict[str, Any] = {"device": "cpu", "threads": 1, "progress": False}
    expected = {}
    for name, (what, data, settings, stop) in RUNS.items():
        run, resumed = folder / name, folder / "resumed" / name
        zoo.train(
            what, DATA / data, out=run, settings=settings, seed=3, callbacks=[StopAfter(stop)],
            **common,
        )  # fmt: skip
        shutil.copytree(run, resumed)
        zoo.resume(resumed, **common)
        test = evaluate(resumed, DATA / data, threads=1, progress=False)
        export(resumed, folder / f"{name}.safetensors")
        expected[name] = {**answers(folder / f"{name}.safetensors"), "test": test}
        (run / ".lock").unlink(missing_ok=True)
        # Where the data was on this machine; tests say where it is on theirs.
        config = json.loads((run / "config.json").read_text())
        (run / "config.json").write_text(json.dumps({**config, "data": data}, indent=2) + "\n")
    shutil.rmtree(folder / "resumed")
    write_expected(folder, machine(), expected)


def write_expected(folder: Path, made_on: dict[str, str], runs: dict[str, Any]) -> None:
    """Write expected.json, with the digest of every other file in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name != "expected.json"
    }
    document = {"machine": made_on, "runs": runs, "sha256": digests}
    (folder / "expected.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
