"""Work that is divided between processes, one for each processor."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from zoo.errors import ZooError

Task = TypeVar("Task")
Result = TypeVar("Result")


def map_in_processes(
    compute: Callable[[Task], Result],
    tasks: Sequence[Task],
    description: str,
    processes: int | None = None,
) -> Iterator[Result]:
    """Yield what a function returns of each task, in order, computed by several processes.

    The processes are joblib's: they start afresh, so that no thread of this one is copied, and end
    with this one.

    Args:
        compute: A function of a module.
        tasks: Its arguments.
        description: What is shown on a terminal meanwhile.
        processes: How many; None: as many as this process may use (``LOKY_MAX_CPU_COUNT`` is the
            largest number).

    Raises:
        ZooError: A process was ended, for instance for lack of memory.
    """
    import joblib
    from joblib.externals.loky import get_reusable_executor
    from joblib.externals.loky.process_executor import TerminatedWorkerError
    from tqdm import tqdm

    number = min(processes or joblib.cpu_count(), len(tasks))
    bar = tqdm(total=len(tasks), desc=description, file=sys.stderr, disable=None, leave=False)
    try:
        if number < 2:
            for task in tasks:
                yield compute(task)
                bar.update()
            return
        pool = joblib.Parallel(n_jobs=number, batch_size=1, return_as="generator")
        for result in pool(joblib.delayed(compute)(task) for task in tasks):
            yield result
            bar.update()
    except TerminatedWorkerError as error:
        raise ZooError(
            f"a process was ended while {description}",
            why="perhaps there is too little memory",
            fix="use fewer processes: LOKY_MAX_CPU_COUNT=1",
        ) from error
    finally:
        bar.close()
        if number > 1:
            get_reusable_executor().shutdown(wait=True, kill_workers=True)
