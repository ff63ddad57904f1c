"""Reviews from archives, folders and tables: the same reviews, or one clear line."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_sentiment import OPTIONS, PLAIN

import zoo
from zoo.errors import DataError
from zoo.interfaces import Split
from zoo_sentiment.corpus import Corpus, load
from zoo_sentiment.options import SentimentOptions
from zoo_sentiment.task import Sentiment
from zoo_text.batches import TextSplit
from zoo_text.tokens import tokenize

PER_CLASS = 12
FILMS = 4


def texts() -> dict[str, str]:
    """The files of a small IMDb: two parts, two labels, three reviews of each of four films."""
    files = {}
    for part in ("train", "test"):
        for label in ("pos", "neg"):
            for n in range(PER_CLASS):
                words = f"A {label} film no{n} — {part} of<br />it, word{n % 5}"
                files[f"{part}/{label}/{n}_{7 if label == 'pos' else 3}.txt"] = words
            urls = [f"http://films/{part}{n % FILMS}/comments\n" for n in range(PER_CLASS)]
            files[f"{part}/urls_{label}.txt"] = "".join(urls)
    files["train/unsup/0_0.txt"] = "unlabelled"
    files["README"] = "read me"
    return files


def archive(path: Path, files: Mapping[str, str | bytes], mode: Any = "w:gz") -> Path:
    # Not in the order of the folder, as the published archive is not.
    with tarfile.open(path, mode) as tar:
        for name, text in sorted(files.items(), key=lambda item: item[0][::-1]):
            content = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(f"aclImdb/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def folder(path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text, encoding="utf-8")
    return path


def task(**options: Any) -> Sentiment:
    return Sentiment(SentimentOptions(**{**OPTIONS, **options}))


def spelled(corpus: Corpus) -> list[tuple[list[str], str, bool, int]]:
    """Return each review as words, label, part and film."""
    return [
        (
            [corpus.words[i] for i in corpus.review(row)],
            corpus.labels[corpus.label[row]],
            bool(corpus.is_test[row]),
            int(corpus.film[row]),
        )
        for row in range(len(corpus.lengths))
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's GREAT", ["it", "s", "great"]),
        ("so good :D", ["so", "good", ":d"]),
        ("so good :-)", ["so", "good", ":)"]),
        (";P and :-( and =)", [";p", "and", ":(", "and", "=)"]),
        ("good:)", ["good", ":)"]),
        ("Film:dog", ["film", "dog"]),
        ("a<br /><br />b", ["a", "b"]),
        ("<i>very</i> well-made...", ["very", "well", "made"]),
        ("10/10, señor naïve", ["10", "10", "señor", "naïve"]),
        ("?! -- <br>", []),
    ],
)
def test_words_and_emoticons_are_kept_and_the_rest_is_dropped(text: str, words: list[str]) -> None:
    assert tokenize(text) == words


def test_archive_and_folder_hold_the_same_corpus(tmp_path: Path) -> None:
    files = texts()
    sources = [
        archive(tmp_path / "a.tar.gz", files),
        archive(tmp_path / "b.tar", files, "w"),
        archive(tmp_path / "c.tar.xz", files, "w:xz"),
        folder(tmp_path / "aclImdb", files),
        tmp_path,  # The folder that holds it.
    ]
    first, *others = (load(source) for source in sources)
    rows = spelled(first)
    assert len(rows) == 4 * PER_CLASS
    assert Counter((label, test) for _, label, test, _ in rows) == {
        (label, test): PER_CLASS for label in ("pos", "neg") for test in (True, False)
    }
    assert (["a", "pos", "film", "no7", "test", "of", "it", "word2"], "pos", True) in [
        row[:3] for row in rows
    ]
    for other in others:
        assert spelled(other) == rows
        assert other.words == first.words


def test_the_film_of_each_review_is_read(tmp_path: Path) -> None:
    corpus = load(archive(tmp_path / "a.tar.gz", texts()))
    films: dict[int, set[tuple[bool, int]]] = {}
    for words, _, test, film in spelled(corpus):
        films.setdefault(film, set()).add((test, int(words[3].removeprefix("no")) % FILMS))
    assert len(films) == 2 * FILMS
    assert all(len(reviews_of) == 1 for reviews_of in films.values())


def table(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("content", ["no archive", b""])
def test_what_is_no_archive_is_reported_in_one_line(content: str | bytes, tmp_path: Path) -> None:
    path = table(tmp_path, "r.tar.gz", content)
    with pytest.raises(DataError, match="damaged") as failure:
        load(path)
    assert str(path) in str(failure.value)
    assert "\n" not in str(failure.value)


def read_as(path: Path, **options: Any) -> Counter[tuple[str, str]]:
    """Return the words of each text of a table, with its label, as a plain network reads them."""
    made = task(**options)
    split: Any = made.prepare(path, seed=1).splits["all"]
    read = (made.encoder.encode([text])[0].values for text in split.texts)
    words = (" ".join(made.encoder.words[n] for n in text) for text in read)
    return Counter(zip(words, (made.labels[n] for n in split.targets), strict=True))


@pytest.mark.parametrize(
    ("name", "delimiter", "encoding", "header"),
    [
        ("r.csv", ",", "utf-8", "text,label"),
        ("r.csv", ";", "cp1252", "review;sentiment"),
        ("r.txt", "\t", "utf-16", "stars\tbody"),
    ],
)
def test_a_plain_network_reads_tables_as_every_text_task_does(
    name: str, delimiter: str, encoding: str, header: str, tmp_path: Path
) -> None:
    labels = ("schön", "schlecht")
    rows = [(f"ein {labels[n % 2]}er Film", labels[n % 2]) for n in range(40)]
    lines = [header, *(delimiter.join(r[::-1] if "body" in header else r) for r in rows)]
    path = table(tmp_path, name, "\n".join(lines).encode(encoding))
    assert read_as(path) == Counter((text.lower(), label) for text, label in rows)


def test_texts_beyond_the_limit_of_csv_are_read(tmp_path: Path) -> None:
    rows = "".join(f"{'long ' * 30_000},pos\nshort {n},neg\n" for n in range(10))
    path = table(tmp_path, "r.csv", f"text,label\n{rows}")
    made = task()
    split: Any = made.prepare(path, seed=1).splits["all"]
    assert Counter(split.tokens.lengths.tolist()) == {30_000: 10, 2: 10}


def test_a_plain_network_takes_a_file_for_the_test_split(tmp_path: Path) -> None:
    rows = [f"film {n},{'ab'[n % 2]}\n" for n in range(60)]
    path = table(tmp_path, "r.csv", "text,label\n" + "".join(rows[:40]))
    test = table(tmp_path, "test.csv", "text,label\n" + "".join(rows[35:]))
    data = task(test_data=str(test)).prepare(path, seed=1)
    assert sorted(texts_of(data.splits["test"])) == sorted(row[:-3] for row in rows[35:])
    # Five are in both files, and are left out of the training.
    assert data.splits["train"].num_examples + data.splits["validation"].num_examples == 35


def test_repeated_texts_are_told(tmp_path: Path) -> None:
    rows = "".join(f"film {n // 2},{'ab'[n // 2 % 2]}\n" for n in range(80))
    data = task().prepare(table(tmp_path, "r.csv", f"text,label\n{rows}"), seed=1)
    splits: Any = data.splits
    held_out = {*texts_of(splits["validation"]), *texts_of(splits["test"])}
    shared = sum(text in held_out for text in texts_of(splits["train"]))
    assert shared
    assert f"in a part that is drawn, too: {shared} training texts (kept)" in " ".join(
        " ".join(data.notes).split()
    )


@pytest.mark.parametrize("options", [{}, {"tokens": "subwords"}])
def test_reviews_that_are_also_in_the_test_split_are_told(
    options: dict[str, Any], tmp_path: Path
) -> None:
    files = texts()
    for n in range(PER_CLASS):
        files[f"test/pos/{n}_7.txt"] = files[f"train/pos/{n}_7.txt"]
    data = task(**options).prepare(archive(tmp_path / "a.tar.gz", files), seed=1)
    shared = {*texts_of(data.splits["train"])} & {*texts_of(data.splits["test"])}
    assert 6 < len(shared) < PER_CLASS
    note = " ".join(" ".join(data.notes).split())
    assert f"repeated: {len(shared)} training texts in test, too (kept, so that" in note
    assert not task(**options).prepare(archive(tmp_path / "b.tar.gz", texts()), seed=1).notes


def test_a_folder_with_two_data_sets_in_it_is_refused(tmp_path: Path) -> None:
    folder(tmp_path / "first", texts())
    assert len(load(tmp_path).lengths) == len(load(tmp_path / "first").lengths)
    folder(tmp_path / "second", texts())
    with pytest.raises(DataError, match=r"more than one data set.*first and second"):
        load(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_an_archive_cut_short_is_refused(share: float, tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", texts())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"damaged or cut short.*fetch"):
        load(path)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", texts())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        load(path)


def test_an_uncompressed_archive_cut_at_half_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar", texts(), "w")
    content = path.read_bytes()
    # Between two members, where only the missing end shows it.
    path.write_bytes(content[: len(content) // 2 // 1024 * 1024])
    with pytest.raises(DataError, match="damaged"):
        load(path)


def test_an_archive_without_reviews_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no reviews"):
        load(archive(tmp_path / "a.tar.gz", {"README": "read me"}))


def test_a_bad_byte_is_reported_with_the_file_inside_the_archive(tmp_path: Path) -> None:
    files: dict[str, Any] = {**texts(), "train/neg/3_1.txt": b"not \xe9 UTF-8"}
    path = archive(tmp_path / "a.tar.gz", files)
    with pytest.raises(DataError, match=r"train/neg/3_1\.txt: byte 0xe9 at offset 4"):
        load(path)


def test_nothing_of_an_archive_is_unpacked(tmp_path: Path) -> None:
    files = {**texts(), "../../../evil.txt": "x", "../../train/pos/99_1.txt": "a pos film"}
    load(archive(tmp_path / "a.tar.gz", files))
    assert [path.name for path in tmp_path.rglob("*")] == ["a.tar.gz"]


def test_gzip_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", texts())
    content = bytearray(gzip.compress(gzip.decompress(path.read_bytes())))
    content[-5] ^= 1  # In the checksum that ends a gzip file.
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        load(path)


def texts_of(split: Any) -> list[str]:
    return [split.text(int(row)) for row in split.tokens.targets]


def three_labels(path: Path) -> Path:
    lines = ["text,label"]
    for n in range(240):
        label = ("bad", "fair", "good")[n % 3]
        lines.append(f"the film number {n} was {label}ly made,{label}")
    path.write_text("\n".join(lines))
    return path


def test_three_labels_train_and_predict(train_here: Callable[..., Any], tmp_path: Path) -> None:
    data = three_labels(tmp_path / "three.csv")
    train_here(
        "sentiment/gru", tmp_path / "run", *PLAIN, "epochs=12", "learning_rate=0.02",
        "hidden_size=12", "batch_size=16", "average=0.0", data=data,
    )  # fmt: skip
    model = zoo.load(tmp_path / "run")
    predictions: list[Any] = list(
        model.predict(["a goodly film", "it was badly made", "fairly made"])
    )
    assert [prediction.label for prediction in predictions] == ["good", "bad", "fair"]
    for prediction in predictions:
        assert sorted(prediction.scores) == ["bad", "fair", "good"]
        assert sum(prediction.scores.values()) == pytest.approx(1, abs=1e-5)
        assert prediction.probability == prediction.scores[prediction.label] > 0.5
    metrics = model.evaluate(data, split="validation")
    assert len(metrics["confusion"]["values"]) == 3
    assert metrics["accuracy"] > 0.9


def test_the_vocabulary_is_built_of_the_training_split_alone(tmp_path: Path) -> None:
    made = task(validation_size=0.25)
    path = archive(tmp_path / "a.tar.gz", texts())
    data = made.prepare(path, seed=1)
    corpus = load(path)
    train = data.splits["train"]
    assert train.num_examples == 18
    # Each review has unique words, its number and its split; those of held-out reviews are unknown.
    held_out = {"validation": 6, "test": 24}
    for name, count in held_out.items():
        split = data.splits[name]
        assert split.num_examples == count
        unknown = sum(
            int((batch.inputs[row, : batch.lengths[row]] == 1).sum())
            for batch in split.eval_batches()
            for row in range(len(batch.inputs))
        )
        assert unknown > 0
    seen = Counter(
        made.encoder.words[i]
        for batch in train.eval_batches()
        for row, length in zip(batch.inputs, batch.lengths, strict=True)
        for i in row[:length]
    )
    assert "<unk>" not in seen
    assert made.encoder.words[:2] == ["<pad>", "<unk>"]
    assert set(made.encoder.words[2:]) == set(seen)
    assert "test" not in made.encoder.words
    assert set(seen) < set(corpus.words)


def test_token_ids_are_ordered_by_decreasing_frequency(tmp_path: Path) -> None:
    rows = [f"{'often ' * 4}{'sometimes ' * 2}once{n},{'ab'[n % 2]}" for n in range(40)]
    path = table(tmp_path, "r.csv", "text,label\n" + "\n".join(rows))
    made = task()
    made.prepare(path, seed=1)
    assert made.encoder.words[2:4] == ["often", "sometimes"]
    assert made.encoder.words[4:] == sorted(made.encoder.words[4:])
    assert made.encoder.encode(["often sometimes never"])[0].values.tolist() == [2, 3, 1]
    rare = task(min_count=2)
    rare.prepare(path, seed=1)
    assert rare.encoder.words == ["<pad>", "<unk>", "often", "sometimes"]
    few = task(max_vocab=1)
    few.prepare(path, seed=1)
    assert few.encoder.words == ["<pad>", "<unk>", "often"]


def test_pretrained_vectors_land_in_the_embedding(tmp_path: Path) -> None:
    data = table(
        tmp_path, "r.csv", "text,label\n" + "\n".join(f"fine film {n},{n % 2}" for n in range(40))
    )
    table(tmp_path, "glove.txt", "film 1.5 -2 0.25\nunused 9 9 9\nfine 0 0.5 4\n")
    made = task(vectors=str(tmp_path / "glove.txt"), embed_size=3)
    made.prepare(data, seed=1)
    build: Any = partial(zoo.create_model, "lstm")
    weight = made.network(build).get_parameter("embedding.weight").detach()
    by_word = dict(zip(made.encoder.words, weight, strict=True))
    assert by_word["film"].tolist() == [1.5, -2, 0.25]
    assert by_word["fine"].tolist() == [0, 0.5, 4]
    assert by_word["<pad>"].tolist() == [0, 0, 0]
    others = torch.stack([v for w, v in by_word.items() if w not in ("film", "fine", "<pad>")])
    assert 0 < others.abs().max() < 0.5
    with pytest.raises(DataError, match=r"have 3 dimensions.*embed_size is 20.*embed_size=3"):
        task(vectors=str(tmp_path / "glove.txt")).prepare(data, seed=1)
    with pytest.raises(DataError, match="no file of word vectors"):
        task(vectors=str(tmp_path / "none.txt")).prepare(data, seed=1)
    table(tmp_path, "bad.txt", "film 1 2 3\nfine 1 2\n")
    with pytest.raises(DataError, match="malformed"):
        task(vectors=str(tmp_path / "bad.txt"), embed_size=3).prepare(data, seed=1)
    assert list(tmp_path.glob("*.pt")) == []
    with pytest.raises(ValueError, match="vectors is for input=embedding"):
        task(vectors=str(tmp_path / "glove.txt"), input="onehot")


def test_vectors_trained_with_are_not_needed_afterwards(
    train_here: Callable[..., Any], tmp_path: Path
) -> None:
    vectors = table(tmp_path, "glove.txt", "film 1 2 3\n")
    settings = (*PLAIN, "steps=1", f"vectors={vectors}", "embed_size=3")
    train_here("sentiment/rnn", tmp_path / "run", *settings)
    vectors.unlink()
    assert len(list(zoo.load(tmp_path / "run").predict(["a film"]))) == 1


def films_of(split: Split, corpus: Corpus) -> set[int]:
    assert isinstance(split, TextSplit)
    by_start = dict(zip(corpus.starts.tolist(), corpus.film.tolist(), strict=True))
    return {by_start[start] for start in split.tokens.starts.tolist()}


def test_a_split_by_film_has_no_film_in_two_splits(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", texts())
    corpus = load(path)
    splits = task(split="film", validation_size=0.5).prepare(path, seed=1).splits
    sides = [films_of(splits[name], corpus) for name in ("train", "validation", "test")]
    assert [len(side) for side in sides] == [2, 2, 4]
    assert len(set.union(*sides)) == 8
    mixed = task(split="random", validation_size=0.5).prepare(path, seed=1).splits
    assert films_of(mixed["train"], corpus) & films_of(mixed["validation"], corpus)


def test_subwords_and_a_linear_model_are_split_by_film_likewise(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", texts())
    settings: Any = {"split": "film", "validation_size": 0.5}
    plain: Any = task(**settings).prepare(path, seed=1).splits
    beside: Any = task(**settings, tokens="subwords", ngram_weight=0.5).prepare(path, seed=1).splits
    for name in ("train", "validation", "test"):
        assert sorted(plain[name].tokens.targets) == sorted(beside[name].tokens.targets)


def test_a_split_by_film_needs_films(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"films are not known.*split=random"):
        task(split="film").prepare(three_labels(tmp_path / "three.csv"), seed=1)


def test_splits_are_disjoint_complete_and_drawn_by_seed(tmp_path: Path) -> None:
    path = three_labels(tmp_path / "three.csv")

    def parts(seed: int) -> dict[str, list[str]]:
        splits: Any = task(validation_size=0.25, test_size=0.2).prepare(path, seed).splits
        return {name: sorted(texts_of(split)) for name, split in splits.items()}

    drawn = parts(1)
    assert [len(drawn[name]) for name in ("train", "validation", "test", "all")] == [
        144, 48, 48, 240,
    ]  # fmt: skip
    assert sorted(drawn["train"] + drawn["validation"] + drawn["test"]) == drawn["all"]
    assert parts(1) == drawn
    assert parts(2) != drawn


def test_a_test_split_of_the_source_stays_the_test_split(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar.gz", texts())
    corpus = load(path)
    test: Any = task().prepare(path, seed=5).splits["test"]
    assert sorted(test.tokens.starts) == sorted(corpus.starts[np.flatnonzero(corpus.is_test)])


def test_labels_that_are_unknown_from_training_are_refused(tmp_path: Path) -> None:
    made = task()
    made.load_state_dict({"vocabulary": ["<pad>", "<unk>"], "labels": ["bad", "good"]})
    with pytest.raises(DataError, match="the training did not have the label 'fair'"):
        made.prepare(three_labels(tmp_path / "three.csv"), seed=1, fit=False)


def test_a_split_with_one_label_is_refused(tmp_path: Path) -> None:
    rows = "\n".join(["a,neg"] * 30 + ["b,pos"])
    with pytest.raises(DataError, match="part has texts of one class alone"):
        task().prepare(table(tmp_path, "r.csv", f"text,label\n{rows}\n"), seed=1)
