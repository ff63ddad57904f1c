"""``zoo check`` and ``zoo.testing``: what an author sees of the checks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from checked_models import Elman, HiddenOptions, record
from conftest import Install, Run

import zoo
from zoo.checks.model_case import ModelCase
from zoo.checks.model_direction import check_direction
from zoo.checks.models import MODEL_CHECKS
from zoo.checks.records import PLUGIN_CHECKS
from zoo.checks.result import Check, run_check
from zoo.checks.tasks import TASK_CHECKS
from zoo.testing import check_model

PAGE = Path(__file__).parent.parent / "docs" / "conformance.md"
CHECKS: dict[str, tuple[Check[Any], ...]] = {
    "model": MODEL_CHECKS,
    "task": TASK_CHECKS,
    "plugin": PLUGIN_CHECKS,
}

PLUGIN = """
import zoo
{start}
@zoo.hookimpl
def zoo_models():
    return [zoo.ModelInfo(name="{name}", summary="A model", target="{module}_model:Model",
                          causal=True)]
"""
MODEL = """
import os
import torch
from torch import nn
class Model(nn.Module):
    def __init__(self, input_size, options):
        super().__init__()
        self.input_size, self.output_size = input_size, 4
        self.w = nn.Linear(input_size, 4)
    def forward(self, inputs, lengths, state=None):
        {forward}
        outputs = self.w(inputs)
        return outputs, (outputs[:, -1][None],)
"""


def lay_out(install_plugin: Install, name: str, *, start: str = "", forward: str = "") -> None:
    module = name.replace("-", "_")
    folder = install_plugin(name, PLUGIN.format(name=name, module=module, start=start))
    (folder / f"{module}_model.py").write_text(MODEL.format(forward=forward))


def test_the_page_describes_every_check_under_the_name_that_failures_link_to() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for kind, checks in CHECKS.items():
        for check in checks:
            heading = f"### {kind}: {check.name.replace('_', ' ')}\n\n{check.promise}\n"
            assert heading in text, check.name
    headings = re.findall(r"^### (\w+): (.+)$", text, re.MULTILINE)
    assert len(headings) == sum(map(len, CHECKS.values()))


@pytest.mark.parametrize("checks", CHECKS.values(), ids=CHECKS)
def test_a_check_needs_checks_before_it(checks: tuple[Check[Any], ...]) -> None:
    seen: set[str] = set()
    for check in checks:
        assert {*check.after} <= seen, check
        seen.add(check.name)


def test_a_model_that_passes_ends_with_exit_code_0(zoo_command: Run) -> None:
    done = zoo_command("check", "gru")
    assert (done.returncode, done.stderr) == (0, "")
    # It has no penalty and no parameter groups.
    last = done.stdout.splitlines()[-1]
    assert last == f"{len(MODEL_CHECKS) - 2} passed, 0 failed, 2 do not apply"


def test_a_model_that_fails_is_reported_with_promise_and_page(
    install_plugin: Install, zoo_command: Run
) -> None:
    lay_out(install_plugin, "zoo-loose")
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = zoo_command("check", "zoo-loose", "--json", env=environment)
    assert done.returncode == 3, done.stderr
    failed = [each for each in json.loads(done.stdout) if each["status"] == "failed"]
    assert [(each["subject"], each["check"]) for each in failed] == [
        ("model zoo-loose", "padding_ignored")
    ]
    assert failed[0]["promise"] and failed[0]["found"] and failed[0]["fix"]
    project = tomllib.loads((PAGE.parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    documentation = project["project"]["urls"]["Documentation"]
    assert failed[0]["page"] == f"{documentation}/conformance.md#model-padding-ignored"
    text = zoo_command("check", "zoo-loose", env=environment).stdout
    assert "model zoo-loose: padding ignored failed; promised: " in text
    (line,) = [line for line in text.splitlines() if "padding ignored failed" in line]
    assert line.endswith(f"; see {failed[0]['page']}")


def test_checks_that_need_a_failed_one_are_counted_apart(
    install_plugin: Install, zoo_command: Run
) -> None:
    lay_out(install_plugin, "zoo-loose")
    text = zoo_command("check", "zoo-loose", env={"PYTHONPATH": ":".join(sys.path)}).stdout
    left_out = text.count(" left out; it needs what ")
    assert left_out > 10
    assert "model zoo-loose: direction left out; it needs what padding ignored checks" in text
    last = text.splitlines()[-1]
    skipped = text.count(" skipped; ")
    assert last.endswith(f"1 failed, {skipped} do not apply, {left_out} left out after a failure")


@pytest.mark.parametrize(
    ("causal", "found"), [(False, "it is not causal"), (True, "it has no decode_step")]
)
def test_a_check_that_does_not_apply_names_the_one_reason(causal: bool, found: str) -> None:
    info = record(Elman, causal, HiddenOptions)
    (check,) = [check for check in MODEL_CHECKS if check.name == "decode_step"]
    assert run_check("model m", check, ModelCase(info)).found == found


@pytest.mark.parametrize("step", [1, 3])
def test_reading_ahead_is_told_with_the_steps_that_it_concerns(step: int) -> None:
    class ReadsAhead(Elman):
        """Adds the input of the last step to the output of one step before it."""

        def forward(self, inputs: Any, lengths: Any, state: Any = None) -> Any:
            outputs, state = super().forward(inputs, lengths, state)
            outputs[:, step - 1] += inputs[:, -1, :1]
            return outputs, state

    info = record(ReadsAhead, True, HiddenOptions)
    result = run_check("model m", Check(check_direction), ModelCase(info))
    steps = "output of step 1 depends" if step == 1 else "outputs of steps 1 to 3 depend"
    assert result.found.startswith(f"the {steps} on step {step + 1} or later ones (by ")
    assert "or declare causal=False and define readout" in result.fix


@pytest.mark.parametrize(
    ("forward", "found"),
    [("os._exit(7)", "ended the process with code 7"), ("while True: pass", "did not end within")],
)
def test_a_model_that_ends_or_stops_the_process_is_a_failure_of_its_check(
    forward: str, found: str, install_plugin: Install
) -> None:
    lay_out(install_plugin, "zoo-fatal", forward=forward)
    last = zoo.check("zoo-fatal", seconds=20)[-1]
    assert (last.subject, last.check, last.status) == ("model zoo-fatal", "builds", "failed")
    assert found in last.found


@pytest.mark.skipif(os.name != "posix", reason="limits are those of POSIX")
def test_checks_run_where_the_process_has_less_memory_than_they_may_take() -> None:
    program = (
        "import resource, zoo; resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, 8 << 30)); "
        "print({result.status for result in zoo.check('gru')} - {'skipped'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stdout) == (0, "{'passed'}\n"), done.stderr


@pytest.mark.parametrize(
    ("start", "found"),
    [
        ("import torch", "torch"),
        ("print('hello')", "printed 'hello'"),
        ("import random; random.random()", "generator"),
        ("def zoo_tasks():\n    return []", "zoo_tasks is not marked"),
        ("def zoo_modells():\n    return []", "zoo_modells is no hook"),
    ],
)
def test_what_a_plugin_does_at_import_and_forgets_is_found(
    start: str, found: str, install_plugin: Install
) -> None:
    lay_out(install_plugin, "zoo-clumsy", start=start)
    results = [each for each in zoo.check("zoo-clumsy") if each.subject == "plugin zoo-clumsy"]
    (failed,) = [each for each in results if each.status == "failed"]
    assert found in failed.found


def test_an_unknown_name_is_an_error_with_the_nearest_ones(zoo_command: Run) -> None:
    done = zoo_command("check", "lstn")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no model, task or plugin 'lstn' (did you mean 'lstm'")


@check_model("gru", "bilstm")
def test_every_check_is_a_test(check: object) -> None:
    assert callable(check)
    check()


def test_tests_of_checks_have_their_names_and_fail_with_what_was_found(tmp_path: Path) -> None:
    file = tmp_path / "test_mine.py"
    file.write_text(
        "import zoo\n"
        "from checked_models import LooksAhead, broken\n"
        "from zoo.testing import check_model\n"
        "@check_model(broken(LooksAhead))\n"
        "def test_model(check):\n    check()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "direction", file],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "test_model[model looksahead-direction]" in done.stdout
    assert "the output of step 1 depends on step 2 or later ones" in done.stdout
