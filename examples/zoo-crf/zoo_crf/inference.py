"""From texts to spans, and what a weights file is checked by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from zoo.data.ragged import Ragged
from zoo_crf.encoding import Encoder
from zoo_crf.network import NERNetwork
from zoo_crf.predictions import EntitiesPrediction, Entity
from zoo_crf.spans import spans_of
from zoo_crf.words import split_words

UNKNOWN_TEXT = "Zyxel Qwertz flew to Ouagadougou."


def predict(
    encoder: Encoder, network: nn.Module, texts: Sequence[str]
) -> Iterator[EntitiesPrediction]:
    """Yield the spans of each text, with the probability of all its tags together."""
    places = [split_words(text) for text in texts]
    sentences = [
        tuple(text[start:end] for start, end in found)
        for text, found in zip(texts, places, strict=True)
    ]
    answers = _tag(encoder, network, sentences)
    for text, found, words, (tags, probability) in zip(
        texts, places, sentences, answers, strict=True
    ):
        entities = []
        for span in spans_of(tags):
            start, end = found[span.start][0], found[span.end - 1][1]
            entities.append(Entity(text[start:end], span.type, start, end))
        yield EntitiesPrediction(text, tags, probability, words, tuple(entities))


@torch.inference_mode()
def _tag(
    encoder: Encoder, network: nn.Module, sentences: Sequence[Sequence[str]]
) -> list[tuple[tuple[str, ...], float]]:
    """Return the tags of each sentence, and their probability."""
    assert isinstance(network, NERNetwork)
    device = next(network.parameters()).device
    found: list[tuple[tuple[str, ...], float]] = [((), 1.0)] * len(sentences)
    rows = [row for row, words in enumerate(sentences) if words]
    known: dict[str, list[int]] = {}
    split = Ragged.of([encoder.encode(sentences[row], known) for row in rows], rows)
    for host_batch in split.eval_batches():
        batch = host_batch.to(device)
        emissions = network(batch.inputs, batch.lengths)
        tags = network.output.decode(emissions, batch.lengths)
        likelihoods = network.output.log_likelihood(emissions, tags, batch.lengths).exp()
        for row, length, tag_ids, likelihood in zip(
            batch.targets.tolist(), batch.lengths.tolist(), tags.tolist(), likelihoods.tolist(),
            strict=True,
        ):  # fmt: skip
            # The sums of a likelihood near 1 are rounded.
            found[row] = tuple(encoder.tags[i] for i in tag_ids[:length]), min(likelihood, 1.0)
    return found


def probe_texts(encoder: Encoder) -> list[str]:
    """Return two texts of words from all over the vocabulary, and one of unknown words."""
    words = encoder.words[2:]
    some = words[:: max(len(words) // 40, 1)]
    known = [" ".join(part) for part in (some[:20], some[20:40]) if part]
    return [*known, UNKNOWN_TEXT]


def probe_answers(
    encoder: Encoder, network: nn.Module, texts: Sequence[str]
) -> list[dict[str, Any]]:
    """Return what texts become; see :class:`zoo.interfaces.ProbesTexts`."""
    device = next(network.parameters()).device
    answers = []
    for prediction in predict(encoder, network, texts):
        rows = encoder.encode(prediction.words)
        with torch.inference_mode():
            emissions = network(
                torch.tensor([rows], device=device), torch.tensor([len(rows)], device=device)
            )
        answers.append(
            {
                "token_ids": [number for row in rows for number in row],
                "outputs": emissions.flatten().tolist(),
                "answer": " ".join(prediction.tags),
            }
        )
    return answers
