"""The checks of models: right models pass, and each fault fails the check meant for it alone."""

from __future__ import annotations

import pytest
import torch
from checked_models import BROKEN, RIGHT, broken, record
from torch import nn

from zoo.checks.model_case import ModelCase
from zoo.checks.models import MODEL_CHECKS
from zoo.checks.result import Result, run_checks
from zoo.installed import registry
from zoo.records import ModelInfo


def failures(info: ModelInfo) -> list[Result]:
    before = torch.get_num_threads(), torch.get_default_dtype()
    try:
        results = run_checks(f"model {info.name}", MODEL_CHECKS, ModelCase(info))
    finally:
        torch.set_num_threads(before[0])
        torch.set_default_dtype(before[1])
    return [result for result in results if result.status == "failed"]


@pytest.mark.parametrize("model", RIGHT, ids=lambda model: model.__name__)
def test_a_right_model_passes(model: type[nn.Module]) -> None:
    assert failures(record(model, *RIGHT[model])) == []


@pytest.mark.parametrize("name", registry().names(ModelInfo))
def test_a_model_of_ours_passes(name: str) -> None:
    assert failures(registry().get(ModelInfo, name)) == []


@pytest.mark.parametrize("model", BROKEN, ids=lambda model: model.__name__)
def test_a_fault_fails_its_check_and_no_other(model: type[nn.Module]) -> None:
    found = failures(broken(model))
    assert [result.check for result in found] == [BROKEN[model]], found
    assert found[0].found
