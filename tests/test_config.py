"""Row plus overrides to one configuration: typed, bounded, told all at once when wrong."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from conftest import Run

from zoo.catalog import Catalog
from zoo.config import Configuration, from_json, resolve
from zoo.errors import UsageError
from zoo.records import Option, RunRow, Value
from zoo.registry import Registry

ROW = RunRow(
    name="toy-lstm",
    summary="",
    task="sentiment",
    model="lstm",
    settings={"model.hidden_size": 7, "training.learning_rate": 1},
)


@pytest.fixture
def rows() -> Catalog:
    return Catalog(Path("toy.toml"), runs={ROW.name: ROW})


def configured(
    registry: Registry, rows: Catalog, name: str, *settings: str, seed: int = 1
) -> Configuration:
    pairs = [(key, value) for key, _, value in (text.partition("=") for text in settings)]
    return resolve(name, registry, rows, pairs, seed=seed)


def refusal(registry: Registry, rows: Catalog, name: str, *settings: str) -> str:
    with pytest.raises(UsageError) as failed:
        configured(registry, rows, name, *settings)
    message = str(failed.value)
    assert failed.value.exit_code == 2
    assert len(message.splitlines()) == 1
    return message


def test_overrides_win_over_the_row_and_the_row_over_the_defaults(
    registry: Registry, rows: Catalog
) -> None:
    plain = configured(registry, rows, "sentiment/lstm")
    row = configured(registry, rows, "toy-lstm")
    changed = configured(registry, rows, "toy-lstm", "hidden_size=9", "training.batch_size=5")
    sizes = [c.model_options["hidden_size"] for c in (plain, row, changed)]
    assert sizes == [registry.model("lstm").options["hidden_size"].default, 7, 9]
    assert (row.training.batch_size, changed.training.batch_size) == (32, 5)
    assert row.name == "toy-lstm"


def test_a_bare_key_means_its_dotted_one_in_each_section(registry: Registry, rows: Catalog) -> None:
    bare = configured(registry, rows, "sentiment/lstm", "num_layers=2", "fc_size=3", "epochs=4")
    dotted = configured(
        registry,
        rows,
        "sentiment/lstm",
        "model.num_layers=2",
        "task.fc_size=3",
        "training.epochs=4",
    )
    assert bare == dotted
    assert bare.model_options["num_layers"] == 2
    assert bare.task_options["fc_size"] == 3
    assert bare.training.epochs == 4


def test_a_key_of_two_sections_is_refused_and_both_are_named(
    registry: Registry, rows: Catalog
) -> None:
    said = refusal(registry, rows, "sentiment/lstm", "dropout=0.5")
    assert "dropout: ambiguous; say model.dropout or task.dropout" in said
    told = configured(
        registry, rows, "sentiment/lstm", "task.dropout=0.5", "model.dropout=0.25", "num_layers=2"
    )
    assert (told.task_options["dropout"], told.model_options["dropout"]) == (0.5, 0.25)


def test_all_bad_settings_are_in_one_message(registry: Registry, rows: Catalog) -> None:
    said = refusal(
        registry, rows, "char-lm/lstm",
        "hiden_size=5", "epochs=many", "dropout=1", "optimizer=adm", "batch_size=0", "epochs.x=1",
        "validation=0.9",
    )  # fmt: skip
    assert said.startswith("7 bad settings for char-lm/lstm: ")
    for told in (
        "hiden_size: unknown setting (did you mean 'hidden_size'",
        "epochs: 'many' is not a whole number",
        "dropout: ambiguous",
        "optimizer: 'adm' is not one of adam, adamw, sgd",
        "batch_size: 0 is less than 1",
        "epochs.x: unknown setting",
        "validation: 0.9 is more than 0.4",
    ):
        assert told in said


def test_a_key_in_the_wrong_section_is_unknown(registry: Registry, rows: Catalog) -> None:
    said = refusal(registry, rows, "sentiment/lstm", "model.epochs=3")
    assert "model.epochs: unknown setting (did you mean 'epochs'?)" in said


def test_bad_settings_of_a_row_are_told_with_the_row(registry: Registry) -> None:
    bad = RunRow("toy-lstm", "", "sentiment", "lstm", settings={"model.hidden_size": "big"})
    said = refusal(registry, Catalog(Path(), runs={bad.name: bad}), "toy-lstm")
    assert "for toy-lstm: model.hidden_size: 'big' is not a whole number" in said


@pytest.mark.parametrize(
    ("default", "text", "value"),
    [
        (1, "7", 7),
        (1, "-7", -7),
        (1.0, "7", 7.0),
        (1.0, "1e-3", 0.001),
        (1.0, ".5", 0.5),
        (True, "false", False),
        (False, "Yes", True),
        (False, "1", True),
        (True, "0", False),
        ("a", "7", "7"),
        ("a", "", ""),
        ("a", "two words = three", "two words = three"),
    ],
)
def test_a_text_becomes_a_value_of_the_default_s_type(
    default: Value, text: str, value: Value
) -> None:
    parsed = Option(default, "").parse(text)
    assert parsed == value
    assert type(parsed) is type(default)


@pytest.mark.parametrize(
    ("default", "text", "said"),
    [
        (1, "1.5", "'1.5' is not a whole number"),
        (1, "1e3", "'1e3' is not a whole number"),
        (1, "", "'' is not a whole number"),
        (1, "true", "'true' is not a whole number"),
        (1.0, "much", "'much' is not a number"),
        (1.0, "1,5", "'1,5' is not a number"),
        (1.0, "nan", "nan is not a finite number"),
        (1.0, "inf", "inf is not a finite number"),
        (1.0, "-inf", "-inf is not a finite number"),
        (1.0, "1e999", "inf is not a finite number"),
        (True, "2", "'2' is not true or false"),
        (True, "", "'' is not true or false"),
    ],
)
def test_a_text_of_another_type_is_refused(default: Value, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Option(default, "").parse(text)


@pytest.mark.parametrize(
    ("default", "value"), [(1, True), (1, 1.0), (1.0, True), (True, 1), ("a", 1), (1.0, math.nan)]
)
def test_a_value_of_another_type_is_refused(default: Value, value: object) -> None:
    with pytest.raises(ValueError, match=r"is not"):
        Option(default, "").check(value)


def test_bounds_hold_at_both_ends_and_not_a_number_is_within_none() -> None:
    share = Option(0.5, "", minimum=0.0, maximum=1.0)
    assert (share.parse("0"), share.parse("1")) == (0.0, 1.0)
    for text in ("-0.01", "1.01", "nan"):
        with pytest.raises(ValueError, match=r"less than 0|more than 1|not a finite number"):
            share.parse(text)
    least = Option(1, "", minimum=1)
    assert least.parse("1") == 1
    with pytest.raises(ValueError, match="0 is less than 1"):
        least.parse("0")


def test_a_choice_outside_the_list_is_refused_and_the_list_is_told() -> None:
    with pytest.raises(ValueError, match="'c' is not one of a, b"):
        Option("a", "", choices=("a", "b")).parse("c")


@pytest.mark.parametrize("name", ["sentiment/bigru", "char-lm/lstm", "toy-lstm"])
def test_a_configuration_comes_back_from_its_json(
    name: str, registry: Registry, rows: Catalog
) -> None:
    configuration = configured(registry, rows, name, "learning_rate=3e-3", "hidden_size=5", seed=9)
    document = json.loads(json.dumps(configuration.to_json(), allow_nan=False))
    assert from_json(document, registry) == configuration
    assert document["seed"] == 9
    assert document["settings"]["model"]["hidden_size"] == 5


def test_a_stored_setting_that_is_no_longer_known_is_told(
    registry: Registry, rows: Catalog
) -> None:
    document = configured(registry, rows, "toy-lstm").to_json()
    document["settings"]["training"]["momentous"] = 0.9
    with pytest.raises(UsageError, match=r"training.momentous: unknown setting.*'momentum'"):
        from_json(document, registry)


def test_a_model_that_reads_both_ways_cannot_do_a_causal_task(
    registry: Registry, rows: Catalog
) -> None:
    said = refusal(registry, rows, "char-lm/bilstm")
    assert said.startswith("model 'bilstm' cannot do task 'char-lm': ")
    assert "`zoo list --models`" in said


def test_bilstm_on_char_lm_is_refused_before_any_data_is_looked_for(
    zoo_here: Run, tmp_path: Path
) -> None:
    done = zoo_here(
        "train", "char-lm/bilstm", "--data", tmp_path / "no-such.txt", "--out", tmp_path / "run"
    )
    assert done.returncode == 2
    assert "model 'bilstm' cannot do task 'char-lm'" in done.stderr
    assert "no-such" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("toy-lst", "no run 'toy-lst' (did you mean 'toy-lstm'"),
        ("sentiment/lstn", "no model 'lstn' (did you mean 'lstm'"),
        ("sentimnt/lstm", "no task 'sentimnt' (did you mean 'sentiment'"),
        ("sentiment-gru", "did you mean 'sentiment/gru'"),
    ],
)
def test_an_unknown_name_is_met_with_near_ones(
    name: str, meant: str, registry: Registry, rows: Catalog
) -> None:
    assert meant in refusal(registry, rows, name)
