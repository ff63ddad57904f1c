"""The bidirectional language model: its loss, what each direction reads, what starts from it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import zoo
from zoo.checks.reference import BidirectionalReference
from zoo.errors import UsageError
from zoo.interfaces import Batch, Embeds, Generates, ProbesTexts
from zoo_lm.bidirectional_task import WordBiLM
from zoo_lm.options import WordBiLMOptions

WORDS = ["<pad>", "<unk>", "<eos>", *"abcdefgh"]
SETTINGS = {"hidden_size": 6, "embed_size": 4, "steps": 4, "batch_size": 4, "min_count": 1}


def make(**options: Any) -> Any:
    task = WordBiLM(WordBiLMOptions(**{"embed_size": 4, "softmax": "full", **options}))
    task.load_state_dict({"vocabulary": WORDS, "source": ""})
    return task


def network(task: Any, model: str = "bilstm", **options: Any) -> Any:
    torch.manual_seed(5)
    build: Any = partial(zoo.create_model, model, hidden_size=6, **options)
    made = task.network(build).eval()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.5)
    return made


def draw_batch() -> Batch:
    token_ids = torch.randint(3, len(WORDS), (2, 8), generator=torch.Generator().manual_seed(3))
    return Batch(token_ids[:, :-1], torch.full((2,), 7), token_ids[:, 1:])


def write_texts(path: Path, count: int = 80) -> Path:
    letters = np.random.default_rng(1).choice(list("abcdefgh"), (count, 9))
    rows = [{"text": " ".join(row), "label": "xy"[n % 2]} for n, row in enumerate(letters)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_the_loss_is_the_mean_of_two_language_models_of_torch() -> None:
    task = make()
    made, batch = network(task), draw_batch()
    tokens = torch.cat((batch.inputs, batch.targets[:, -1:]), 1)
    losses = []
    for suffix, projection, read in (
        ("", made.projection, tokens),
        ("_reverse", made.backward_projection, tokens.flip(1)),
    ):
        layer = nn.LSTM(4, 6, batch_first=True)
        for name, parameter in layer.named_parameters():
            parameter.data = getattr(made.rnn, name + suffix).data
        outputs, _ = layer(made.embedding(read[:, :-1]))
        logits = projection(outputs) @ made.embedding.weight.T + made.bias
        losses.append(cross_entropy(logits.flatten(0, 1), read[:, 1:].flatten()))
    step = task.step(made, batch, None)
    torch.testing.assert_close(step.loss, sum(losses) / 2)
    assert step.state is None
    metrics = task.metrics(step.metric_sums)
    assert metrics["examples"] == 14
    assert metrics["perplexity"] == pytest.approx(np.exp(float(step.loss.detach())), rel=1e-5)


def test_a_word_is_predicted_from_one_side_alone() -> None:
    made, batch = network(make()), draw_batch()
    vectors = made.embedding(batch.inputs).detach().requires_grad_()
    features = made.project(made.rnn(vectors, batch.lengths)[0])
    for direction, reads in ((0, [0, 1, 2, 3]), (1, [3, 4, 5, 6])):
        (gradient,) = torch.autograd.grad(
            features[:, 3, direction].sum(), vectors, retain_graph=True
        )
        assert gradient.abs().sum((0, 2)).nonzero().flatten().tolist() == reads


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"merge": "sum"}, {"merge": "mul"}])
def test_models_whose_directions_are_mixed_are_refused(options: dict[str, Any]) -> None:
    assert network(make(), "bigru", num_layers=1)
    with pytest.raises(UsageError, match="two directions apart"):
        network(make(), "bigru", **options)


def test_a_model_that_reads_in_one_direction_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="'lstm' cannot be used for task 'word-bilm'"):
        zoo.train("word-bilm/lstm")


def test_a_file_of_it_answers_as_the_run_does(tmp_path: Path) -> None:
    path = write_texts(tmp_path / "texts.jsonl")
    run = zoo.train("word-bilm/bigru", path, out=tmp_path / "r", settings=SETTINGS, progress=False)
    run.model.save(tmp_path / "x.safetensors")
    loaded = zoo.load(tmp_path / "x.safetensors")
    assert loaded.verify() == 0
    task: Any = loaded.task
    assert isinstance(task, ProbesTexts)
    assert isinstance(task, Embeds)
    assert not isinstance(task, Generates)
    texts = ["a b e", ""]
    np.testing.assert_array_equal(loaded.embed(texts), run.model.embed(texts))
    assert loaded.embed(texts).shape == (2, 12)
    with pytest.raises(UsageError, match="cannot generate"):
        loaded.generate("a", 3)


def test_a_bidirectional_classifier_takes_both_directions(tmp_path: Path) -> None:
    path = write_texts(tmp_path / "texts.jsonl")
    first: Any = zoo.train(
        "word-bilm/bilstm", path, out=tmp_path / "lm", settings=SETTINGS, progress=False
    ).model
    tuned = zoo.train(
        "text-classification/bilstm", path, out=tmp_path / "tuned", init=tmp_path / "lm",
        settings={"steps": 1, "learning_rate": 1e-12, "ngram_weight": 0}, progress=False,
    )  # fmt: skip
    assert "9 tensors taken" in tuned.transfer
    after: Any = tuned.model
    for name, tensor in first.module.rnn.named_parameters():
        torch.testing.assert_close(after.module.rnn.get_parameter(name), tensor)


def test_it_starts_from_a_language_model_of_one_direction(tmp_path: Path) -> None:
    path = write_texts(tmp_path / "texts.jsonl")
    forward = zoo.train(
        "word-lm/lstm", path, out=tmp_path / "lm", settings=SETTINGS, progress=False
    )
    both = zoo.train(
        "word-bilm/bilstm", path, out=tmp_path / "both", init=tmp_path / "lm", progress=False,
        settings={"steps": 1, "learning_rate": 1e-12},
    )  # fmt: skip
    assert "the other one is fresh" in both.transfer
    before: Any = forward.model
    after: Any = both.model
    for name in ("rnn.weight_hh_l0", "projection.weight"):
        torch.testing.assert_close(
            after.module.get_parameter(name), before.module.get_parameter(name)
        )


def test_the_reference_of_the_checks_reads_rows_in_both_directions() -> None:
    torch.manual_seed(2)
    model = BidirectionalReference(3).eval()
    inputs, lengths = torch.randn(2, 5, 3), torch.tensor([5, 3])
    outputs, state = model(inputs, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = inputs[row : row + 1, :length]
        forward, _ = model.directions[0](alone, lengths[row : row + 1])
        backward, _ = model.directions[1](alone.flip(1), lengths[row : row + 1])
        expected = torch.cat((forward, backward.flip(1)), 2)[0]
        torch.testing.assert_close(outputs[row, :length], expected)
        assert not outputs[row, length:].any()
        last = torch.cat((forward[0, -1], backward[0, -1]))
        torch.testing.assert_close(model.readout(state)[row], last)
