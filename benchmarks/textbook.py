"""The textbook's method, written again from its description: the baseline.

Reviews: tokenised anew for every batch, rows of any length together, packed sequences, the loss
through a sigmoid. Characters: every window materialised as a list, all indices shuffled for every
batch, one call of the network a character.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

Labelled = tuple[str, int]


def tokenize(text: str) -> list[str]:
    text = re.sub(r"<[^>]*>", "", text)
    emoticons = re.findall(r"(?::|;|=)(?:-)?(?:\)|\(|d|p)", text.lower())
    text = re.sub(r"[\W]+", " ", text.lower()) + " " + " ".join(emoticons).replace("-", "")
    return text.split()


class Reviews:
    """Vocabulary and batches."""

    def __init__(self, reviews: Sequence[Labelled]) -> None:
        counts: Counter[str] = Counter()
        for text, _ in reviews:
            counts.update(tokenize(text))
        ranked = sorted(counts.items(), key=lambda pair: pair[1], reverse=True)
        self.numbers = {word: number + 2 for number, (word, _) in enumerate(ranked)}
        self.reviews = reviews

    def collate(self, batch: Sequence[Labelled]) -> tuple[Tensor, Tensor, Tensor]:
        rows = [
            torch.tensor([self.numbers.get(word, 1) for word in tokenize(text)] or [1])
            for text, _ in batch
        ]
        labels = torch.tensor([float(label) for _, label in batch])
        lengths = torch.tensor([len(row) for row in rows])
        return nn.utils.rnn.pad_sequence(rows, batch_first=True), labels, lengths

    def batches(self, *, shuffle: bool) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        loader = DataLoader(self.reviews, 32, shuffle=shuffle, collate_fn=self.collate)  # type: ignore[arg-type]
        yield from loader


class Classifier(nn.Module):
    """Embedding 20, packed recurrent layer 64, Linear 64, ReLU, Linear 1, sigmoid."""

    def __init__(self, words: int, kind: type[nn.RNNBase], *, both: bool) -> None:
        super().__init__()
        self.both = both
        self.embedding = nn.Embedding(words, 20, padding_idx=0)
        self.rnn = kind(20, 64, batch_first=True, bidirectional=both)
        self.fc1 = nn.Linear(128 if both else 64, 64)
        self.fc2 = nn.Linear(64, 1)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(words), lengths, enforce_sorted=False, batch_first=True
        )
        _, state = self.rnn(packed)
        hidden = state[0] if isinstance(state, tuple) else state
        last = torch.cat((hidden[-2], hidden[-1]), dim=1) if self.both else hidden[-1]
        return torch.sigmoid(self.fc2(torch.relu(self.fc1(last))))[:, 0]


def train_reviews(network: Classifier, data: Reviews, steps: int) -> Iterator[int]:
    """Train, yielding the number of words after each batch."""
    loss_function = nn.BCELoss()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    network.train()
    for step, (words, labels, lengths) in enumerate(data.batches(shuffle=True)):
        if step == steps:
            return
        optimizer.zero_grad()
        loss = loss_function(network(words, lengths), labels)
        loss.backward()
        optimizer.step()
        yield int(lengths.sum())


def evaluate_reviews(network: Classifier, data: Reviews) -> float:
    network.eval()
    hits = 0.0
    with torch.no_grad():
        for words, labels, lengths in data.batches(shuffle=False):
            hits += ((network(words, lengths) >= 0.5).float() == labels).float().sum().item()
    return hits / len(data.reviews)


class Windows(Dataset[tuple[Tensor, Tensor]]):
    """All windows of 41 characters, as one materialised tensor."""

    def __init__(self, codes: Sequence[int]) -> None:
        windows = [codes[at : at + 41] for at in range(len(codes) - 40)]
        self.windows = torch.tensor(windows)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.windows[index, :-1].long(), self.windows[index, 1:].long()


class CharacterModel(nn.Module):
    """Embedding 256, LSTM 512, Linear; one character a call."""

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(characters, 256)
        self.rnn = nn.LSTM(256, 512, batch_first=True)
        self.fc = nn.Linear(512, characters)

    def forward(self, character: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        outputs, state = self.rnn(self.embedding(character)[:, None], state)
        return self.fc(outputs)[:, 0], state


def train_characters(network: CharacterModel, windows: Windows, steps: int) -> Iterator[int]:
    """Train, yielding the number of characters after each batch of 64 windows."""
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    loader = DataLoader(windows, 64, shuffle=True, drop_last=True)
    for _ in range(steps):
        state = (torch.zeros(1, 64, 512), torch.zeros(1, 64, 512))
        inputs, targets = next(iter(loader))
        optimizer.zero_grad()
        loss = torch.tensor(0.0)
        for at in range(40):
            logits, state = network(inputs[:, at], state)
            loss = loss + loss_function(logits, targets[:, at])
        loss.backward()
        optimizer.step()
        yield inputs.numel()


def sample(network: CharacterModel, start: Sequence[int], length: int) -> list[int]:
    network.eval()
    state = (torch.zeros(1, 1, 512), torch.zeros(1, 1, 512))
    written = list(start)
    with torch.no_grad():
        for character in start[:-1]:
            _, state = network(torch.tensor([character]), state)
        for _ in range(length):
            logits, state = network(torch.tensor([written[-1]]), state)
            drawn = torch.distributions.categorical.Categorical(logits=logits[0]).sample()
            written.append(int(drawn))
    return written
