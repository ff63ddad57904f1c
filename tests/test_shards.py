"""Corpora in shards: the same texts, token ids and weights as those of one file, in any process."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import zoo
from zoo.data.mapped import MappedRagged, Permutation
from zoo.data.shards import list_shards
from zoo.data.source import locate
from zoo.errors import DataError
from zoo_lm.char_task import CharLM
from zoo_lm.options import CharLMOptions, WordLMOptions
from zoo_lm.word_task import WordLM
from zoo_text.classification import TextClassification
from zoo_text.multilabel import TextMultilabel
from zoo_text.options import ClassificationOptions, RegressionOptions, TextOptions
from zoo_text.regression import TextRegression
from zoo_text.shards import counting, reading
from zoo_text.shards.counting import Counting, bounded, count
from zoo_text.shards.encoding import Encoding, encode
from zoo_text.shards.layout import look
from zoo_text.shards.table import Texts, load
from zoo_text.tokens import tokenize

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

WORDS = ["a", "good", "film", "of", "the", "year,", "bad", "one", "for", "all", "its", "plot."]
SMALL = {
    "tokens": "words", "ngram_weight": 0.0, "embed_size": 4, "hidden_size": 4, "epochs": 2,
    "batch_size": 8,
}  # fmt: skip


def rows(number: int = 240) -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    return [
        {
            "id": n,
            "text": " ".join(rng.choice(WORDS, rng.integers(3, 40))) + f" No{n}",
            "label": ["bad", "good"][n % 2],
        }
        for n in range(number)
    ]


def write_shards(folder: Path, form: str, data: list[dict[str, Any]], number: int = 3) -> str:
    folder.mkdir(exist_ok=True)
    size = -(-len(data) // number)
    for n in range(number):
        frame = pandas.DataFrame(data[n * size : (n + 1) * size])
        path = folder / f"x-{n:05}-of-{number:05}.{form}"
        if form == "parquet":
            frame.to_parquet(path, row_group_size=16)
        elif form == "csv":
            frame.to_csv(path, index=False)
        else:
            text = frame.to_json(orient="records", lines=True)
            path.write_bytes(gzip.compress(text.encode()) if form.endswith("gz") else text.encode())
    return str(folder / f"*.{form}")


@pytest.fixture
def shards(tmp_path: Path) -> str:
    return write_shards(tmp_path / "shards", "parquet", rows())


@pytest.fixture
def several_units(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(reading, "_UNIT", 4096)
    monkeypatch.setattr(counting, "_BLOCK", 4096)
    yield


@pytest.mark.parametrize("form", ["parquet", "jsonl", "jsonl.gz", "csv"])
@pytest.mark.usefixtures("several_units")
def test_texts_and_labels_are_those_that_pandas_reads(form: str, tmp_path: Path) -> None:
    found = list_shards(write_shards(tmp_path, form, rows()))
    table = load(found, look(found, TextOptions(), "auto"), 1)
    read: Callable[..., Any] = {"parquet": pandas.read_parquet, "csv": pandas.read_csv}.get(
        form, lambda path: pandas.read_json(path, lines=True)
    )
    frame = pandas.concat([read(path) for path in sorted(tmp_path.glob(f"*.{form}"))])
    assert list(table.texts) == frame["text"].tolist()
    labels = [table.label_sets[code] for code in table.targets]
    assert labels == [(label,) for label in frame["label"]]


@pytest.mark.usefixtures("several_units")
def test_token_ids_and_parts_are_the_same_for_any_number_of_processes(
    shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list_shards(shards)
    layout = look(found, TextOptions(), "auto")
    written = []
    for processes in (1, 2):
        monkeypatch.setenv("ZOO_CACHE", str(tmp_path / str(processes)))
        table = load(found, layout, processes)
        counted = count(table, Counting("words", 0, "head", (0.1, 0.2), 1, False), processes)
        vocabulary = ["<pad>", "<unk>", *(word for word in counted.counts)]
        encoded = encode(table, counted, vocabulary, Encoding("words"), processes)
        written.append((counted.sizes, counted.counts, encoded.values.tobytes(), table.digest))
        for n, row in enumerate(counted.rows):
            start = encoded.starts[n]
            ids = encoded.values[start : start + encoded.lengths[n]]
            assert [vocabulary[i] for i in ids if i != 1] == [
                word for word in tokenize(rows()[row]["text"]) if word in vocabulary
            ]
    assert written[0] == written[1]
    assert min(written[0][0]) > 10


def test_texts_that_are_equal_but_for_case_and_spaces_share_a_part(tmp_path: Path) -> None:
    data = rows()
    data += [{**row, "text": "  " + row["text"].upper()} for row in data]
    found = list_shards(write_shards(tmp_path, "jsonl", data))
    table = load(found, look(found, TextOptions(), "auto"), 1)
    counted = count(table, Counting("words", 0, "head", (0.2, 0.2), 1, False), 1)
    ends = np.cumsum(counted.sizes)
    part = np.searchsorted(ends, np.arange(len(counted.rows)), side="right")
    by_row = part[np.argsort(counted.rows)]
    assert (by_row[:240] == by_row[240:]).all()


@pytest.mark.usefixtures("several_units")
@pytest.mark.parametrize("processes", [1, 2])
def test_training_texts_that_are_in_a_given_test_part_are_left_out(
    processes: int, tmp_path: Path
) -> None:
    data = rows()
    test = [{**row, "text": row["text"].upper()} for row in data[::3]]
    word = [{"text": "Island", "label": data[0]["label"]}]
    write_shards(tmp_path / "shards", "jsonl", data + word, 2)
    for path in sorted((tmp_path / "shards").iterdir()):
        path.rename(path.with_name(path.name.replace("x-", "train-")))
    pandas.DataFrame(test + word).to_json(
        tmp_path / "shards" / "test.jsonl", orient="records", lines=True
    )
    pattern = str(tmp_path / "shards" / "*.jsonl")
    found = list_shards(pattern)
    table = load(found, look(found, TextOptions(), "auto"), 1)
    parts = {}
    for drop in (True, False):
        how = Counting("words", 0, "head", (0.2, 0.2), 1, False, drop_duplicates=drop)
        counted = count(table, how, processes)
        assert (counted.left_out > 0) == drop
        texts = list(Texts(table.content, table.ends, counted.rows))
        edges = [0, *np.cumsum(counted.sizes).tolist()]
        parts[drop] = [texts[first:after] for first, after in itertools.pairwise(edges)]
    left_out = {row["text"].lower() for row in test}
    for kept, every in zip(parts[True][:2], parts[False][:2], strict=True):
        assert kept == [text for text in every if text.lower() not in left_out]
        assert len(kept) < len(every)
    assert parts[True][2] == parts[False][2]
    train = parts[True][0]
    assert "Island" in train, "a single word is no leak"
    task = TextClassification(ClassificationOptions(tokens="words"))
    notes = " ".join(" ".join(task.prepare(locate(pattern, None), 1).notes).split())
    assert re.search(r"in another part, too: \d+ training texts \(left out; --keep-dup", notes)


def train(data: str, out: Path, **how: Any) -> dict[str, Any]:
    settings = {**SMALL, **how.pop("settings", {})}
    zoo.train(
        "text-classification/lstm", data=data, out=str(out), settings=settings, threads=1, **how
    )  # fmt: skip
    return weights(out)


def weights(out: Path) -> dict[str, Any]:
    return safetensors.numpy.load_file(out / "weights.safetensors")


def equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )


def test_shards_and_one_concatenated_file_train_the_same_weights(
    shards: str, tmp_path: Path
) -> None:
    one = tmp_path / "one.parquet"
    files = sorted(Path(shards).parent.iterdir())
    pandas.concat([pandas.read_parquet(file) for file in files]).to_parquet(one)
    assert equal(train(shards, tmp_path / "many"), train(one.as_uri(), tmp_path / "whole"))


def test_a_training_that_is_killed_within_an_epoch_resumes_with_the_same_bits(
    shards: str, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, sys, zoo\n"
        "class Kill(zoo.Callback):\n"
        "    def on_step_end(self, trainer):\n"
        "        if trainer.state.step == 29:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        f"settings = {{**{SMALL}, 'evaluate_every': 7}}\n"
        "zoo.train('text-classification/lstm', data=sys.argv[1], out=sys.argv[2],\n"
        "          settings=settings, callbacks=[Kill()], threads=1)\n"
    )
    killed = tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, str(script), shards, str(killed)], check=False, capture_output=True,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    zoo.resume(str(killed))
    whole = train(shards, tmp_path / "whole", settings={"evaluate_every": 7})
    assert equal(whole, weights(killed))


@pytest.mark.parametrize("tokens", ["words", "subwords", "characters"])
def test_a_task_learns_from_shards_and_reads_them_again(tokens: str, shards: str) -> None:
    path = locate(shards, None)
    options = ClassificationOptions(tokens=tokens, ngram_weight=0.7, max_units=200, max_tokens=20)
    task = TextClassification(options)
    data = task.prepare(path, 1)
    again = TextClassification(options)
    again.load_state_dict(task.state_dict())
    same = again.prepare(path, 1, fit=False)
    batch: Any = data.splits["test"].eval_batches()[0]
    other = same.splits["test"].eval_batches()[0]
    assert (batch.inputs == other.inputs).all()
    assert (batch.targets == other.targets).all()
    assert int(batch.lengths.max()) <= 20
    split: Any = data.splits["test"]
    texts = [split.text(row) for row in batch.rows.tolist()]
    names = {row["text"]: row["label"] for row in rows()}
    assert [names[text] for text in texts] == [task.labels[n] for n in batch.targets.tolist()]


def test_several_labels_and_numbers_are_read_from_shards(tmp_path: Path) -> None:
    data = rows()
    for n, row in enumerate(data):
        row["label"] = ["x", "y"][: n % 3]
        row["stars"] = n / 7
    path = locate(write_shards(tmp_path, "jsonl", data), None)
    several = TextMultilabel(ClassificationOptions(label_column="label", tokens="words"))
    split: Any = several.prepare(path, 1).splits["all"]
    wanted = {row["text"]: row for row in data}
    for n in range(0, 240, 17):
        labels = [several.labels[k] for k in np.flatnonzero(split.targets[n])]
        assert labels == wanted[split.text(n)]["label"]
    number = TextRegression(RegressionOptions(label_column="stars", tokens="words"))
    split = number.prepare(path, 1).splits["all"]
    assert [wanted[split.text(n)]["stars"] for n in range(240)] == pytest.approx(split.targets)


def test_a_word_model_reads_every_text_once_and_a_character_model_all_in_order(
    shards: str,
) -> None:
    path = locate(shards, None)
    task = WordLM(WordLMOptions())
    data: Any = task.prepare(path, 1).splits["all"]
    texts = task.decode(data.token_ids.tolist()).splitlines()
    known = set(task.words)
    wanted = [
        " ".join(w if w in known else "<unk>" for w in tokenize(row["text"])) for row in rows()
    ]
    assert sorted(text.strip() for text in texts) == sorted(wanted)
    assert [text.strip() for text in texts] != wanted
    characters = CharLM(CharLMOptions())
    data = characters.prepare(path, 1).splits["all"]
    assert characters.decode(data.token_ids.tolist()) == "".join(
        row["text"] + "\n" for row in rows()
    )


def test_paragraphs_of_plain_text_stay_in_order(tmp_path: Path) -> None:
    paragraphs = [f"The paragraph\nnumber {n}." for n in range(40)]
    for n in range(2):
        (tmp_path / f"{n}.txt").write_text("\n\n".join(paragraphs[n * 20 : n * 20 + 20]) + "\n")
    task = WordLM(WordLMOptions(min_count=1))
    data: Any = task.prepare(locate(str(tmp_path / "*.txt"), None), 1).splits["all"]
    lines = task.decode(data.token_ids.tolist()).splitlines()
    assert [line.split()[:3] for line in lines] == [["the", "paragraph", "number"]] * 40
    assert lines[3].split()[-1] == "3"


# The order of a training


@pytest.mark.parametrize("number", [1, 2, 3, 10, 255, 1000])
def test_a_permutation_has_every_row_once(number: int) -> None:
    orders = [Permutation(number, (1, epoch))(np.arange(number)) for epoch in range(3)]
    assert all(sorted(order) == list(range(number)) for order in orders)
    if number > 100:
        assert abs(np.corrcoef(orders[0], np.arange(number))[0, 1]) < 0.3
        assert not (orders[0] == orders[1]).all()


def mapped(number: int) -> MappedRagged:
    lengths = np.broadcast_to(np.int64(3), number)
    values = np.broadcast_to(np.int64(1), 3 * number)
    return MappedRagged(values, np.broadcast_to(np.int64(0), number), lengths, lengths)


def test_an_epoch_has_every_row_once_and_can_be_read_from_its_middle() -> None:
    plan = mapped(1000).train_batches(1, 0, 7).plan
    assert sorted(np.concatenate(plan)) == list(range(1000))
    assert all((a == b).all() for a, b in zip(plan[60:], list(plan)[60:], strict=True))
    assert sorted(np.concatenate(mapped(1000).eval_batches().plan)) == list(range(1000))


def test_memory_of_an_epoch_does_not_grow_with_the_rows() -> None:
    tracemalloc.start()
    batches = mapped(100_000_000).train_batches(1, 0, 64)
    for number in (0, len(batches) // 2, len(batches) - 1):
        batches.plan[number]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


def test_counts_are_bounded_and_keep_the_commonest() -> None:
    counts = Counter({f"w{n}": n for n in range(100)})
    kept = bounded(counts, 40)
    assert sorted(kept.values()) == list(range(70, 100))


# What is wrong


def refused(data: str | Path) -> DataError:
    with pytest.raises(DataError) as raised:
        TextClassification(ClassificationOptions()).prepare(locate(str(data), None), 1)
    return raised.value


def test_a_shard_that_is_missing_is_named(shards: str) -> None:
    (Path(shards).parent / "x-00001-of-00003.parquet").unlink()
    for data in (shards, Path(shards).parent):
        assert "a shard is missing: x-00001-of-00003.parquet" in str(refused(data))


def test_a_shard_that_changes_after_it_was_listed_is_named(shards: str) -> None:
    path = locate(shards, None)
    one = Path(shards).parent / "x-00002-of-00003.parquet"
    os.utime(one, ns=(1, 1))
    with pytest.raises(DataError, match=r"changed since it was listed in .*x-00002-of-00003"):
        TextClassification(ClassificationOptions()).prepare(path, 1)


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_a_shard_with_other_columns_is_named(form: str, tmp_path: Path) -> None:
    data = rows()
    for row in data[160:]:
        row["review"] = row.pop("text")
    for row in data:
        row.pop("id")
    error = str(refused(write_shards(tmp_path, form, data)))
    assert "no column 'text'" in error
    assert "x-00002-of-00003" in error


def test_a_shard_that_is_cut_or_empty_is_named(shards: str, tmp_path: Path) -> None:
    one = Path(shards).parent / "x-00001-of-00003.parquet"
    one.write_bytes(one.read_bytes()[:-100])
    assert "x-00001-of-00003" in str(refused(shards))
    one.write_bytes(b"")
    assert "the shard is empty" in str(refused(shards))
    pattern = write_shards(tmp_path / "lines", "jsonl", rows())
    two = tmp_path / "lines" / "x-00001-of-00003.jsonl"
    two.write_bytes(two.read_bytes()[:-9])
    assert "no JSON object in " in str(refused(pattern))
    assert json.loads(two.read_text().splitlines()[0])["id"] == 80


@pytest.mark.usefixtures("several_units")
def test_a_damaged_line_is_where_the_message_says(tmp_path: Path) -> None:
    pattern = write_shards(tmp_path / "lines", "jsonl", rows(), 1)
    (path,) = (tmp_path / "lines").iterdir()
    lines = ["\n", *path.read_text().splitlines(keepends=True)]
    lines[200] = "damaged\n"
    path.write_text("".join(lines))
    found = re.search(r"line (\d+) after byte ([\d,]+)", str(refused(pattern)))
    assert found
    rest = path.read_bytes()[int(found[2].replace(",", "")) :].split(b"\n")
    # The first one began before.
    assert rest[int(found[1])] == b"damaged"


def test_an_encoding_that_shards_are_not_read_in_is_refused(shards: str) -> None:
    found = list_shards(shards)
    assert look(found, TextOptions(encoding="UTF-8"), "auto").columns.text == "text"
    with pytest.raises(DataError, match="shards are read as UTF-8, and encoding is cp1252"):
        look(found, TextOptions(encoding="cp1252"), "auto")
