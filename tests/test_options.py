"""Options: types, bounds, parsing, stored forms of this and of earlier versions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

import zoo
from zoo.options import Options, from_json, options_of, to_json
from zoo.values import Option, Value


@dataclass(frozen=True)
class EveryKind(zoo.Options):
    """One option of every kind that an annotation can have."""

    whole: int = zoo.option(1, "an int")
    real: float = zoo.option(1.0, "a float")
    flag: bool = zoo.option(True, "a bool")
    word: str = zoo.option("a", "a str")
    some_int: int | None = zoo.option(None, "an int or none")
    some_real: float | None = zoo.option(0.5, "a float or none")
    some_flag: bool | None = zoo.option(None, "a bool or none")
    some_word: str | None = zoo.option(None, "a str or none")
    sizes: tuple[int, ...] = zoo.option((64, 32), "ints")
    rates: tuple[float, ...] = zoo.option((), "floats")
    flags: tuple[bool, ...] = zoo.option((), "bools")
    words: tuple[str, ...] = zoo.option((), "strs")
    some_sizes: tuple[int, ...] | None = zoo.option(None, "ints or none")


# Of each kind: a text after --set, its value, and the words for the type.
KINDS: Mapping[str, tuple[str, Value, str]] = {
    "whole": ("-7", -7, "an integer"),
    "real": ("1e-3", 0.001, "a number"),
    "flag": ("no", False, "true or false"),
    "word": ("two words = three", "two words = three", "a string"),
    "some_int": ("3", 3, "an integer or none"),
    "some_real": ("None", None, "a number or none"),
    "some_flag": ("true", True, "true or false or none"),
    "some_word": ("none", None, "a string or none"),
    "sizes": ("8, 16,4", (8, 16, 4), "a list, each element an integer"),
    "rates": (".5,2", (0.5, 2.0), "a list, each element a number"),
    "flags": ("yes,0", (True, False), "a list, each element true or false"),
    "words": ("a, b c", ("a", "b c"), "a list, each element a string"),
    "some_sizes": ("", (), "a list, each element an integer or none"),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_parsed_checked_and_stored(name: str) -> None:
    text, value, described = KINDS[name]
    declared = options_of(EveryKind)[name]
    assert declared.described == described
    assert declared.help
    assert repr(declared.parse(text)) == repr(value)  # 1 == 1.0 == True, but not their repr.
    assert declared.check(value) == value
    made = EveryKind(**{name: value})  # type: ignore[arg-type]
    stored = json.loads(json.dumps(to_json(made), allow_nan=False))
    assert from_json(EveryKind, stored) == made
    assert repr(getattr(from_json(EveryKind, stored), name)) == repr(value)


def test_every_kind_is_listed_with_its_default() -> None:
    declared = options_of(EveryKind)
    assert list(declared) == list(KINDS)
    assert {name: option.default for name, option in declared.items()} == vars(EveryKind())


def test_lists_of_toml_and_whole_numbers_for_floats_are_taken() -> None:
    made = EveryKind(sizes=[1, 2], rates=[1, 2.5], real=3)  # type: ignore[arg-type]
    assert (made.sizes, made.rates) == ((1, 2), (1.0, 2.5))
    assert type(made.real) is float
    assert all(type(rate) is float for rate in made.rates)


@pytest.mark.parametrize(
    ("default", "text", "value"),
    [
        (1, "7", 7), (1, "-7", -7), (1.0, "7", 7.0), (1.0, "1e-3", 0.001), (1.0, ".5", 0.5),
        (True, "false", False), (False, "Yes", True), (False, "1", True), (True, "0", False),
        ("a", "7", "7"), ("a", "", ""), ("a", "none", "none"),
    ],
)  # fmt: skip
def test_text_is_parsed_in_the_type_of_the_option(default: Value, text: str, value: Value) -> None:
    parsed = Option("x", type(default), default, "").parse(text)
    assert repr(parsed) == repr(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("whole", "1.5", "'1.5' is not an integer"),
        ("whole", "1e3", "'1e3' is not an integer"),
        ("whole", "", "'' is not an integer"),
        ("whole", "true", "'true' is not an integer"),
        ("whole", "none", "'none' is not an integer"),
        ("whole", "9" * 5000, "is not an integer"),
        ("some_int", "no", "'no' is not an integer or none"),
        ("real", "much", "'much' is not a number"),
        ("real", "1,5", "'1,5' is not a number"),
        ("real", "nan", "nan is not a finite number"),
        ("real", "inf", "inf is not a finite number"),
        ("real", "-inf", "-inf is not a finite number"),
        ("real", "1e999", "inf is not a finite number"),
        ("flag", "2", "'2' is not true or false"),
        ("flag", "", "'' is not true or false"),
        ("sizes", "8,x", "'x' is not an integer"),
        ("sizes", "8,,4", "'' is not an integer"),
        ("rates", "1,nan", "nan is not a finite number"),
    ],
)
def test_text_of_another_type_is_refused(name: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        options_of(EveryKind)[name].parse(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("whole", True), ("whole", 1.0), ("whole", "1"), ("whole", None), ("real", True),
        ("real", "1"), ("real", math.nan), pytest.param("real", 10**400, id="real-huge"),
        ("flag", 1), ("flag", "true"),
        ("word", 1), ("word", None), ("word", ["a"]), ("some_int", 1.0), ("some_flag", 0),
        ("sizes", 8), ("sizes", (8, 1.5)), ("sizes", (8, None)), ("sizes", None),
        ("sizes", "8,4"), ("flags", (1,)), ("some_sizes", (True,)),
    ],
)  # fmt: skip
def test_direct_construction_checks_types(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: .* is not "):
        EveryKind(**{name: value})


def test_numbers_of_numpy_are_taken() -> None:
    made = EveryKind(whole=np.int64(3), real=np.float32(0.5))  # type: ignore[arg-type]
    assert (type(made.whole), made.whole) == (int, 3)
    assert (type(made.real), made.real) == (float, 0.5)
    with pytest.raises(ValueError, match=r"whole: .* is not an integer"):
        EveryKind(whole=np.float64(3.0))  # type: ignore[arg-type]


def test_unknown_fields_and_changes_are_refused() -> None:
    with pytest.raises(TypeError, match="unknown"):
        EveryKind(unknown=1)  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        EveryKind().whole = 2  # type: ignore[misc]


def test_bounds_are_inclusive_and_nan_is_out_of_them() -> None:
    share = Option("x", float, 0.5, "", minimum=0.0, maximum=1.0)
    assert (share.parse("0"), share.parse("1")) == (0.0, 1.0)
    for text in ("-0.01", "1.01", "nan"):
        with pytest.raises(ValueError, match=r"less than 0|more than 1|not a finite number"):
            share.parse(text)
    least = Option("x", int, 1, "", minimum=1)
    assert least.parse("1") == 1
    with pytest.raises(ValueError, match="0 is less than 1"):
        least.parse("0")
    sizes = Option("x", int, (1,), "", minimum=1, many=True)
    with pytest.raises(ValueError, match="0 is less than 1"):
        sizes.check((2, 0))


def test_a_value_outside_the_choices_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match="'c' is not one of a, b"):
        Option("x", str, "a", "", choices=("a", "b")).parse("c")


@dataclass(frozen=True)
class TodayOptions(zoo.Options):
    """Options of a plugin that renamed, revalued and dropped some."""

    dropped: ClassVar[Mapping[str, Value]] = {"legacy": False, "sizes": (1, 2)}

    bptt_steps: int = zoo.option(40, "steps", minimum=1, old_names=("window", "steps"))
    batching: str = zoo.option(
        "random",
        "how",
        choices=("contiguous", "random"),
        old_names=("reading",),
        old_values={"streams": "contiguous", "windows": "random"},
    )
    added_since: int = zoo.option(7, "an option that older files lack")


def test_old_names_and_old_values_of_stored_options_are_read() -> None:
    today = TodayOptions(bptt_steps=16, batching="contiguous")
    assert from_json(TodayOptions, {"window": 16, "reading": "streams"}) == today
    assert from_json(TodayOptions, {"steps": 16, "batching": "streams"}) == today
    assert from_json(TodayOptions, to_json(today)) == today
    assert "reading" not in to_json(today)
    assert TodayOptions(batching="windows").batching == "random"
    assert options_of(TodayOptions)["batching"].parse("streams") == "contiguous"


def test_a_dropped_option_loads_with_the_value_that_had_no_effect() -> None:
    assert from_json(TodayOptions, {"legacy": False}) == TodayOptions()
    assert from_json(TodayOptions, {"sizes": [1, 2]}) == TodayOptions()  # As JSON has it.


@pytest.mark.parametrize(("name", "value"), [("legacy", True), ("sizes", [1])])
def test_a_dropped_option_with_another_value_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"option '{name}' is no longer supported") as refused:
        from_json(TodayOptions, {name: value})
    assert repr(value) in str(refused.value)


def test_an_unknown_stored_option_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="there is no option 'momentous'"):
        from_json(TodayOptions, {"momentous": 1})


def test_an_option_under_its_old_and_its_new_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'bptt_steps'.*twice"):
        from_json(TodayOptions, {"bptt_steps": 3, "window": 4})


def test_rules_across_fields_are_checked_after_the_fields() -> None:
    @dataclass(frozen=True)
    class Ranged(zoo.Options):
        low: int = zoo.option(1, "the least", minimum=0)
        high: int = zoo.option(2, "the most")

        def validate(self) -> None:
            if self.low > self.high:
                raise ValueError("low is more than high")

    assert Ranged(low=2).low == 2
    with pytest.raises(ValueError, match=r"^low is more than high$"):
        Ranged(low=3)
    with pytest.raises(ValueError, match=r"^low: -1 is less than 0$"):
        Ranged(low=-1, high=-2)


def test_inherited_options_are_options_and_their_defaults_can_change() -> None:
    @dataclass(frozen=True)
    class Base(zoo.Options):
        hidden_size: int = zoo.option(64, "units", minimum=1)

    @dataclass(frozen=True)
    class Derived(Base):
        hidden_size: int = zoo.option(8, "units", minimum=1)
        merge: str = zoo.option("sum", "how")

    class Alias(Derived):
        """Adds nothing."""

    assert list(options_of(Derived)) == ["hidden_size", "merge"]
    assert options_of(Derived)["hidden_size"].default == 8
    assert Alias(hidden_size=2).hidden_size == 2


def test_a_field_that_is_not_an_option_is_refused_by_name() -> None:
    @dataclass(frozen=True)
    class Plain(zoo.Options):
        hidden_size: int = 64

    with pytest.raises(TypeError, match=r"field 'hidden_size' of Plain .*zoo\.option\(\)"):
        options_of(Plain)
    with pytest.raises(TypeError, match="hidden_size"):
        Plain()


def test_a_class_that_is_not_a_dataclass_is_refused_by_name() -> None:
    class Forgotten(zoo.Options):
        hidden_size: int = zoo.option(64, "units")

    with pytest.raises(TypeError, match=r"Forgotten.*@dataclass\(frozen=True\)"):
        options_of(Forgotten)


@pytest.mark.parametrize(
    "annotation", [list[int], dict[str, int], bytes, int | str, tuple[int, str], Any]
)
def test_a_type_that_options_cannot_have_is_refused(annotation: Any) -> None:
    declared = [("value", annotation, zoo.option(None, "a value"))]
    odd = make_dataclass("Odd", declared, bases=(zoo.Options,), frozen=True)
    with pytest.raises(TypeError, match="option 'value' cannot have the type"):
        options_of(odd)


def test_options_without_fields_are_allowed() -> None:
    assert options_of(Options) == {}
    assert to_json(Options()) == {}
