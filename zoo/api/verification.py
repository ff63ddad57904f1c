"""Verification: a weights file against its digests, its probe and its published score."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.api.loading import load
from zoo.api.locating import locate_weights
from zoo.environment import torch_is_installed
from zoo.errors import UsageError, WeightsError
from zoo.installed import registry
from zoo.records import Recipe
from zoo.weights.checking import sentence

if TYPE_CHECKING:
    from zoo.runtime import InferenceModel

# A published metric is rounded to four decimals, and on another machine a borderline example may
# be classified otherwise.
TOLERANCE = 2e-4


def verify(
    name: str | Path,
    data: str | Path = "",
    *,
    device: str = "cpu",
    threads: int = 0,
    progress: bool = True,
) -> list[str]:
    """Verify as :func:`iter_verify`, and return all that was found to agree.

    Args:
        name: As for :func:`zoo.load`.
        data: The data that a published score was measured on; empty: the score is not measured.
        device: Where to compute.
        threads: Threads of torch for the evaluation; 0: one for each processor.
        progress: Whether to show the progress of the evaluation.
    """
    return list(iter_verify(name, data, device=device, threads=threads, progress=progress))


def iter_verify(
    name: str | Path,
    data: str | Path = "",
    *,
    device: str = "cpu",
    threads: int = 0,
    progress: bool = True,
) -> Iterator[str]:
    """Verify a weights file, a run directory or a recipe with weights.

    Args:
        name: As for :func:`zoo.load`.
        data: The data that a published score was measured on; empty: the score is not measured.
        device: Where to compute.
        threads: Threads of torch for the evaluation; 0: one for each processor.
        progress: Whether to show the progress of the evaluation.

    Yields:
        What was found to agree, in one line each.

    Raises:
        WeightsError: Something does not agree.
        UsageError: ``data`` is given and no score is published.
    """
    known = registry()
    recipe = None
    if known.has(Recipe, str(name)) and not Path(name).exists():
        recipe = known.get(Recipe, str(name))
    locate_weights(name, known)  # It refuses another file than the published one.
    if recipe and recipe.weights:
        yield f"sha256 agrees: {recipe.weights.sha256}"
    if not torch_is_installed() and not data:
        model: InferenceModel = load(
            name, "cpu" if device == "auto" else device, probe=False, runtime="numpy"
        )
    else:
        model = load(name, device, probe=False)
    yield "digest of header and tensors agrees"
    yield f"probe agrees: outputs differ by at most {model.verify():.1e}"
    if "texts" not in model.info["probe"]:
        yield "note: the probe has no texts: it covers the network, and not how texts are read"
    if changed := model.changed_versions():
        yield f"note: trained with {sentence(changed)}"
    if not data:
        return
    if recipe is None or "split" not in recipe.metrics:
        raise UsageError("no published score to verify", where=str(name))
    split = str(recipe.metrics["split"])
    from zoo.engine.progress import evaluation_progress
    from zoo.trained import TrainedModel

    assert isinstance(model, TrainedModel)
    measured = model.evaluate(
        data,
        split=split,
        threads=threads,
        progress=evaluation_progress(split, shown=progress),
    )
    if recipe.metrics.get("data_sha256", measured["data_sha256"]) != measured["data_sha256"]:
        yield f"note: the published score was measured on other bytes than those of {data}"
    yield f"evaluated on {measured['split']}: {measured['data']}"
    yield from _compare(recipe, measured)


def _compare(recipe: Recipe, measured: dict[str, Any]) -> Iterator[str]:
    for key, published in recipe.metrics.items():
        if isinstance(published, str):
            continue
        again = float(measured.get(key, "nan"))
        allowed = 0 if isinstance(published, int) else TOLERANCE * max(1.0, abs(published))
        if not abs(published - again) <= allowed:
            raise WeightsError(
                f"{key} does not agree",
                where=recipe.name,
                why=f"published {published:g}, measured {again:g}",
                fix="check that the data is the published one",
            )
        yield f"{key} agrees: published {published:g}, measured {again:g}"
