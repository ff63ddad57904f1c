"""The options of the text tasks. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

import zoo


@dataclass(frozen=True)
class TextOptions(zoo.Options):
    """Options that all text tasks share: the file, the parts, the network and its training.

    Those of the training are for fine-tuning, above all:

    * ``adversarial``: T. Miyato, A. Dai, I. Goodfellow, *Adversarial training methods for
      semi-supervised text classification*, ICLR 2017, arXiv:1605.07725; see
      :mod:`zoo_text.adversarial`.
    * ``encoder_learning_rate`` and ``unfreeze_every``: discriminative learning rates and gradual
      unfreezing of J. Howard and S. Ruder, *Universal language model fine-tuning for text
      classification*, ACL 2018, arXiv:1801.06146; see :mod:`zoo_text.layers`.
    """

    # The file
    text_column: str = zoo.option("", "column of a table that has the texts; empty: it is found")
    label_column: str = zoo.option("", "column of a table that has the labels; empty: it is found")
    encoding: str = zoo.option("", "encoding of a text file, such as utf-8; empty: it is detected")
    delimiter: str = zoo.option(
        "", "what separates the columns of a text file, `tab` for one; empty: it is detected"
    )
    quote: str = zoo.option("", "what encloses cells, `none` for nothing; empty: it is detected")
    header: str = zoo.option(
        "auto", "whether the first row has the names of columns", choices=("auto", "yes", "no")
    )
    validation_data: str = zoo.option(
        "", "file of the validation split; empty: a share of --data", is_path=True
    )
    test_data: str = zoo.option(
        "", "file of the test split; empty: a share of --data", is_path=True
    )
    more_data: str = zoo.option(
        "",
        "file of further training texts with labels, such as those that a model gave to texts "
        "without any",
        is_path=True,
    )
    validation_size: float = zoo.option(
        0.1,
        "share of the training data for the validation split",
        minimum=0.01,
        maximum=0.9,
        old_names=("validation",),
        old_names_since="0.2",
        old_names_removed="1.0",
    )
    test_size: float = zoo.option(
        0.2,
        "share of the data for the test split, where the data has none; 0: there is no test split",
        minimum=0.0,
        maximum=0.9,
        old_names=("test",),
        old_names_since="0.2",
        old_names_removed="1.0",
    )
    duplicates: str = zoo.option(
        "drop",
        "what happens to training texts that are also in another split",
        choices=("drop", "keep"),
    )
    labels: str = zoo.option(
        "auto",
        "what the labels are; classes: one a text; multilabel: several; auto: they are looked at",
        choices=("auto", "classes", "multilabel", "numbers"),
    )
    # Tokens
    tokens: str = zoo.option(
        "subwords",
        "what a step is; words: a word of a vocabulary; subwords: a word, whose vector is the sum "
        "of those of its parts; characters: a character with its neighbours",
        choices=("words", "subwords", "characters"),
    )
    max_tokens: int = zoo.option(256, "tokens of a text that are read; 0: all", minimum=0)
    truncation: str = zoo.option(
        "head+tail",
        "which tokens of a longer text are read",
        choices=("head", "tail", "head+tail"),
        old_names=("keep",),
        old_names_since="0.2",
        old_names_removed="1.0",
        old_values={"both": "head+tail"},
    )
    max_units: int = zoo.option(
        16383, "largest number of parts of words that have a vector, with subwords", minimum=1
    )
    min_count: int = zoo.option(
        1, "occurrences in the training split that a word of the vocabulary needs", minimum=1
    )
    max_vocab: int = zoo.option(0, "largest number of words in the vocabulary; 0: all", minimum=0)
    vectors: str = zoo.option(
        "",
        "file of pretrained word vectors: on each line a word and its elements",
        is_path=True,
    )
    # Network
    input: str = zoo.option(
        "embedding",
        "how words are represented; onehot: as one-hot vectors, without an embedding",
        choices=("embedding", "onehot"),
    )
    embed_size: int = zoo.option(64, "dimensions of the vector of a token", minimum=1)
    embed_std: float = zoo.option(0.1, "standard deviation of initial vectors", minimum=0.0)
    word_dropout: float = zoo.option(
        0.3, "probability that a token is replaced by an unknown one", minimum=0.0, maximum=0.99
    )
    embed_dropout: float = zoo.option(
        0.5, "dropout probability of the embedding's output", minimum=0.0, maximum=0.99
    )
    pooling: str = zoo.option(
        "last+mean+max",
        "how the outputs of all steps become one vector",
        choices=("last", "mean", "max", "last+mean+max"),
    )
    dropout: float = zoo.option(
        0.5, "dropout probability of the pooled vector", minimum=0.0, maximum=0.99
    )
    fc_size: int = zoo.option(0, "units of a hidden linear layer; 0: none", minimum=0)
    # Training
    adversarial: float = zoo.option(
        0.0,
        "norm of an adversarial change of the vectors of a text, as a share of their norm; a "
        "second loss is computed with it; 0: none",
        minimum=0.0,
        maximum=1.0,
    )
    encoder_learning_rate: float = zoo.option(
        1.0,
        "learning rate of embedding and model, as a share of that of the layers above",
        minimum=0.0,
        maximum=1.0,
    )
    unfreeze_every: int = zoo.option(
        0,
        "epochs until the next layer is trained, too, from the top down to the embedding; 0: all "
        "layers are trained from the start",
        minimum=0,
    )
    # Linear models
    ngram_weight: float = zoo.option(
        0.7,
        "share of the linear model of n-grams in the outputs; 0: the recurrent part alone",
        minimum=0.0,
        maximum=1.0,
    )
    ngram_bits: int = zoo.option(
        0,
        "size, as a power of two, of a hashed linear model of words and word pairs that is trained "
        "with the network, with tokens=words; 0: none",
        minimum=0,
        maximum=24,
    )

    def validate(self) -> None:
        for name, value in (("vectors", self.vectors), ("adversarial", self.adversarial)):
            if value and self.input == "onehot":
                raise ValueError(f"{name} is for input=embedding, and input is onehot")
        if self.tokens != "words":
            for name, value, off in (
                ("input", self.input, "embedding"),
                ("vectors", self.vectors, ""),
                ("ngram_bits", self.ngram_bits, 0),
                ("min_count", self.min_count, 1),
                ("max_vocab", self.max_vocab, 0),
            ):
                if value != off:
                    raise ValueError(f"{name} is for tokens=words, and tokens is {self.tokens}")


@dataclass(frozen=True)
class ClassificationOptions(TextOptions):
    """Options of :class:`zoo_text.classification.TextClassification`."""

    class_weight: str = zoo.option(
        "none",
        "balanced: errors count more for rare labels, as in scikit-learn",
        choices=("none", "balanced"),
    )
    label_smoothing: float = zoo.option(
        0.05, "share of a target that is spread over all labels", minimum=0.0, maximum=0.5
    )
    calibration: str = zoo.option(
        "temperature",
        "temperature: the validation split decides how far probabilities are from one half",
        choices=("none", "temperature"),
    )
    threshold: str = zoo.option(
        "half",
        "from which probability on the second of two labels is predicted; other than half: by what "
        "it is chosen on the validation split",
        choices=("half", "accuracy", "balanced_accuracy", "f1"),
    )


@dataclass(frozen=True)
class MultilabelOptions(ClassificationOptions):
    """Options of :class:`zoo_text.multilabel.TextMultilabel`."""

    threshold: str = zoo.option(
        "f1",
        "by what the probability from which on a label is predicted, one for all labels, is chosen "
        "on the validation split; none: it is 0.5",
        choices=("none", "accuracy", "balanced_accuracy", "f1"),
        old_values={"half": "f1"},
    )


@dataclass(frozen=True)
class RegressionOptions(TextOptions):
    """Options of :class:`zoo_text.regression.TextRegression`."""
