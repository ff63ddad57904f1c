"""The compiled layers against torch's own over packed sequences, at the sizes where they differ."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.profiler import ProfilerActivity, profile

from zoo.layers import reverse as reversed_rows
from zoo_recurrent.fused import scan, workers

KINDS: dict[str, type[nn.RNNBase]] = {"RNN_TANH": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
# Rows, steps, inputs, units: less than a tile, more than one, just one; many groups; one row.
SIZES = [(1, 1, 1, 1), (5, 9, 3, 20), (70, 12, 33, 40), (9, 40, 31, 32), (3, 300, 32, 33)]
CLOSE = {"atol": 2e-6, "rtol": 2e-5}


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


class Case:
    """A layer, rows, and a loss that all of its results have a share in."""

    def __init__(self, mode: str, rows: int, steps: int, width: int, size: int) -> None:
        torch.manual_seed(rows + size)
        self.mode, self.layer = mode, KINDS[mode](width, size, batch_first=True)
        self.lengths = torch.randint(1, steps + 1, (rows,))
        self.codes = torch.randint(width, (rows, steps))
        self.inputs = torch.randn(rows, steps, width, requires_grad=True)
        self.start = tuple(
            torch.randn(rows, size, requires_grad=True) for _ in range(2 if mode == "LSTM" else 1)
        )
        self.shares = [torch.randn(rows, steps, size), *map(torch.randn_like, self.start)]

    @property
    def weights(self) -> list[Tensor]:
        return list(self.layer.parameters())

    def ours(self, inputs: Tensor, *, reverse: bool = False) -> list[Tensor]:
        outputs, end = scan(
            self.mode, inputs, self.lengths, self.start, self.weights, reverse=reverse
        )
        return [outputs, *end]

    def expected(self, inputs: Tensor, *, reverse: bool = False) -> list[Tensor]:
        if reverse:
            inputs = reversed_rows(inputs, self.lengths)
        rows = pack_padded_sequence(inputs, self.lengths, batch_first=True, enforce_sorted=False)
        start = tuple(part[None] for part in self.start)
        packed, end = self.layer(rows, start if self.mode == "LSTM" else start[0])
        outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=inputs.shape[1])
        if reverse:
            outputs = reversed_rows(outputs, self.lengths)
        return [outputs, *(part[0] for part in (end if self.mode == "LSTM" else (end,)))]

    def gradients(self, results: list[Tensor], wrt: list[Tensor]) -> list[Tensor]:
        loss = sum((a * b).mean() for a, b in zip(results, self.shares, strict=True))
        assert isinstance(loss, Tensor)
        return list(torch.autograd.grad(loss, wrt))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("mode", KINDS)
def test_results_and_gradients_are_those_of_packed_rows(
    mode: str, sizes: tuple[int, int, int, int], reverse: bool, threads: int
) -> None:
    case = Case(mode, *sizes)
    wrt = [case.inputs, *case.start, *case.weights]
    found, expected = (way(case.inputs, reverse=reverse) for way in (case.ours, case.expected))
    torch.testing.assert_close(found, expected, **CLOSE)
    torch.testing.assert_close(case.gradients(found, wrt), case.gradients(expected, wrt), **CLOSE)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("mode", KINDS)
def test_codes_are_one_hot_rows(mode: str, sizes: tuple[int, int, int, int], threads: int) -> None:
    case = Case(mode, *sizes)
    wrt = [*case.start, *case.weights]
    rows = nn.functional.one_hot(case.codes, sizes[2]).float()
    found, expected = case.ours(case.codes), case.expected(rows)
    torch.testing.assert_close(found, expected, **CLOSE)
    torch.testing.assert_close(case.gradients(found, wrt), case.gradients(expected, wrt), **CLOSE)


@pytest.mark.parametrize("learning", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("mode", KINDS)
def test_indices_stand_for_the_rows_of_a_table(mode: str, reverse: bool, learning: bool) -> None:
    case = Case(mode, 70, 12, 33, 40)
    table = torch.randn(50, 33, requires_grad=True)
    codes = torch.randint(50, (70, 12), dtype=torch.int32)
    with torch.set_grad_enabled(learning):
        expected = case.ours(table[codes], reverse=reverse)
        found, end = scan(
            mode, codes, case.lengths, case.start, case.weights, reverse=reverse, table=table
        )
    assert all(map(torch.equal, [found, *end], expected))
    if learning:
        ours, plain = (case.gradients(way, [table]) for way in ([found, *end], expected))
        torch.testing.assert_close(ours, plain, **CLOSE)


@pytest.mark.parametrize("mode", KINDS)
def test_the_state_is_the_same_where_nobody_wants_outputs(mode: str) -> None:
    case = Case(mode, 70, 12, 33, 40)
    wrt = [case.inputs, *case.start, *case.weights]
    _, *expected = case.ours(case.inputs)
    _, found = scan(
        mode, case.inputs, case.lengths, case.start, case.weights, reverse=False, want_outputs=False
    )
    assert all(map(torch.equal, found, expected))
    case.shares = case.shares[1:]
    torch.testing.assert_close(
        case.gradients(list(found), wrt), case.gradients(expected, wrt), atol=0, rtol=0
    )


@pytest.mark.parametrize("mode", KINDS)
def test_steps_are_kept_only_for_gradients(mode: str) -> None:
    taken = []
    for learning in (True, False):
        case = Case(mode, 8, 200, 3, 32)
        with (
            torch.set_grad_enabled(learning),
            profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen,
        ):
            scan(
                mode, case.inputs, case.lengths, case.start, case.weights, reverse=False,
                want_outputs=False,
            )  # fmt: skip
        taken.append(max(event.cpu_memory_usage for event in seen.events()))
    kept, not_kept = taken
    assert not_kept < kept / 10


@pytest.mark.parametrize("used", ["outputs", "end"])
@pytest.mark.parametrize("mode", KINDS)
def test_a_result_that_is_not_used_has_no_share_in_the_gradients(mode: str, used: str) -> None:
    case = Case(mode, 5, 9, 3, 20)
    chosen = slice(0, 1) if used == "outputs" else slice(1, None)
    found, expected = (
        torch.autograd.grad(sum(part.sum() for part in way(case.inputs)[chosen]), case.inputs)
        for way in (case.ours, case.expected)
    )
    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("mode", KINDS)
def test_neither_threads_nor_other_rows_nor_forgetting_change_a_bit(
    mode: str, threads: int
) -> None:
    case = Case(mode, 70, 12, 33, 40)
    remembering = case.ours(case.inputs)
    torch.set_num_threads(1)
    with torch.no_grad():
        assert all(map(torch.equal, case.ours(case.inputs), remembering))
        case.lengths, case.start = case.lengths[60:], tuple(part[60:] for part in case.start)
        for few, all_rows in zip(case.ours(case.inputs[60:]), remembering, strict=True):
            assert torch.equal(few, all_rows[60:])


def test_gradients_are_the_same_bits_each_time(threads: int) -> None:
    case = Case("LSTM", 70, 12, 33, 40)
    first, again = (case.gradients(case.ours(case.inputs), case.weights) for _ in range(2))
    assert all(map(torch.equal, first, again))


@pytest.mark.parametrize("mode", KINDS)
def test_a_row_without_steps_keeps_its_state(mode: str) -> None:
    case = Case(mode, 5, 9, 3, 20)
    case.lengths[2] = 0
    outputs, *end = case.ours(case.inputs)
    assert not outputs[2].any()
    for part, start in zip(end, case.start, strict=True):
        assert torch.equal(part[2], start[2])
        (slope,) = torch.autograd.grad(part.sum(), start, retain_graph=True)
        assert (slope[2] == 1).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("mode", KINDS)
def test_numbers_out_of_bounds_do_what_they_do_in_torch(mode: str, value: float) -> None:
    case = Case(mode, 5, 9, 3, 20)
    inputs = case.inputs.detach().clone()
    inputs[1, 0, 0] = value
    found, expected = case.ours(inputs)[0], case.expected(inputs)[0]
    torch.testing.assert_close(found, expected, equal_nan=True, **CLOSE)


def test_small_numbers_keep_their_last_bits() -> None:
    inputs = torch.cat((torch.logspace(-30, 2, 3000), -torch.logspace(-30, 2, 3000)))
    weights = [torch.tensor(part) for part in ([[1.0]], [[0.0]], [0.0], [0.0])]
    outputs, _ = scan(
        "RNN_TANH", inputs.view(-1, 1, 1), torch.ones(6000, dtype=torch.long),
        (torch.zeros(6000, 1),), weights, reverse=False,
    )  # fmt: skip
    expected = inputs.double().tanh().float()
    torch.testing.assert_close(outputs.view(-1), expected, rtol=4e-7, atol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": torch.tensor([10, 1, 1, 1, 1])}, "lengths"),
        ({"lengths": torch.tensor([-1, 1, 1, 1, 1])}, "lengths"),
        ({"lengths": torch.tensor([1, 1])}, "lengths"),
        ({"lengths": torch.ones(5)}, "lengths"),
        ({"inputs": torch.full((5, 9), 3)}, "index"),
        ({"inputs": torch.full((5, 9), -1)}, "index"),
        ({"inputs": torch.zeros(5, 9, 4)}, "inputs"),
        ({"inputs": torch.zeros(5, 9, 3, dtype=torch.long)}, "inputs"),
        ({"inputs": torch.zeros(0, 9, 3)}, "no rows"),
        ({"inputs": torch.zeros(5, 0, 3)}, "no steps"),
        ({"inputs": torch.zeros(5, 9, 3, dtype=torch.float64)}, "float32"),
        ({"start": (torch.zeros(5, 20), torch.zeros(5, 19))}, "state"),
        ({"start": (torch.zeros(5, 20),)}, "state"),
        ({"start": (torch.zeros(5, 20), torch.zeros(5, 20).double())}, "float32"),
        ({"weights": list(nn.RNN(3, 20).parameters())}, "weights"),
        ({"weights": list(nn.LSTM(3, 20).double().parameters())}, "float32"),
        ({"mode": "GRU"}, "weights"),
        (
            {
                "weights": [torch.zeros(80, 0), torch.zeros(80, 20), *torch.zeros(2, 80)],
                "inputs": torch.zeros(5, 9, 0),
            },
            "size is 0",
        ),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    case = Case("LSTM", 5, 9, 3, 20)
    arguments = {
        "mode": "LSTM", "inputs": case.inputs, "lengths": case.lengths, "start": case.start,
        "weights": case.weights, **change,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        scan(**arguments, reverse=False)


def test_a_default_type_of_torch_changes_nothing() -> None:
    case = Case("LSTM", 5, 9, 3, 20)
    expected = case.gradients(case.ours(case.inputs), case.weights)
    torch.set_default_dtype(torch.float64)
    try:
        found = case.gradients(case.ours(case.inputs), case.weights)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(map(torch.equal, found, expected))


def test_lengths_of_any_integer_type_are_lengths() -> None:
    case = Case("GRU", 5, 9, 3, 20)
    expected = case.ours(case.inputs)
    case.lengths = case.lengths.int().repeat_interleave(2)[::2]
    assert all(map(torch.equal, case.ours(case.inputs), expected))


def test_what_is_kept_for_the_way_back_is_no_more_than_was_read() -> None:
    case = Case("LSTM", 640, 500, 1, 32)
    case.lengths = torch.full((640,), 5)
    case.lengths[7] = 500
    sizes: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        case.ours(case.inputs)
    # 32 rows go together, so one long one takes the room of 32, and of no more.
    assert max(sizes) <= (32 * 501 + 608 * 6) * 6 * 32


def test_without_openmp_threads_of_our_own_do_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("GRU", 70, 12, 33, 40)
    expected = case.ours(case.inputs)
    monkeypatch.setattr(workers, "_openmp", lambda: None)
    torch.set_num_threads(2)
    assert all(map(torch.equal, case.ours(case.inputs), expected))
    torch.set_num_threads(1)


@pytest.mark.parametrize("openmp", [True, False])
def test_every_share_is_done_once_and_a_failure_is_told(
    openmp: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not openmp:
        monkeypatch.setattr(workers, "_openmp", lambda: None)
    done: list[int] = []
    workers.each(done.append, 5)
    assert sorted(done) == [0, 1, 2, 3, 4]

    def fail(worker: int) -> None:
        if worker == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workers.each(fail, 2)


def test_an_interrupt_that_ctypes_drops_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def GOMP_parallel(self, *_: object) -> None:  # noqa: N802
            """Return as if no callback had come to its first line."""

    monkeypatch.setattr(workers, "_openmp", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        workers.each(print, 2)


def test_processors_without_wide_vectors_compute_the_same(tmp_path: Path) -> None:
    this = "tests/test_fused.py::test_results_and_gradients_are_those_of_packed_rows"
    code = (
        "from llvmlite import binding; binding.get_host_cpu_features = dict; import pytest, sys; "
        f"sys.exit(pytest.main(['{this}[2-LSTM-(70, 12, 33, 40)-False]']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"},
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


TINY = (
    "import torch; from zoo_recurrent.fused import scan; w = torch.nn.RNN(2, 3).parameters(); "
    "print(scan('RNN_TANH', torch.zeros(1, 1, 2), torch.tensor([1]), (torch.zeros(1, 3),), "
    "list(w), reverse=False)[0].shape)"
)


def scan_in_a_process(cache: Path, before: str = "") -> str:
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", before + TINY], capture_output=True, text=True, check=True, env=env
    )
    return done.stdout


@pytest.mark.parametrize("damage", ["cut", "zeros"])
def test_compiled_code_is_kept_and_damage_to_it_is_mended(damage: str, tmp_path: Path) -> None:
    expected = scan_in_a_process(tmp_path)
    assert "[1, 1, 3]" in expected
    (path,) = tmp_path.rglob("*.nbc")
    whole = path.read_bytes()
    written = path.stat().st_mtime_ns
    assert scan_in_a_process(tmp_path) == expected
    assert path.stat().st_mtime_ns == written, "compiled again"
    half = len(whole) // 2
    path.write_bytes(whole[:half] + (b"" if damage == "cut" else bytes(half)))
    assert scan_in_a_process(tmp_path) == expected
    (again,) = tmp_path.rglob("*.nbc")
    assert again.stat().st_size == len(whole)


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "[1, 1, 3]" in scan_in_a_process(tmp_path / "file" / "cache")
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)); "
    assert "[1, 1, 3]" in scan_in_a_process(tmp_path / "full", full)
