"""Networks from weights files: what does not fit is named; plain torch modules agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from weights_reader import (
    Tensors,
    before_digests,
    canonical,
    forge,
    parse,
    train_all,
    unparse,
    with_run,
)

import zoo
from zoo.errors import PluginError, WeightsError, ZooError
from zoo.registry import Registry
from zoo.weights import file as weights_file
from zoo.weights import loading, probe, writer


@pytest.fixture(scope="module")
def runs(
    train_here: Callable[..., zoo.Run], text_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    return train_all(train_here, tmp_path_factory.mktemp("weights"), text_file)


@pytest.fixture
def path(runs: dict[str, Path]) -> Path:
    return runs["char-lm/lstm"]


def open_in_every_way(path: Path, registry: Registry) -> None:
    weights_file.inspect(path)
    weights = weights_file.read(path)
    _, task, network = loading.build(weights, registry)
    probe.verify(weights, task, network)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 99), ("format", None), ("format", True), ("format", 0), ("format", "2"),
        ("dtype", "float8"), ("dtype", ["float32"]), ("run", None), ("run", []), ("run", {}),
        ("task_state", None), ("task_state", {"vocabulary": "abc"}), ("task_state", {}),
        ("probe", None), ("probe", {}), ("probe", {"batch": [], "outputs": []}),
        ("digest", None), ("data", None), ("data", {}), ("metrics", []), ("zoo", None),
    ],
)  # fmt: skip
def test_a_header_with_a_wrong_value_is_refused(
    key: str, value: Any, path: Path, registry: Registry, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    changed = {**header, key: value}
    if key == "digest":
        file = unparse(tmp_path / "w", canonical(changed), tensors)
    else:
        file = forge(tmp_path / "w", changed, tensors)
    with pytest.raises(WeightsError) as failed:
        open_in_every_way(file, registry)
    assert str(file) in str(failed.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", None), ("task", "char-lm"), ("task", {"name": "char-lm"}), ("model", []),
        ("submodels", None), ("training", 1), ("seed", "1"),
    ],
)  # fmt: skip
def test_a_run_with_a_wrong_value_is_refused(
    key: str, value: Any, path: Path, registry: Registry, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    file = forge(tmp_path / "w", with_run(header, **{key: value}), tensors)
    with pytest.raises(WeightsError) as failed:
        open_in_every_way(file, registry)
    assert str(file) in str(failed.value)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("model", "name", ["lstm"]), ("model", "name", None), ("model", "options", None),
        ("model", "options", {"hidden_size": "5"}), ("model", "options", {"hidden_size": -5}),
        ("model", "options", {"hidden_size": 10**12}), ("model", "options", {"unknown": 1}),
        ("model", "distribution", None), ("model", "version", 2),
        ("task", "options", {"dropout": 10**400}), ("task", "options", {"embed_size": 7}),
        ("task", "options", {}), ("task", "options", [1, 2]),
    ],
)  # fmt: skip
def test_wrong_options_are_refused(
    part: str, key: str, value: Any, path: Path, registry: Registry, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    if isinstance(value, dict) and value:
        value = {**header["run"][part]["options"], **value}
    changed = with_run(header, **{part: {**header["run"][part], key: value}})
    with pytest.raises(ZooError) as failed:
        open_in_every_way(forge(tmp_path / "w", changed, tensors), registry)
    assert "\n" not in str(failed.value)


def test_the_message_says_which_option_of_which_version_is_in_the_way(
    path: Path, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    model = header["run"]["model"]
    later = {**model, "version": "0.9.1", "options": {**model["options"], "momentous": True}}
    file = forge(tmp_path / "w", with_run(header, model=later), tensors)
    with pytest.raises(WeightsError) as failed:
        zoo.load(file)
    message = str(failed.value)
    assert str(file) in message
    assert "model 'lstm' was made by seqzoo 0.9.1" in message
    assert f"seqzoo {zoo.__version__} does not take its options" in message
    assert "there is no option 'momentous'" in message
    assert "pip install seqzoo==0.9.1" in message


def test_a_file_cannot_ask_for_more_memory_than_its_tensors_take(
    path: Path, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    model = header["run"]["model"]
    large = {**model, "options": {**model["options"], "hidden_size": 16_000}}
    with pytest.raises(WeightsError, match="more memory than the tensors take"):
        zoo.load(forge(tmp_path / "w", with_run(header, model=large), tensors))


def test_loading_and_saving_leave_random_state_and_mode_unchanged(
    path: Path, tmp_path: Path
) -> None:
    state = torch.get_rng_state()
    loaded = zoo.load(path)
    assert torch.equal(torch.get_rng_state(), state)
    assert not loaded.module.training
    loaded.module.train()
    writer.save(tmp_path / "w", loaded.module, loaded.task, loaded.info)
    assert loaded.module.training


def test_a_file_is_saved_again_with_the_same_bytes(path: Path, tmp_path: Path) -> None:
    zoo.load(path).save(tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == path.read_bytes()


def test_options_added_since_take_their_defaults(path: Path, tmp_path: Path) -> None:
    header, tensors = parse(path)
    task = header["run"]["task"]
    options = {k: v for k, v in task["options"].items() if k != "embed_dropout"}
    assert len(options) == len(task["options"]) - 1
    older = before_digests(with_run(header, task={**task, "options": options}))
    token_ids, lengths = torch.arange(20)[None], torch.tensor([20])
    with torch.no_grad():
        found, expected = (
            zoo.load(file).module(token_ids, lengths)[0]
            for file in (forge(tmp_path / "w", older, tensors), path)
        )
    assert torch.equal(found, expected)


def test_tensors_that_do_not_fit_are_named(path: Path, tmp_path: Path) -> None:
    header, tensors = parse(path)
    dtype, shape, data = tensors["fc.bias"]

    def message(changed: Tensors) -> str:
        with pytest.raises(WeightsError, match="tensors do not fit") as failed:
            zoo.load(forge(tmp_path / "w", header, changed))
        return str(failed.value)

    without = {name: tensor for name, tensor in tensors.items() if name != "fc.bias"}
    assert "fc.bias is missing" in message(without)
    assert "fc.more is extra" in message({**tensors, "fc.more": (dtype, shape, data)})
    misshaped = (dtype, [shape[0] - 1], data[:-4])
    assert f"fc.bias has shape ({shape[0] - 1},), not ({shape[0]},)" in message(
        {**tensors, "fc.bias": misshaped}
    )
    # All of them at once.
    both = message({**without, "fc.more": (dtype, shape, data)})
    assert "fc.bias is missing" in both
    assert "fc.more is extra" in both


def test_tensors_of_another_dtype_than_the_header_says_are_refused(
    path: Path, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    with pytest.raises(WeightsError, match=r"fc.bias is float32, not float16"):
        zoo.load(forge(tmp_path / "w", {**header, "dtype": "float16"}, tensors))


@pytest.mark.parametrize("part", ["task", "model"])
def test_what_is_not_installed_is_named_with_where_to_get_it(
    part: str, path: Path, tmp_path: Path
) -> None:
    header, tensors = parse(path)
    strange = {
        **header["run"][part], "name": "mgu", "distribution": "zoo-mgu", "version": "1.2",
    }  # fmt: skip
    file = forge(tmp_path / "w", with_run(header, **{part: strange}), tensors)
    with pytest.raises(PluginError, match=rf"{part} 'mgu'.*zoo-mgu 1\.2.*pip install zoo-mgu"):
        zoo.load(file)
    assert weights_file.inspect(file).header["run"][part] == strange


def parts_of(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}


@pytest.mark.parametrize("name", ["sentiment/lstm", "sentiment/bilstm"])
def test_plain_modules_give_the_same_logits_for_a_review(name: str, runs: dict[str, Path]) -> None:
    tensors = safetensors.torch.load_file(runs[name])
    two, layers = name.endswith("bilstm"), 2 if name.endswith("bilstm") else 1
    words_known, embed_size = tensors["embedding.weight"].shape
    embedding = nn.Embedding(words_known, embed_size, padding_idx=0)
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
        ours, _ = loaded.module(padded, torch.tensor([1, 7, 30]))
        for row, words in enumerate(rows):
            _, (hidden, _) = rnn(embedding(words))
            # Of the top layer, the last state of each direction.
            read = torch.cat((hidden[-2], hidden[-1]), dim=1) if two else hidden[-1]
            plain = fc2(fc1(read).relu())
            torch.testing.assert_close(ours[row : row + 1], plain, atol=1e-5, rtol=0)
            text = " ".join(loaded.info["task_state"]["vocabulary"][i] for i in words[0])
            if "<" not in text:
                (answer,) = loaded.predict([text])
                scores: Any = answer
                assert scores.scores["pos"] == pytest.approx(plain.sigmoid().item(), abs=1e-5)


def test_plain_modules_give_the_same_logits_for_a_text(path: Path) -> None:
    tensors = safetensors.torch.load_file(path)
    characters = parse(path)[0]["task_state"]["vocabulary"]
    embedding, fc = nn.Embedding(len(characters), 6), nn.Linear(5, len(characters))
    rnn = nn.LSTM(6, 5, 2, batch_first=True)
    for key, module in {"embedding": embedding, "rnn": rnn, "fc": fc}.items():
        module.load_state_dict(parts_of(tensors, key), strict=True)
    token_ids = torch.tensor([[characters.index(c) for c in "The 7th sailor counted 49 gulls"]])
    with torch.no_grad():
        plain = fc(rnn(embedding(token_ids))[0])
        ours, _ = zoo.load(path).module(token_ids, torch.tensor([token_ids.shape[1]]))
    torch.testing.assert_close(ours, plain, atol=1e-5, rtol=0)
