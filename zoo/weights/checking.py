"""The check of a weights file that is loaded: its probe is computed once, and remembered."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from zoo import __version__
from zoo.errors import DiskError, WeightsError, ZooWarning
from zoo.files import cache_folder, write_atomically
from zoo.records import Record
from zoo.spec import NetworkSpec
from zoo.weights import metrics
from zoo.weights.comparison import Comparison
from zoo.weights.file import Weights, weights_digest

REMEMBERED = 1000
"""How many files are remembered; what was remembered first is forgotten."""


def check(
    weights: Weights,
    spec: NetworkSpec,
    compare: Callable[[], Comparison],
    versions: Mapping[str, str],
    *,
    quiet: bool = False,
) -> None:
    """Check once that a network computes what it did when its file was written.

    That it does is remembered in the cache, for the digest of the file and the versions of what
    computes. It is not where a program registered a part of the network: that has no version.

    Args:
        weights: The file, with its tensors.
        spec: The records of the network.
        compare: Computes the probe again, on the CPU: other devices round differently.
        versions: Of what computes, such as torch.
        quiet: Whether to say nothing of other versions than those of the training, as long as
            the outputs agree.

    Raises:
        WeightsError: It does not, and other versions do not explain it; or the digest of the
            weights, which metrics refer to, is wrong.

    Warns:
        ZooWarning: zoo, torch or a plugin has another version than at the training. It is said
            once, and again at each load only where the outputs differ.
    """
    entry = _entry(weights, spec, versions)
    if entry is not None and entry.exists():
        return
    changed = changed_versions(weights, spec, versions)
    check_digest(weights)
    compared = compare()
    # Other versions explain outputs that are a little different, and nothing else.
    if not compared.agrees and (compared.problem or not changed):
        raise compared.error()
    if changed and not (quiet and compared.agrees):
        said = "" if compared.agrees else f"; its outputs differ by {compared.difference:.2g}"
        message = f"{weights.path} was trained with {sentence(changed)}{said}"
        warnings.warn(message, ZooWarning, stacklevel=4)
    if entry is not None and compared.agrees:
        _remember(entry, {"file": weights.path.name, "difference": compared.difference})


def check_digest(weights: Weights) -> None:
    """Check the digest of the tensors, and that the metrics were measured on them.

    Raises:
        WeightsError: They were not.
    """
    header = weights.header
    if metrics.WEIGHTS not in header:  # A file of 0.3 or before.
        return
    if header[metrics.WEIGHTS] != weights_digest(weights.tensors):
        raise WeightsError(
            "the weights are not those that the header describes",
            where=str(weights.path),
            why=f"{metrics.WEIGHTS} does not match",
        )
    if foreign := metrics.foreign(header):
        raise WeightsError(
            f"the metrics of {foreign[0]} are of other weights", where=str(weights.path)
        )


def changed_versions(
    weights: Weights, spec: NetworkSpec, versions: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """Return what has another version than at the training: by name, the one then and now.

    Args:
        weights: The file.
        spec: The records of the network.
        versions: Of what computes now; that of torch is compared where torch computes.
    """
    run, trained = weights.header["run"], weights.header.get("environment", {})
    then, now = {"zoo": weights.header["zoo"]}, {"zoo": __version__}
    if "torch" in versions:
        then["torch"], now["torch"] = trained.get("torch", ""), versions["torch"]
    for part, info in _records(spec).items():
        made = run[part] if part in ("task", "model") else run["submodels"][part]
        if info.plugin and info.plugin.distribution == made["distribution"]:
            then[made["distribution"]] = made["version"]
            now[made["distribution"]] = info.plugin.version
    changed: dict[str, tuple[str, str]] = {}
    for name, version in then.items():
        both = str(version), now[name]
        # zoo and the plugins that come with it are of one distribution.
        if version and _public(version) != _public(now[name]) and both not in changed.values():
            changed[name] = both
    return changed


def sentence(changed: Mapping[str, tuple[str, str]]) -> str:
    """Return changed versions in words."""
    return ", ".join(f"{name} {then} (now {now})" for name, (then, now) in changed.items())


def _public(version: object) -> str:
    """Return a version without its local part: 2.7.0+cpu computes what 2.7.0 does."""
    return str(version).partition("+")[0]


def _records(spec: NetworkSpec) -> dict[str, Record]:
    submodels = {name: model.info for name, model in spec.submodels.items()}
    return {"task": spec.task.info, "model": spec.model.info, **submodels}


def _entry(weights: Weights, spec: NetworkSpec, versions: Mapping[str, str]) -> Path | None:
    """Return where it is remembered that a file agrees; None where it is not."""
    found = dict(versions)
    for info in _records(spec).values():
        if not info.plugin or not info.plugin.distribution or not info.plugin.version:
            return None
        found[info.plugin.distribution] = info.plugin.version
    # The digest has been checked: it stands for the bytes of the file.
    key = json.dumps([weights.header["digest"], __version__, found], sort_keys=True)
    return cache_folder() / "probes" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _remember(entry: Path, document: Mapping[str, object]) -> None:
    """Write an entry. A cache that cannot be written costs time alone."""
    with suppress(OSError, DiskError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(entry, json.dumps(document).encode())
        entries = sorted(entry.parent.iterdir(), key=lambda path: path.stat().st_mtime)
        for old in entries[:-REMEMBERED]:
            old.unlink(missing_ok=True)
