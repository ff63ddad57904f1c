"""A plain text without labels: ``zoo train --data book.txt`` trains a model of its characters."""

from __future__ import annotations

import bz2
import tarfile
from pathlib import Path

import pytest
from conftest import Run as Command

import zoo
from zoo import installed
from zoo.api.suggestions import choose
from zoo.errors import DataError
from zoo_lm.options import CharLMOptions
from zoo_lm.suggest import suggest_text, training_settings

ENGLISH = "The old lighthouse — as ever — was dark.\nNobody came, and nobody left it\n\n" * 60
CHINESE = "老灯塔一如既往地黑暗没有人来也没有人离开海浪拍打着岩石。\n" * 150


def write(folder: Path, text: str) -> Path:
    path = folder / "book.txt"
    path.write_text(text, encoding="utf-8")
    return path


def train(zoo_here: Command, data: Path, out: Path) -> tuple[zoo.Run, str]:
    """Train for two steps; return the run and what was printed."""
    done = zoo_here(
        "train", "--data", data, "--steps", 2, "--batch-size", 2, "--threads", 1, "--out", out,
        "--no-report",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return zoo.open_run(out), done.stderr


def test_an_english_text_starts_from_the_published_weights(
    zoo_here: Command, tmp_path: Path
) -> None:
    run, printed = train(zoo_here, write(tmp_path, ENGLISH), tmp_path / "run")
    assert (run.config["name"], run.config["init"]) == ("char-lm/lstm", "reviews-char-lm")
    assert run.config["model"]["options"]["num_layers"] == 2
    assert "text     book.txt: text without labels, learned by its characters (char-lm)" in printed
    assert "to train from scratch: --init ''" in printed
    assert "start: reviews-char-lm: 8 tensors taken" in printed


def test_a_text_whose_characters_they_do_not_know_starts_from_nothing(
    zoo_here: Command, tmp_path: Path
) -> None:
    run, _ = train(zoo_here, write(tmp_path, CHINESE), tmp_path / "run")
    assert (run.config["init"], run.config["model"]["options"]["num_layers"]) == ("", 1)


def test_longer_texts_have_fewer_epochs_and_larger_batches() -> None:
    lengths = (1, 10_000, 300_000, 1_000_000, 10_000_000, 10**9)
    found = [training_settings(length) for length in lengths]
    for name in ("training.epochs", "training.batch_size"):
        values = [settings[name] for settings in found]
        assert values == sorted(values, reverse=name == "training.epochs")
    assert found[-1]["training.epochs"] == 1


def suggestion(path: Path | None) -> zoo.Suggestion | None:
    return suggest_text(path, CharLMOptions())


def test_other_data_is_left_to_other_tasks(tmp_path: Path) -> None:
    (tmp_path / "table.txt").write_text("text,label\nfine,pos\ndull,neg\n" * 9)
    (tmp_path / "fasttext.txt").write_text("__label__pos fine\n__label__neg dull\n" * 9)
    (tmp_path / "bytes.bin").write_bytes(bytes(range(256)) * 9)
    (tmp_path / "book.txt.bz2").write_bytes(bz2.compress(ENGLISH.encode()))
    with tarfile.open(tmp_path / "texts.tar", "w") as archive:
        archive.add(write(tmp_path, ENGLISH), "book.txt")
    names = ("table.txt", "fasttext.txt", "bytes.bin", "book.txt.bz2", "texts.tar")
    assert [suggestion(tmp_path / name) for name in names] == [None] * len(names)
    assert suggestion(tmp_path) is None
    assert suggestion(None) is None
    assert suggestion(tmp_path / "book.txt") is not None


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_text_in_another_encoding_is_refused_as_such(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(("Der alte Turm war dunkel\nund still wie üblich\n\n" * 60).encode(encoding))
    with pytest.raises(DataError, match="text is not UTF-8"):
        zoo.train(data=path, out=tmp_path / "run")


def test_the_length_is_that_of_the_text_between_its_markers(tmp_path: Path) -> None:
    path = write(tmp_path, "a" * 9_000_000 + f"START{ENGLISH}END" + "a" * 9_000_000)
    whole = suggest_text(path, CharLMOptions())
    part = suggest_text(path, CharLMOptions(start="START", end="END"))
    assert whole is not None
    assert part is not None
    assert whole.settings["training.epochs"] == 1
    assert part.settings["training.epochs"] == 30


def test_sizes_are_those_of_the_model_that_is_suggested(tmp_path: Path) -> None:
    path = write(tmp_path, ENGLISH)
    known = installed.registry()
    chosen = {name: choose(f"char-lm/{name}", str(path), {}, known) for name in ("lstm", "gru")}
    assert chosen["lstm"].suggested["model.hidden_size"] == 512
    assert "model.hidden_size" not in chosen["gru"].suggested
    assert chosen["gru"].suggested["task.batching"] == "contiguous"
