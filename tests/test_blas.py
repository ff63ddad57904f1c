"""Threads of NumPy's matrix products."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

# In a process of its own: OpenBLAS reads its variable when NumPy is imported.
READ = """
import json, threading, numpy, zoo
from threadpoolctl import threadpool_info
from zoo.blas import one_blas_thread

def threads():
    return [pool["num_threads"] for pool in threadpool_info() if "numpy.libs" in pool["filepath"]]
"""
OVERLAPPING = """
before, entered, leave = threads(), threading.Event(), threading.Event()

def short():
    with one_blas_thread():
        entered.set()
        leave.wait(30)

first = threading.Thread(target=short)
first.start()
entered.wait(30)
with one_blas_thread():
    leave.set()
    first.join()
    inner = threads()
print(json.dumps([before, inner, threads()]))
"""
PREDICTING = """
model, found, before = zoo.load("imdb-bilstm", runtime="numpy"), [], threads()
predict = model.task.predict

def recorded(*arguments):
    found.append(threads())
    return predict(*arguments)

model.task.predict = recorded
list(model.predict(["a fine film"] * 1500, threads={threads}))
assert found[0] == found[1]
print(json.dumps([before, found[0], threads()]))
"""


def run(program: str) -> Any:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", READ + program], env=environment, capture_output=True, text=True,
        timeout=120, check=True,
    )  # fmt: skip
    before, inner, after = json.loads(done.stdout)
    if not before:
        pytest.skip("NumPy computes with another library than OpenBLAS")
    assert after == before
    return inner


def test_one_thread_computes_until_the_last_caller_is_done() -> None:
    assert run(OVERLAPPING) == [1]


@pytest.mark.parametrize("threads", [1, 2])
def test_predictions_are_computed_by_one_thread_each(threads: int) -> None:
    assert run(PREDICTING.replace("{threads}", str(threads))) == [1]
