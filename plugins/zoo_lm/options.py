"""The options of the language model tasks. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

import zoo


@dataclass(frozen=True)
class CorpusOptions(zoo.Options):
    """Options that the tasks share: the network, the batches and the splits."""

    embed_size: int = zoo.option(256, "dimensions of the embedding", minimum=1)
    embed_dropout: float = zoo.option(
        0.0, "dropout probability of the embedding's output", minimum=0.0, maximum=0.99
    )
    dropout: float = zoo.option(
        0.0, "dropout probability of the model's output", minimum=0.0, maximum=0.99
    )
    locked_dropout: bool = zoo.option(
        False, "whether both dropouts zero the same values at every step of a row"
    )
    bptt_steps: int = zoo.option(
        40,
        "steps that gradients flow back through",
        minimum=1,
        old_names=("window",),
        old_names_since="0.2",
        old_names_removed="1.0",
    )
    batching: str = zoo.option(
        "random",
        "how training reads the text: in contiguous rows with carried state, or in windows at "
        "random places, of which an epoch has as many as the text has characters",
        choices=("contiguous", "random"),
        old_names=("reading",),
        old_names_since="0.2",
        old_names_removed="1.0",
        old_values={"streams": "contiguous", "windows": "random"},
    )
    validation_size: float = zoo.option(
        0.05,
        "share of the text, before the test split, for the validation split",
        minimum=1e-6,
        maximum=0.4,
        old_names=("validation",),
        old_names_since="0.2",
        old_names_removed="1.0",
    )
    test_size: float = zoo.option(
        0.1,
        "share of the text, at its end, for the test split",
        minimum=1e-6,
        maximum=0.4,
        old_names=("test",),
        old_names_since="0.2",
        old_names_removed="1.0",
    )

    def validate(self) -> None:
        """Refuse what would change nothing."""
        if self.locked_dropout and not (self.dropout or self.embed_dropout):
            raise ValueError("locked_dropout says how dropout is drawn, and both dropouts are 0")


@dataclass(frozen=True)
class LMOptions(CorpusOptions):
    """Options of tasks that carry the state from one batch to the next."""

    reset_probability: float = zoo.option(
        0.0,
        "probability that a contiguous row of a training batch starts from the model's initial "
        "state, so that the network learns to begin",
        minimum=0.0,
        maximum=0.99,
    )

    def validate(self) -> None:
        """Refuse what would change nothing."""
        super().validate()
        if self.reset_probability and self.batching != "contiguous":
            raise ValueError("reset_probability needs batching=contiguous, which carries the state")


@dataclass(frozen=True)
class CharLMOptions(LMOptions):
    """Options of :class:`zoo_lm.char_task.CharLM`."""

    input: str = zoo.option(
        "embedding",
        "how characters are represented; onehot: as one-hot vectors, without an embedding",
        choices=("embedding", "onehot"),
    )
    window_steps: int = zoo.option(
        0, "steps of the windows that windowed_loss is measured in; 0: bptt_steps", minimum=0
    )
    start: str = zoo.option("", "marker that the text starts with; empty: from the beginning")
    end: str = zoo.option("", "marker that the text ends before; empty: to the end")


@dataclass(frozen=True)
class WordOptions(CorpusOptions):
    """Options of tasks over words."""

    more_data: str = zoo.option(
        "", "further texts that are read with those of --data, of the same kinds", is_path=True
    )
    text_column: str = zoo.option("", "column of a table that has the texts; empty: it is found")
    max_vocab: int = zoo.option(
        20_000, "largest number of words in the vocabulary; 0: all", minimum=0
    )
    min_count: int = zoo.option(
        2, "occurrences in the training split that a word of the vocabulary needs", minimum=1
    )
    softmax: str = zoo.option(
        "sampled",
        "how the loss of training is computed; full: over the whole vocabulary; sampled: over the "
        "word that follows and a sample of others; adaptive: rare words in clusters",
        choices=("full", "sampled", "adaptive"),
    )
    num_sampled: int = zoo.option(
        2048,
        "words that are drawn for each batch, with softmax=sampled; a vocabulary that is no "
        "larger has the full softmax",
        minimum=1,
    )


@dataclass(frozen=True)
class WordLMOptions(LMOptions, WordOptions):
    """Options of :class:`zoo_lm.word_task.WordLM`."""


@dataclass(frozen=True)
class WordBiLMOptions(WordOptions):
    """Options of :class:`zoo_lm.bidirectional_task.WordBiLM`."""

    batching: str = zoo.option(
        "random",
        "how training reads the text, in windows that each start from the initial state; "
        "contiguous: each word once an epoch; random: at random places, of which an epoch has as "
        "many as the text has words",
        choices=("contiguous", "random"),
    )
