"""Format versions: later files name the version that reads them; damaged old ones are reported."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from weights_reader import forge, parse

import zoo
from zoo import formats
from zoo.engine.checkpoint import KEY
from zoo.errors import WeightsError
from zoo.weights import file as weights_file

FORMAT_1 = Path(__file__).parent / "golden" / "format-1"
TEXT = Path(__file__).parent / "golden" / "data" / "text.txt"
LATER = (
    r"has format {found} in \S*{name}: this version reads formats 1 to {latest}; "
    r"install seqzoo {version}"
)


@pytest.fixture
def run(train_here: Callable[..., zoo.Run], tmp_path: Path) -> Path:
    """An interrupted run of this version."""
    settings = ("hidden_size=3", "embed_size=3", "bptt_steps=9", "steps=4", "evaluate_every=2")
    run = train_here("char-lm/gru", tmp_path / "run", *settings, data=TEXT, stop_after=3)
    assert run.interrupted
    return run.path


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    """An interrupted run of 0.1."""
    run = tmp_path / "old"
    shutil.copytree(FORMAT_1 / "char-lm", run)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "data": str(TEXT)}))
    return run


def change_config(run: Path, **changes: Any) -> None:
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, **changes}))


def change_checkpoint(run: Path, **changes: Any) -> None:
    path = run / "checkpoint.safetensors"
    header, tensors = parse(path, KEY)
    # A checkpoint's digest is of what `forge` writes, too.
    forge(path, {**header, **changes}, tensors, KEY)


def resume(run: Path) -> zoo.Run:
    return zoo.resume(run, device="cpu", threads=1, progress=False)


def test_every_file_says_its_format_and_what_reads_it(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    for header in (
        config,
        parse(run / "weights.safetensors")[0],
        parse(run / "checkpoint.safetensors", KEY)[0],
    ):
        assert header["format"] == formats.FORMAT == 2
        assert header["requires"] == formats.REQUIRES
    assert config["zoo"] == zoo.__version__


def test_the_version_that_reads_this_format_is_not_later_than_this_one() -> None:
    required, own = (
        tuple(int(part) for part in version.split(".")[:3])
        for version in (formats.REQUIRES, zoo.__version__)
    )
    assert required <= own


@pytest.mark.parametrize(
    ("requires", "version"),
    [("0.5.1", r"0\.5\.1 or later"), (None, "a later version"), (4, "a later version")],
)
def test_a_weights_file_of_a_later_format_names_the_version(
    requires: Any, version: str, run: Path, tmp_path: Path, zoo_here: Run
) -> None:
    _, tensors = parse(run / "weights.safetensors")
    # Whatever else a later format changes, its message comes first.
    later = {"format": 4, "requires": requires, "digest": "", "of later versions": {}}
    file = forge(tmp_path / "later", later, tensors)
    pattern = LATER.format(name="later", version=version, found=4, latest=3)
    for read in (weights_file.inspect, weights_file.read, zoo.load):
        with pytest.raises(WeightsError, match=pattern):
            read(file)
    done = zoo_here("inspect", file)
    assert done.returncode == 5
    assert "has format 4" in done.stderr


def test_a_run_of_a_later_format_names_the_version(run: Path, zoo_here: Run) -> None:
    change_config(run, format=3, requires="0.5.1", task="of another form")
    pattern = LATER.format(name=r"config\.json", version=r"0\.5\.1 or later", found=3, latest=2)
    with pytest.raises(WeightsError, match=pattern):
        resume(run)
    done = zoo_here("train", "char-lm/gru", "--out", run, "--resume")
    assert done.returncode == 5
    assert "install seqzoo 0.5.1 or later" in done.stderr


def test_a_checkpoint_of_a_later_format_names_the_version(run: Path) -> None:
    before = (run / "metrics.jsonl").read_bytes()
    change_checkpoint(run, format=3, requires="0.5.1", state={"of": "another form"})
    pattern = LATER.format(
        name=r"checkpoint\.safetensors", version=r"0\.5\.1 or later", found=3, latest=2
    )
    with pytest.raises(WeightsError, match=pattern):
        resume(run)
    assert (run / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("version", [0, -1, True, 2.0, "2", None, [2]])
def test_a_format_that_is_no_version_is_refused(version: Any) -> None:
    with pytest.raises(WeightsError, match=r"incomplete in FILE: it has no format version"):
        formats.check_format({"format": version}, "FILE")


def test_formats_are_told_apart() -> None:
    assert formats.check_format({"format": 1}, "FILE") == 1
    assert formats.check_format({"format": 2}, "FILE") == 2
    # Configurations of 0.1 have no version.
    assert formats.check_format({"settings": {}}, "FILE") == 1
    with pytest.raises(WeightsError, match="no format version"):
        formats.check_format({}, "FILE")


def test_an_unchanged_checkpoint_resumes(run: Path) -> None:
    change_checkpoint(run)
    assert not resume(run).interrupted


@pytest.mark.parametrize("key", ["state", "scheduler", "parameter_groups", "states"])
def test_a_checkpoint_without_a_part_is_refused(key: str, run: Path) -> None:
    path = run / "checkpoint.safetensors"
    header, tensors = parse(path, KEY)
    forge(path, {k: v for k, v in header.items() if k != key}, tensors, KEY)
    with pytest.raises(WeightsError, match=r"cannot resume from the checkpoint in \S+"):
        resume(run)


@pytest.mark.parametrize("key", ["position", "plateau", "states"])
def test_a_checkpoint_of_0_1_without_a_part_is_refused(key: str, old_run: Path) -> None:
    path = old_run / "checkpoint.safetensors"
    header, tensors = parse(path, KEY)
    forge(path, {k: v for k, v in header.items() if k != key}, tensors, KEY)
    with pytest.raises(WeightsError, match=r"cannot resume from the checkpoint in \S+"):
        resume(old_run)


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("", "settings"), ("", "task"), ("", "model"), ("", "seed"), ("", "data"),
        ("settings", "task"), ("settings", "training"),
    ],
)  # fmt: skip
def test_a_configuration_of_0_1_without_a_part_is_refused(
    part: str, key: str, old_run: Path
) -> None:
    config = json.loads((old_run / "config.json").read_text())
    del (config[part] if part else config)[key]
    (old_run / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"(damaged|incomplete) in \S+config\.json"):
        resume(old_run)


@pytest.mark.parametrize("key", ["optimizer", "schedule"])
def test_an_unknown_optimizer_or_schedule_of_0_1_is_refused(key: str, old_run: Path) -> None:
    config = json.loads((old_run / "config.json").read_text())
    config["settings"]["training"][key] = "none"
    (old_run / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="damaged"):
        resume(old_run)


@pytest.mark.parametrize(
    "key",
    ["name", "task", "model", "assets", "data", "training", "metrics", "storage", "probe", "zoo"],
)
def test_a_weights_file_of_0_1_without_a_part_is_refused(key: str, tmp_path: Path) -> None:
    header, tensors = parse(FORMAT_1 / "char-lm.safetensors")
    for damaged in ({k: v for k, v in header.items() if k != key}, {**header, key: 1}):
        with pytest.raises(WeightsError, match=r"in \S+"):
            zoo.load(forge(tmp_path / "w", damaged, tensors))


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("training", "optimizer"), ("training", "schedule"), ("training", "seed"),
        ("probe", "batch"), ("probe", "logits"), ("task", "options"), ("model", "name"),
        ("data", "sha256"), ("training", "beta2"), ("training", "warmup"),
    ],
)  # fmt: skip
def test_a_weights_file_of_0_1_without_a_part_of_a_part_is_refused(
    part: str, key: str, tmp_path: Path
) -> None:
    header, tensors = parse(FORMAT_1 / "char-lm.safetensors")
    damaged = {**header, part: {k: v for k, v in header[part].items() if k != key}}
    with pytest.raises(WeightsError, match="incomplete"):
        zoo.load(forge(tmp_path / "w", damaged, tensors))


def test_a_changed_weights_file_of_0_1_is_detected(tmp_path: Path) -> None:
    content = bytearray((FORMAT_1 / "char-lm.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(WeightsError, match="digest does not match"):
        zoo.load(tmp_path / "w")


def test_a_weights_file_of_0_1_is_saved_in_this_format(tmp_path: Path) -> None:
    old = zoo.load(FORMAT_1 / "char-lm.safetensors")
    old.save(tmp_path / "w")
    header, tensors = parse(tmp_path / "w")
    assert header["format"] == 2
    assert tensors == parse(FORMAT_1 / "char-lm.safetensors")[1]
    again = zoo.load(tmp_path / "w")
    assert again.spec == old.spec
    assert again.generate("the ", 20, temperature=0) == old.generate("the ", 20, temperature=0)


def test_upgrades_leave_what_they_are_given_unchanged() -> None:
    weights, _ = parse(FORMAT_1 / "char-lm.safetensors")
    checkpoint, _ = parse(FORMAT_1 / "char-lm" / "checkpoint.safetensors", KEY)
    config = json.loads((FORMAT_1 / "char-lm" / "config.json").read_text())
    for upgrade, document in (
        (formats.upgrade_header, weights),
        (formats.upgrade_checkpoint, checkpoint),
        (formats.upgrade_config, config),
    ):
        before = json.dumps(document)
        assert upgrade(document)["format"] == formats.FORMAT
        assert json.dumps(document) == before
