"""A task of words and labels whose answers depend on everything that a header says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo.interfaces import Batch, BuildModel, Data, Metrics, MetricSums, State, Step, Task
from zoo.nn import gather_last

WORDS = [f"{stem}{ending}" for stem in ("sal", "Tor", "min", "Rel") for ending in "abcdefghij"]


@dataclass(frozen=True)
class WordOptions(zoo.Options):
    """Options of :class:`Words`."""

    max_tokens: int = zoo.option(6, "words that are read", minimum=1)
    truncation: str = zoo.option("head", "which are read", choices=("head", "tail"))
    lower: bool = zoo.option(False, "whether words are read in lower case")


class WordSplit:
    """Rows of one length."""

    def __init__(self, inputs: Tensor) -> None:
        self.inputs = inputs

    @property
    def num_examples(self) -> int:
        return len(self.inputs)

    def train_batches(self, seed: int, epoch: int, batch_size: int) -> Sequence[Batch]:
        return [_batch(rows) for rows in self.inputs.split(batch_size)]

    def eval_batches(self) -> Sequence[Batch]:
        return [_batch(self.inputs)]


def _batch(inputs: Tensor) -> Batch:
    return Batch(inputs, torch.full((len(inputs),), inputs.shape[1]), inputs[:, 0] % 3)


class Words(Task):
    """Which of three classes does the first word of a text have?"""

    def __init__(self, options: WordOptions) -> None:
        self.options = options
        self.vocabulary: list[str] = []
        self.labels: list[str] = []

    def prepare(self, path: Path | None, seed: int, *, fit: bool = True) -> Data:
        if fit:
            self.vocabulary, self.labels = ["", *WORDS], ["one", "two", "three"]
        draw = torch.Generator().manual_seed(3)
        inputs = torch.randint(1, len(WORDS) + 1, (24, self.options.max_tokens), generator=draw)
        whole = WordSplit(inputs)
        names = ("train", "validation", "test", "all")
        return Data(dict.fromkeys(names, whole), "1" * 64, "24 texts")

    def state_dict(self) -> dict[str, Any]:
        return {"vocabulary": self.vocabulary, "labels": self.labels}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.vocabulary = [str(word) for word in state["vocabulary"]]
        self.labels = [str(label) for label in state["labels"]]

    def network(self, build_model: BuildModel) -> nn.Module:
        return WordNetwork(build_model(4), len(self.vocabulary), len(self.labels))

    def step(self, network: nn.Module, batch: Batch, state: State | None) -> Step:
        loss = F.cross_entropy(network(batch.inputs, batch.lengths), batch.targets)
        return Step(loss, {"loss": loss.detach() * len(batch), "rows": torch.tensor(len(batch))})

    def metrics(self, metric_sums: MetricSums) -> Metrics:
        return {"loss": float(metric_sums["loss"]) / int(metric_sums["rows"])}

    def probe(self) -> Batch:
        return _batch(torch.arange(8).view(2, 4) % max(len(self.vocabulary), 1))

    def token_ids(self, text: str) -> list[int]:
        options = self.options
        words = (text.lower() if options.lower else text).split()
        read = words[: options.max_tokens]
        if options.truncation == "tail":
            read = words[-options.max_tokens :]
        known = {word: token_id for token_id, word in enumerate(self.vocabulary)}
        return [known.get(word, 0) for word in read] or [0]

    def probe_texts(self) -> list[str]:
        return [" ".join(self.vocabulary[1:]), " ".join(self.vocabulary[:-4:-1])]

    def probe_answers(
        self, network: nn.Module, texts: Sequence[str]
    ) -> Iterable[Mapping[str, Any]]:
        for text in texts:
            ids = self.token_ids(text)
            logits = network(torch.tensor([ids]), torch.tensor([len(ids)]))[0]
            # All labels, the most probable first: one alone would not show that others changed.
            answer = " ".join(self.labels[index] for index in logits.argsort(descending=True))
            yield {"token_ids": ids, "answer": answer, "outputs": logits.tolist()}


class WordNetwork(nn.Module):
    """Embedding, model, linear layer."""

    def __init__(self, model: Any, num_words: int, num_labels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_words, 4)
        self.rnn = model
        self.fc = nn.Linear(model.output_size, num_labels)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        outputs, _ = self.rnn(self.embedding(inputs), lengths)
        logits: Tensor = self.fc(gather_last(outputs, lengths))
        return logits


WORDS_TASK = zoo.TaskInfo(
    name="words", summary="Three classes of words", target=Words, options=WordOptions,
    monitor="loss", higher_is_better=False,
)  # fmt: skip
