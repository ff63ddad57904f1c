"""The weights file, read, forged and rebuilt by code that shares nothing with the zoo's."""

from __future__ import annotations

import hashlib
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
from torch import Tensor, nn

import zoo
from zoo.errors import DiskError, PluginError, WeightsError, ZooError
from zoo.registry import Registry
from zoo.weights import file as weights_file
from zoo.weights.network import build, save, verify

Tensors = dict[str, tuple[str, list[int], bytes]]
DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
Train = Callable[..., Any]


def parse(path: Path) -> tuple[dict[str, Any], Tensors]:
    """Read a safetensors file: length, JSON header, data. Return our header and the tensors."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    table = json.loads(content[8 : 8 + size])
    header = json.loads(table.pop("__metadata__")["zoo"])
    data = content[8 + size :]
    tensors = {}
    for name, entry in table.items():
        first, after = entry["data_offsets"]
        tensors[name] = (entry["dtype"], entry["shape"], data[first:after])
    return header, tensors


def canonical(header: dict[str, Any]) -> str:
    return json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest(header: dict[str, Any], tensors: Tensors) -> str:
    total = hashlib.sha256()
    total.update(canonical({k: v for k, v in header.items() if k != "digest"}).encode())
    for name, (dtype, shape, data) in sorted(tensors.items()):
        total.update(f"\0{name}\0{DTYPES[dtype]}\0{'x'.join(map(str, shape))}\0".encode())
        total.update(data)
    return total.hexdigest()


def unparse(path: Path, metadata: str, tensors: Tensors) -> Path:
    table: dict[str, Any] = {"__metadata__": {"zoo": metadata}}
    data = b""
    for name, (dtype, shape, content) in tensors.items():
        offsets = [len(data), len(data) + len(content)]
        table[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        data += content
    start = json.dumps(table).encode()
    start += b" " * (-len(start) % 8)
    path.write_bytes(struct.pack("<Q", len(start)) + start + data)
    return path


def forge(path: Path, header: dict[str, Any], tensors: Tensors) -> Path:
    """Write a file whose digest is right, whatever else is not."""
    return unparse(path, canonical({**header, "digest": digest(header, tensors)}), tensors)


@pytest.fixture(scope="module")
def runs(
    train_here: Train, text_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Weights files by the name of what was trained, for a few steps."""
    folder = tmp_path_factory.mktemp("weights")
    small = ("steps=4", "learning_rate=0.05", "hidden_size=5", "embed_size=6")
    made = {
        "sentiment/lstm": (),
        "sentiment/bilstm": ("num_layers=2",),
        "char-lm/lstm": ("num_layers=2",),
    }
    paths = {}
    for name, more in made.items():
        out = folder / name.replace("/", "-")
        train_here(name, out, *small, *more, data=text_file if "char" in name else "")
        paths[name] = out / "weights.safetensors"
    return paths


@pytest.fixture
def path(runs: dict[str, Path]) -> Path:
    return runs["char-lm/lstm"]


def test_a_reader_of_its_own_finds_all_and_the_same_digest(runs: dict[str, Path]) -> None:
    for name, path in runs.items():
        header, tensors = parse(path)
        assert header["digest"] == digest(header, tensors)
        assert f"{header['task']['name']}/{header['model']['name']}" == name
        assert header["format"] == 1
        assert header["model"]["options"]["hidden_size"] == 5
        assert header["task"]["distribution"] == "seqzoo"
        assert {dtype for dtype, _, _ in tensors.values()} == {"F32"}
        assert tensors["embedding.weight"][1] == [len(header["assets"]["vocabulary"]), 6]
        assert "rnn.weight_ih_l0" in tensors
        assert ("rnn.weight_ih_l1_reverse" in tensors) == ("bilstm" in name)
        loaded = zoo.load(path).network.state_dict()
        for key, (_, shape, data) in tensors.items():
            values = torch.frombuffer(bytearray(data), dtype=torch.float32).view(shape)
            assert torch.equal(loaded[key], values)


def test_the_header_is_canonical_json(path: Path) -> None:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    text = json.loads(content[8 : 8 + size])["__metadata__"]
    assert list(text) == ["zoo"]
    assert text["zoo"] == canonical(json.loads(text["zoo"], parse_constant=pytest.fail))


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


def test_a_flipped_bit_is_refused_wherever_it_is(path: Path, tmp_path: Path) -> None:
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


def test_a_file_cut_short_or_grown_is_refused(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    draw = random.Random(2)
    lengths = [0, 1, 7, 8, 9, len(content) - 1, *draw.sample(range(len(content)), 60)]
    for length in lengths:
        (tmp_path / "w").write_bytes(content[:length])
        with pytest.raises(WeightsError, match="not a whole safetensors file"):
            weights_file.read(tmp_path / "w")
        with pytest.raises(WeightsError, match="not a whole safetensors file"):
            weights_file.inspect(tmp_path / "w")
    (tmp_path / "w").write_bytes(content + b"\0")
    with pytest.raises(WeightsError):
        weights_file.read(tmp_path / "w")


def test_what_is_no_weights_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        weights_file.read(tmp_path / "nothing")
    with pytest.raises(WeightsError, match="no such file"):
        weights_file.read(tmp_path)
    (tmp_path / "text").write_text("These are words, and no tensors.")
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        weights_file.read(tmp_path / "text")
    for metadata in (None, {"format": "pt"}):
        safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / "foreign", metadata)
        with pytest.raises(WeightsError, match="not a weights file of the zoo"):
            weights_file.read(tmp_path / "foreign")


def open_as_a_user(path: Path) -> None:
    """Read a file in every way there is."""
    weights_file.inspect(path)
    zoo.load(path)


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '"zoo"', "[" * 100_000, '{"format": 1}',
                                  "{" + '"a":{' * 5000])  # fmt: skip
def test_a_header_that_is_none_is_refused(text: str, path: Path, tmp_path: Path) -> None:
    _, tensors = parse(path)
    with pytest.raises(WeightsError):
        open_as_a_user(unparse(tmp_path / "w", text, tensors))


def test_a_header_that_cannot_be_encoded_is_refused(path: Path, tmp_path: Path) -> None:
    header, tensors = parse(path)
    text = json.dumps({**header, "name": "\ud800"})  # Half of a character.
    with pytest.raises(WeightsError):
        open_as_a_user(unparse(tmp_path / "w", text, tensors))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 99), ("format", None), ("storage", "float8"), ("storage", ["float32"]),
        ("task", "char-lm"), ("task", {"name": "char-lm"}), ("model", []), ("assets", None),
        ("assets", {"vocabulary": "abc"}), ("assets", {}), ("probe", None), ("probe", {}),
        ("name", None), ("digest", None), ("data", None), ("training", 1), ("metrics", []),
        ("data", {}), ("training", {}), ("format", True),
    ],
)  # fmt: skip
def test_a_header_of_wrong_values_is_refused(
    key: str, value: Any, path: Path, registry: Registry, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    forged = {**header, key: value}
    if key == "digest":
        file = unparse(tmp_path / "w", canonical(forged), tensors)
    else:
        file = forge(tmp_path / "w", forged, tensors)
    with pytest.raises(WeightsError) as failure:
        weights = weights_file.read(file)
        verify(weights, *build(weights, registry))
    assert str(file) in str(failure.value)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("model", "name", ["lstm"]), ("model", "name", None), ("model", "options", None),
        ("model", "options", {"hidden_size": "5"}), ("model", "options", {"hidden_size": -5}),
        ("model", "options", {"hidden_size": 10**12}), ("model", "options", {"unknown": 1}),
        ("task", "options", {"dropout": 10**400}),
        ("task", "options", {}), ("task", "options", [1, 2]),
    ],
)  # fmt: skip
def test_options_of_wrong_values_are_refused(
    part: str, key: str, value: Any, path: Path, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    if isinstance(value, dict) and value:
        value = {**header[part]["options"], **value}
    forged = {**header, part: {**header[part], key: value}}
    with pytest.raises(ZooError) as failure:
        open_as_a_user(forge(tmp_path / "w", forged, tensors))
    assert "\n" not in str(failure.value)


def test_a_file_cannot_ask_for_more_memory_than_its_tensors_take(
    path: Path, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    options = {**header["model"]["options"], "hidden_size": 16_000}
    forged = {**header, "model": {**header["model"], "options": options}}
    with pytest.raises(WeightsError, match="more memory than the tensors take"):
        zoo.load(forge(tmp_path / "w", forged, tensors))


def test_a_key_that_occurs_twice_is_refused(path: Path, tmp_path: Path) -> None:
    header, tensors = parse(path)
    text = canonical(header)
    twice = text.replace('"name":', '"name":"another","name":', 1)
    with pytest.raises(WeightsError, match="occurs twice"):
        open_as_a_user(unparse(tmp_path / "w", twice, tensors))


def test_tensors_of_another_kind_than_the_header_says_are_refused(
    path: Path, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    with pytest.raises(WeightsError, match=r"fc.bias is float32, not float16"):
        zoo.load(forge(tmp_path / "w", {**header, "storage": "float16"}, tensors))


def test_loading_and_writing_leave_the_program_as_it_was(path: Path, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    loaded = zoo.load(path)
    assert torch.equal(torch.get_rng_state(), state)
    loaded.network.train()
    weights = weights_file.read(path)
    save(tmp_path / "w", loaded.network, loaded.task, weights.header)
    assert loaded.network.training


def test_weights_that_are_tied_are_written_twice(path: Path, tmp_path: Path) -> None:
    loaded = zoo.load(path)
    loaded.network.rnn.weight_hh_l1 = loaded.network.rnn.weight_hh_l0
    save(tmp_path / "w", loaded.network, loaded.task, loaded.info)
    _, tensors = parse(tmp_path / "w")
    assert tensors["rnn.weight_hh_l1"] == tensors["rnn.weight_hh_l0"]


def test_options_that_came_later_take_their_defaults(path: Path, tmp_path: Path) -> None:
    header, tensors = parse(path)
    options = {k: v for k, v in header["task"]["options"].items() if k != "embed_dropout"}
    assert len(options) == len(header["task"]["options"]) - 1
    older = {**header, "task": {**header["task"], "options": options}}
    symbols, lengths = torch.arange(20)[None], torch.tensor([20])
    with torch.no_grad():
        found, expected = (
            zoo.load(file).network(symbols, lengths)[0]
            for file in (forge(tmp_path / "w", older, tensors), path)
        )
    assert torch.equal(found, expected)


def test_tensors_that_do_not_fit_are_named(path: Path, tmp_path: Path) -> None:
    header, tensors = parse(path)
    dtype, shape, data = tensors["fc.bias"]

    def told(changed: Tensors) -> str:
        with pytest.raises(WeightsError, match="tensors do not fit") as failure:
            zoo.load(forge(tmp_path / "w", header, changed))
        return str(failure.value)

    without = {name: tensor for name, tensor in tensors.items() if name != "fc.bias"}
    assert "fc.bias is missing" in told(without)
    assert "fc.more is extra" in told({**tensors, "fc.more": (dtype, shape, data)})
    misshaped = (dtype, [shape[0] - 1], data[:-4])
    assert f"fc.bias has shape ({shape[0] - 1},), not ({shape[0]},)" in told(
        {**tensors, "fc.bias": misshaped}
    )
    # All of them at once.
    both = told({**without, "fc.more": (dtype, shape, data)})
    assert "fc.bias is missing" in both
    assert "fc.more is extra" in both


@pytest.mark.parametrize("part", ["task", "model"])
def test_what_is_not_installed_is_named_with_where_to_get_it(
    part: str, path: Path, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    strange = {**header[part], "name": "mgu", "distribution": "zoo-mgu", "version": "1.2"}
    file = forge(tmp_path / "w", {**header, part: strange}, tensors)
    with pytest.raises(PluginError, match=rf"{part} 'mgu'.*zoo-mgu 1\.2.*pip install zoo-mgu"):
        zoo.load(file)
    assert weights_file.inspect(file).header[part] == strange


def test_the_probe_agrees_with_the_weights(runs: dict[str, Path], registry: Registry) -> None:
    for path in runs.values():
        weights = weights_file.read(path)
        assert verify(weights, *build(weights, registry)) < 1e-6


def test_the_probe_gives_changed_weights_away(
    path: Path, registry: Registry, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    dtype, shape, data = tensors["rnn.weight_hh_l0"]
    values = torch.frombuffer(bytearray(data), dtype=torch.float32) + 0.01
    changed = {**tensors, "rnn.weight_hh_l0": (dtype, shape, values.numpy().tobytes())}
    weights = weights_file.read(forge(tmp_path / "w", header, changed))
    with pytest.raises(WeightsError, match=r"probe does not agree.*logits differ"):
        verify(weights, *build(weights, registry))


@pytest.mark.parametrize(
    "logits", [[[0.0]], "none", [["a"]], [[float("nan")]], [[[[1e999]]]], [], None]
)
def test_a_probe_that_cannot_be_compared_is_refused(
    logits: Any, path: Path, registry: Registry, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    forged = {**header, "probe": {**header["probe"], "logits": logits}}
    weights = weights_file.read(forge(tmp_path / "w", forged, tensors))
    with pytest.raises(WeightsError, match="probe"):
        verify(weights, *build(weights, registry))


@pytest.mark.parametrize(
    "batch", [None, {}, {"inputs": [[10**6]]}, {"inputs": [[-1]]}, {"lengths": [99, 99]},
              {"lengths": [1]}, {"inputs": [["a"]]}, {"inputs": [[1], [2, 3]]}, {"inputs": 1}]
)  # fmt: skip
def test_a_probe_that_cannot_be_run_is_refused(
    batch: Any, path: Path, registry: Registry, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    if batch:
        batch = {**header["probe"]["batch"], **batch}
    forged = {**header, "probe": {**header["probe"], "batch": batch}}
    weights = weights_file.read(forge(tmp_path / "w", forged, tensors))
    with pytest.raises(WeightsError, match="probe"):
        verify(weights, *build(weights, registry))


@pytest.mark.parametrize(("storage", "kind"), [("float16", "F16"), ("bfloat16", "BF16")])
def test_half_precision_halves_the_file_and_hardly_moves_the_logits(
    storage: str, kind: str, runs: dict[str, Path], registry: Registry, tmp_path: Path
) -> None:
    weights = weights_file.read(runs["sentiment/bilstm"])
    task, network = build(weights, registry)
    save(tmp_path / "w", network, task, weights.header, storage)
    header, tensors = parse(tmp_path / "w")
    assert header["storage"] == storage
    assert header["digest"] == digest(header, tensors)
    assert {dtype for dtype, _, _ in tensors.values()} == {kind}
    for name, (_, _, data) in parse(runs["sentiment/bilstm"])[1].items():
        assert len(data) == 2 * len(tensors[name][2])
    again = zoo.load(tmp_path / "w")
    assert {p.dtype for p in again.network.parameters()} == {torch.float32}
    half = weights_file.read(tmp_path / "w")
    assert 0 < verify(half, *build(half, registry)) < 1e-2


def test_half_precision_is_refused_where_answers_would_change(
    path: Path, registry: Registry, tmp_path: Path
) -> None:
    weights = weights_file.read(path)
    task, network = build(weights, registry)
    with torch.no_grad():
        network.fc.weight *= 1e6
    before = network.fc.weight.clone()
    with pytest.raises(WeightsError, match=r"do not survive float16.*store float32"):
        save(tmp_path / "w", network, task, weights.header, "float16")
    assert not (tmp_path / "w").exists()
    assert torch.equal(network.fc.weight, before)


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


def parts_of(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}


@pytest.mark.parametrize("name", ["sentiment/lstm", "sentiment/bilstm"])
def test_plain_modules_give_the_same_logits_for_a_review(name: str, runs: dict[str, Path]) -> None:
    tensors = safetensors.torch.load_file(runs[name])
    two, layers = name.endswith("bilstm"), 2 if name.endswith("bilstm") else 1
    embedding = nn.Embedding(*tensors["embedding.weight"].shape, padding_idx=0)
    rnn = nn.LSTM(6, 5, layers, bidirectional=two, batch_first=True)
    fc1, fc2 = nn.Linear(10 if two else 5, 64), nn.Linear(64, 1)
    for key, module in {"embedding": embedding, "rnn": rnn, "fc1": fc1, "fc2": fc2}.items():
        module.load_state_dict(parts_of(tensors, key), strict=True)
    assert len(tensors) == 1 + 4 * layers * (1 + two) + 4

    loaded = zoo.load(runs[name])
    torch.manual_seed(1)
    rows = [torch.randint(1, len(embedding.weight), (1, length)) for length in (1, 7, 30)]
    padded = torch.zeros(3, 32, dtype=torch.int64)
    with torch.no_grad():
        for row, words in enumerate(rows):
            padded[row, : words.shape[1]] = words
        ours, _ = loaded.network(padded, torch.tensor([1, 7, 30]))
        for row, words in enumerate(rows):
            _, (hidden, _) = rnn(embedding(words))
            # Of the top layer, the last state of each direction.
            read = torch.cat((hidden[-2], hidden[-1]), dim=1) if two else hidden[-1]
            plain = fc2(fc1(read).relu())
            torch.testing.assert_close(ours[row : row + 1], plain, atol=1e-5, rtol=0)
            text = " ".join(loaded.info["assets"]["vocabulary"][i] for i in words[0])
            if "<" not in text:
                (answer,) = loaded.predict([text])
                assert answer.scores["pos"] == pytest.approx(plain.sigmoid().item(), abs=1e-5)


def test_plain_modules_give_the_same_logits_for_a_text(path: Path) -> None:
    tensors = safetensors.torch.load_file(path)
    characters = parse(path)[0]["assets"]["vocabulary"]
    embedding, fc = nn.Embedding(len(characters), 6), nn.Linear(5, len(characters))
    rnn = nn.LSTM(6, 5, 2, batch_first=True)
    for key, module in {"embedding": embedding, "rnn": rnn, "fc": fc}.items():
        module.load_state_dict(parts_of(tensors, key), strict=True)
    codes = torch.tensor([[characters.index(c) for c in "The 7th sailor counted 49 gulls"]])
    with torch.no_grad():
        plain = fc(rnn(embedding(codes))[0])
        ours, _ = zoo.load(path).network(codes, torch.tensor([codes.shape[1]]))
    torch.testing.assert_close(ours, plain, atol=1e-5, rtol=0)
