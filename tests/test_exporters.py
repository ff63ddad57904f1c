"""Formats of ``zoo export`` that plugins bring."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Install, Run
from safetensors import safe_open

import zoo
import zoo.api
from zoo import installed
from zoo.errors import PluginError, UsageError
from zoo.interfaces import Data, ExportedFile


def write_names(model: zoo.TrainedModel, data: Data | None) -> ExportedFile:
    """Export the names of the parameters, and how many test examples there are."""
    sys.stdout.write("said on the way\n")
    examples = data.splits["test"].num_examples if data else 0
    names = ", ".join(model.module.state_dict())
    return ExportedFile(names.encode(), f"{examples} examples, of {model.path.name}")


@pytest.fixture
def names_exporter() -> Iterator[None]:
    zoo.register(
        zoo.ExporterInfo(name="names", summary="Names", suffix=".names", target=write_names)
    )
    yield
    installed.forget()


@pytest.mark.usefixtures("names_exporter")
def test_the_end_of_the_name_chooses_the_format(
    sentiment_run: Path, zoo_here: Run, tmp_path: Path
) -> None:
    done = zoo_here("export", sentiment_run, "-o", tmp_path / "x.Names")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'x.Names'}\n"
    assert done.stderr == "said on the way\n1200 examples, of weights.safetensors\n"
    assert (tmp_path / "x.Names").read_text().startswith("embedding.weight, rnn.weight_ih_l0")
    assert zoo.api.export(sentiment_run, tmp_path / "x.safetensors") == ""
    with safe_open(str(tmp_path / "x.safetensors"), "np") as file:
        assert "zoo" in file.metadata()


@pytest.mark.usefixtures("names_exporter")
def test_an_exporter_without_the_data_of_the_training_gets_none(
    sentiment_run: Path, tmp_path: Path
) -> None:
    # A published recipe whose data set has not been downloaded.
    assert zoo.api.export("imdb-bilstm", tmp_path / "x.names").startswith("0 examples")


@pytest.mark.usefixtures("names_exporter")
@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        (
            "x.pt",
            (),
            "no format has files named *.pt in x.pt; end the name in .safetensors, .names, .onnx",
        ),
        ("x.names", ("--dtype", "float16"), "dtype is for weights files, and x.names is none"),
        ("there.names", (), "file exists in there.names"),
    ],
)
def test_what_cannot_be_written_is_told_in_a_line(
    name: str, options: tuple[str, ...], told: str, sentiment_run: Path, zoo_here: Run,
    tmp_path: Path,
) -> None:  # fmt: skip
    (tmp_path / "there.names").write_text("")
    done = zoo_here("export", sentiment_run, "-o", name, *options, cwd=tmp_path)
    assert done.returncode == UsageError.exit_code
    assert done.stderr.startswith(f"error: {told}")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there.names"]


@pytest.mark.usefixtures("names_exporter")
def test_a_format_that_two_plugins_write_is_ambiguous(sentiment_run: Path, tmp_path: Path) -> None:
    zoo.register(zoo.ExporterInfo(name="n2", summary="", suffix=".names", target=write_names))
    with pytest.raises(PluginError, match="they are n2, names"):
        zoo.api.export(sentiment_run, tmp_path / "x.names")


@pytest.mark.parametrize("suffix", ["npz", ".tar.gz", ".NPZ", 3])
def test_a_suffix_that_no_file_name_ends_in_is_refused(suffix: object) -> None:
    with pytest.raises((TypeError, ValueError), match="exporter 'npz': suffix is"):
        zoo.register(
            zoo.ExporterInfo(name="npz", summary="", suffix=suffix, target=write_names)  # type: ignore[arg-type]
        )


def test_an_exporter_of_a_package_is_listed_and_not_imported(
    install_plugin: Install, zoo_here: Run
) -> None:
    install_plugin(
        "zoo-npz",
        "import zoo\n"
        "@zoo.hookimpl\n"
        "def zoo_exporters():\n"
        "    return [zoo.ExporterInfo(\n"
        "        name='npz', summary='Arrays', suffix='.npz', target='gone:x'\n"
        "    )]\n",
    )
    assert "npz" in zoo_here("list", "--exporters").stdout
    assert "suffix   .npz" in zoo_here("show", "npz").stdout
