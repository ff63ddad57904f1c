"""The weights file: written, read and damaged by code that shares nothing with zoo's."""

from __future__ import annotations

import json
import os
import random
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from weights_reader import canonical, digest, parse, train_all, unparse, with_run

import zoo
from zoo.errors import DiskError, WeightsError
from zoo.weights import file as weights_file


@pytest.fixture(scope="module")
def runs(
    train_here: Callable[..., zoo.Run], text_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    return train_all(train_here, tmp_path_factory.mktemp("weights"), text_file)


@pytest.fixture
def path(runs: dict[str, Path]) -> Path:
    return runs["char-lm/lstm"]


def test_another_reader_finds_the_same_header_tensors_and_digest(runs: dict[str, Path]) -> None:
    for name, path in runs.items():
        header, tensors = parse(path)
        run = header["run"]
        assert header["digest"] == digest(header, tensors)
        assert f"{run['task']['name']}/{run['model']['name']}" == name
        assert (header["format"], header["requires"]) == (2, "0.2.0")
        assert header["zoo"] == zoo.__version__
        assert run["model"]["options"]["hidden_size"] == 5
        assert run["task"]["distribution"] == "seqzoo"
        assert {dtype for dtype, _, _ in tensors.values()} == {"F32"}
        assert tensors["embedding.weight"][1] == [len(header["task_state"]["vocabulary"]), 6]
        assert "rnn.weight_ih_l0" in tensors
        assert ("rnn.weight_ih_l1_reverse" in tensors) == ("bilstm" in name)
        loaded = zoo.load(path).module.state_dict()
        for key, (_, shape, data) in tensors.items():
            values = torch.frombuffer(bytearray(data), dtype=torch.float32).view(shape)
            assert torch.equal(loaded[key], values)


def test_the_header_is_canonical_json(path: Path) -> None:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    text = json.loads(content[8 : 8 + size])["__metadata__"]
    assert list(text) == ["zoo"]
    assert text["zoo"] == canonical(json.loads(text["zoo"], parse_constant=pytest.fail))


def test_the_header_says_nothing_of_paths_on_this_machine(path: Path, text_file: Path) -> None:
    assert str(text_file) not in canonical(parse(path)[0])
    assert parse(path)[0]["run"]["data"] == parse(path)[0]["data"]["name"] == ""


def test_inspecting_reads_the_header_alone(path: Path, tmp_path: Path) -> None:
    found = weights_file.inspect(path)
    assert found.tensors == {}
    assert found.header == parse(path)[0]
    assert found.shapes["rnn.weight_hh_l1"] == ("F32", (20, 5))
    # Not even a wrong digest is noticed, because the tensors are not read.
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    (tmp_path / "w").write_bytes(content)
    assert weights_file.inspect(tmp_path / "w").header == found.header


def test_a_flipped_bit_is_detected_wherever_it_is(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    draw = random.Random(1)
    # As many in the small header as in the large rest.
    places = [*range(8), *draw.sample(range(8, 8 + size), 170)]
    places += draw.sample(range(8 + size, len(content)), 130)
    file = tmp_path / "w"
    original = parse(path)
    refused = 0
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << draw.randrange(8)
        file.write_bytes(flipped)
        try:
            weights_file.read(file)
        except WeightsError as error:
            assert str(file) in str(error)
            assert "\n" not in str(error)
            refused += 1
        else:
            # A flip may turn a blank into another blank.
            assert parse(file) == original
    assert refused > 0.95 * len(places)


def test_a_truncated_or_grown_file_is_refused(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    draw = random.Random(2)
    lengths = [0, 1, 7, 8, 9, len(content) - 1, *draw.sample(range(len(content)), 60)]
    for length in lengths:
        (tmp_path / "w").write_bytes(content[:length])
        with pytest.raises(WeightsError, match="not a complete safetensors file"):
            weights_file.read(tmp_path / "w")
        with pytest.raises(WeightsError, match="not a complete safetensors file"):
            weights_file.inspect(tmp_path / "w")
    (tmp_path / "w").write_bytes(content + b"\0")
    with pytest.raises(WeightsError):
        weights_file.read(tmp_path / "w")


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        weights_file.read(tmp_path / "nothing")
    with pytest.raises(WeightsError, match="no such file"):
        weights_file.read(tmp_path)
    (tmp_path / "text").write_text("These are words, and no tensors.")
    with pytest.raises(WeightsError, match="not a complete safetensors file"):
        weights_file.read(tmp_path / "text")
    for metadata in (None, {"format": "pt"}):
        safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / "foreign", metadata)
        with pytest.raises(WeightsError, match="not a weights file of zoo"):
            weights_file.read(tmp_path / "foreign")


def open_in_every_way(path: Path) -> None:
    weights_file.inspect(path)
    zoo.load(path)


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{}", '"zoo"', "[" * 100_000, '{"format": 1}', '{"format": 2}',
        '{"format": 2, "run": {}}', "{" + '"a":{' * 5000,
    ],
    ids=range(10),
)  # fmt: skip
def test_a_header_that_is_not_one_is_refused(text: str, path: Path, tmp_path: Path) -> None:
    _, tensors = parse(path)
    with pytest.raises(WeightsError):
        open_in_every_way(unparse(tmp_path / "w", text, tensors))


def test_a_header_that_cannot_be_encoded_is_refused(path: Path, tmp_path: Path) -> None:
    header, tensors = parse(path)
    text = json.dumps(with_run(header, name="\ud800"))  # Half of a character.
    with pytest.raises(WeightsError):
        open_in_every_way(unparse(tmp_path / "w", text, tensors))


def test_a_key_that_occurs_twice_is_refused(path: Path, tmp_path: Path) -> None:
    header, tensors = parse(path)
    twice = canonical(header).replace('"name":', '"name":"another","name":', 1)
    with pytest.raises(WeightsError, match="occurs twice"):
        open_in_every_way(unparse(tmp_path / "w", twice, tensors))


def test_tied_weights_are_written_twice(path: Path, tmp_path: Path) -> None:
    loaded = zoo.load(path)
    rnn: Any = loaded.module.rnn
    rnn.weight_hh_l1 = rnn.weight_hh_l0
    loaded.save(tmp_path / "w")
    _, tensors = parse(tmp_path / "w")
    assert tensors["rnn.weight_hh_l1"] == tensors["rnn.weight_hh_l0"]


@pytest.mark.parametrize(("dtype", "stored"), [("float16", "F16"), ("bfloat16", "BF16")])
def test_16_bits_halve_the_file_and_hardly_change_the_outputs(
    dtype: str, stored: str, runs: dict[str, Path], tmp_path: Path
) -> None:
    zoo.load(runs["sentiment/bilstm"]).save(tmp_path / "w", dtype=dtype)
    header, tensors = parse(tmp_path / "w")
    assert header["dtype"] == dtype
    assert header["digest"] == digest(header, tensors)
    assert {found for found, _, _ in tensors.values()} == {stored}
    for name, (_, _, data) in parse(runs["sentiment/bilstm"])[1].items():
        assert len(data) == 2 * len(tensors[name][2])
    again = zoo.load(tmp_path / "w")
    assert {p.dtype for p in again.module.parameters()} == {torch.float32}
    assert 0 < again.verify() < 1e-2


def test_16_bits_are_refused_where_outputs_would_change(path: Path, tmp_path: Path) -> None:
    loaded = zoo.load(path)
    fc: Any = loaded.module.fc
    with torch.no_grad():
        fc.weight *= 1e6
    before = fc.weight.clone()
    with pytest.raises(WeightsError, match=r"cannot be stored as float16.*store float32"):
        loaded.save(tmp_path / "w", dtype="float16")
    assert not (tmp_path / "w").exists()
    assert torch.equal(fc.weight, before)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o027, 0o640)])
def test_the_mode_follows_the_umask(umask: int, mode: int, path: Path, tmp_path: Path) -> None:
    weights = weights_file.read(path)
    before = os.umask(umask)
    try:
        weights_file.write(tmp_path / "w", weights.tensors, weights.header)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "w").stat().st_mode) == mode
    assert [p.name for p in tmp_path.iterdir()] == ["w"]
    assert parse(tmp_path / "w") == parse(path)


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = weights_file.read(path)
    with pytest.raises(DiskError, match="No such file"):
        weights_file.write(tmp_path / "nowhere" / "w", weights.tensors, weights.header)
    (tmp_path / "w").write_text("the old one")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskError, match="No space left"):
        weights_file.write(tmp_path / "w", weights.tensors, weights.header)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("w", "the old one")]
