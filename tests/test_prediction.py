"""Predictions of many texts: their order, how far ahead is read, and failures."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

import zoo
from zoo.interfaces import Prediction
from zoo.prediction import CHUNK, CHUNK_CHARACTERS, chunks, predict

THREADS = pytest.mark.parametrize("threads", [1, 2, 3])


class Echo:
    """Predicts each text itself; the first calls wait until ``together`` of them are running."""

    def __init__(self, together: int = 1) -> None:
        self.gate = threading.Barrier(together)
        self.chunks: list[int] = []

    def predict(self, network: nn.Module, texts: Sequence[str]) -> Iterator[Prediction]:
        if len(self.chunks) < self.gate.parties:
            self.chunks.append(len(texts))
            self.gate.wait(timeout=60)
        for text in texts:
            if text == "bad":
                raise ValueError("a bad text")
            yield Prediction(text)


def predicted(task: Echo, texts: Iterator[str], threads: int) -> Iterator[str]:
    return (prediction.text for prediction in predict(task, nn.Identity(), texts, threads))


@THREADS
@pytest.mark.parametrize("count", [0, 1, CHUNK, 7 * CHUNK + 5])
def test_predictions_are_in_the_order_of_the_texts(count: int, threads: int) -> None:
    texts = [str(number) for number in range(count)]
    assert list(predicted(Echo(), iter(texts), threads)) == texts


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_predict_at_the_same_time(threads: int) -> None:
    task = Echo(together=threads)
    assert (
        len(list(predicted(task, iter(["text"] * (threads * CHUNK)), threads))) == threads * CHUNK
    )
    assert task.chunks == [CHUNK] * threads


@THREADS
def test_a_chunk_for_each_thread_and_one_more_are_read_ahead(threads: int) -> None:
    taken = itertools.count()
    found = predicted(Echo(), (str(next(taken)) for _ in itertools.repeat(0)), threads)
    for _ in range(3 * CHUNK):
        next(found)
    found.close()  # type: ignore[attr-defined]
    assert next(taken) <= (3 + threads + 1) * CHUNK


@THREADS
def test_a_failure_is_raised_and_ends_the_threads(threads: int) -> None:
    texts = ["good"] * CHUNK + ["bad"] + ["good"] * (9 * CHUNK)
    before = threading.active_count()
    found = predicted(Echo(), iter(texts), threads)
    with pytest.raises(ValueError, match="a bad text"):
        list(found)
    assert threading.active_count() == before


# A fork for each of the first moments, by calls and returns, at which Ctrl-C can come. Those that
# hang are ended by the alarm.
INTERRUPTED = """
import itertools, os, signal, sys
from zoo import prediction

prediction.CHUNK = 2

class Echo:
    def predict(self, network, texts):
        return list(texts)

def interrupted(moment):
    moments = itertools.count(1)
    def trace(frame, event, argument):
        if event in ("call", "return") and next(moments) == moment:
            sys.settrace(None)
            signal.raise_signal(signal.SIGINT)
        return trace
    found = prediction.predict(Echo(), None, iter("abcdefghij"), 2)
    sys.settrace(trace)
    try:
        list(found)
    except (KeyboardInterrupt, RuntimeError):  # The latter is Python's, from Thread.start().
        pass
    finally:
        sys.settrace(None)
    return next(moments) > moment

for moment in itertools.count(1):
    child = os.fork()
    if not child:
        signal.alarm(30)
        os._exit(0 if interrupted(moment) else 1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        sys.exit(f"hangs at moment {moment}" if status < 0 else None if moment > 50 else "too few")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_ctrl_c_never_hangs() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_threads_predict_what_one_thread_does(sentiment_run: Path) -> None:
    loaded = zoo.load(sentiment_run)
    texts = ["the plot was dull " * (number % 50) + str(number) for number in range(3 * CHUNK)]
    one, three = (list(loaded.predict(texts, threads=threads)) for threads in (1, 3))
    assert one == three
    assert not torch.is_inference_mode_enabled()


# The main thread ends while predictions are unread; daemon threads inside torch aborted here.
UNREAD = """
import sys, torch
from torch import nn
from zoo.prediction import predict

class Work:
    def predict(self, network, texts):
        for _ in range(30):
            torch.rand(64, 64) @ torch.rand(64, 64)
        return texts

found = predict(Work(), nn.Identity(), ["text"] * 10**6, threads=2)
next(found)
"""


def test_a_program_may_end_with_predictions_unread() -> None:
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", UNREAD], capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")


# In a process of its own: the tests' one computes with one thread.
FORKED = """
import os, signal, sys, torch, zoo
torch.set_num_threads(2)
model = zoo.load(sys.argv[1])
expected = list(model.predict(["a fine plot " * 90] * 3))
begun = model.predict(["a fine plot"] * 5000, threads=2)
next(begun)
child = os.fork()
if not child:
    signal.alarm(60)
    for threads in (1, 2):
        assert list(model.predict(["a fine plot " * 90] * 3, threads=threads)) == expected
    try:
        list(begun)
    except zoo.ZooError as error:
        os._exit(0 if "before the process was forked" in str(error) else 2)
    os._exit(1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_forked_process_predicts(sentiment_run: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED, sentiment_run], capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


class Slow(Echo):
    """Predicts texts in a while, and knows the threads that do."""

    def __init__(self) -> None:
        super().__init__()
        self.computing: set[int] = set()
        self.calls = 0
        self.third_call = threading.Event()

    def predict(self, network: nn.Module, texts: Sequence[str]) -> Iterator[Prediction]:
        self.computing.add(threading.get_ident())
        self.calls += 1
        if self.calls == 3:
            self.third_call.set()
        time.sleep(0.3)
        self.computing.remove(threading.get_ident())
        return super().predict(network, texts)


def exit_code_of_fork(function: Callable[[], bool]) -> int:
    """Return 0 where the function returns True in a forked process."""
    child = os.fork()
    if not child:
        signal.alarm(60)
        code = 1
        try:
            code = int(not function())
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_fork_waits_for_the_chunks_of_other_threads() -> None:
    task = Slow()
    found = predict(task, nn.Identity(), ["text"] * 5 * CHUNK, threads=2)
    next(found)
    assert task.third_call.wait(60)
    assert exit_code_of_fork(lambda: not task.computing) == 0
    assert len(list(found)) == 5 * CHUNK - 1


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_task_may_fork_in_its_predictions(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.forks._LONGEST_WAIT", None)

    class Forks(Echo):
        def predict(self, network: nn.Module, texts: Sequence[str]) -> Iterator[Prediction]:
            again = predict(Echo(), network, texts)
            results = list(super().predict(network, texts))
            assert exit_code_of_fork(lambda: len(list(again)) == len(texts)) == 0
            return iter(results)

    task, texts = Forks(together=threads), ["text"] * threads * CHUNK
    found: list[Prediction] = []
    thread = threading.Thread(
        target=lambda: found.extend(predict(task, nn.Identity(), texts, threads)), daemon=True
    )
    thread.start()
    thread.join(120)
    assert len(found) == len(texts)


class Arriving:
    """Texts of which some are there: `ready` says so."""

    def __init__(self, *groups: list[str]) -> None:
        self.groups = groups
        self.waits = False

    def __iter__(self) -> Iterator[str]:
        for group in self.groups:
            for text in group:
                self.waits = text == group[-1]
                yield text

    def ready(self) -> bool:
        return not self.waits


@THREADS
def test_texts_that_are_there_are_predicted_before_others_are_waited_for(threads: int) -> None:
    waited: list[str] = []

    class Slow(Arriving):
        def __iter__(self) -> Iterator[str]:
            for text in super().__iter__():
                waited.append(text)
                yield text

    task = Echo()
    found = predict(task, nn.Identity(), Slow(["a", "b"], ["c"], ["d"] * 9), threads)
    assert [next(found).text, next(found).text] == ["a", "b"]
    assert waited == ["a", "b"]
    assert next(found).text == "c"
    assert [prediction.text for prediction in found] == ["d"] * 9


def test_chunks_hold_a_bounded_number_of_characters() -> None:
    texts = ["x" * (CHUNK_CHARACTERS // 3)] * 7
    assert [len(chunk) for chunk in chunks(texts)] == [4, 3]
    with pytest.raises(TypeError, match="texts are strings, not int"):
        list(chunks([1]))  # type: ignore[list-item]
