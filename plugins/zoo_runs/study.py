"""The study of a sweep, which Optuna keeps: which settings are tried, by whom, and their scores.

Processes take turns under a lock on the folder when they claim a trial, and hold a lock on the
trial while they train it. The system releases the locks of a process that ends in any way, so a
trial that has no score and is not locked was interrupted or killed: the next process goes on with
it. Source: T. Akiba et al., Optuna, KDD 2019; J. Bergstra et al., NeurIPS 2011 (its sampler).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from zoo.errors import UsageError
from zoo_runs.locks import lock_trial, locked
from zoo_runs.space import Choices, Range, Space

if TYPE_CHECKING:
    import optuna

DATABASE = "study.db"

# Draws until one is new, where settings are sampled from few values.
_DRAWS = 50
# Seconds that SQLite waits for another process, which takes milliseconds.
_WAIT = 60


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial that this process is to train.

    Args:
        number: Its number in the study.
        settings: Its values, as after ``--set``.
        lock: Held while it is trained.
    """

    number: int
    settings: dict[str, str]
    lock: FileLock


@dataclass(frozen=True, slots=True)
class Record:
    """What the study has of a trial.

    Args:
        number: Its number in the study.
        settings: Its values, as after ``--set``.
        state: ``complete``, ``diverged`` or ``running``; the last also of one that was killed.
        value: The score; None where it is not complete.
    """

    number: int
    settings: dict[str, str]
    state: str
    value: float | None


class Study:
    """The trials of a sweep.

    Args:
        folder: The folder of the sweep.
        name: The name of the study.
        storage: A URL for Optuna; empty: a file in the folder.
        space: What varies.
        higher_is_better: Which way the score improves.

    Raises:
        UsageError: Optuna is not installed, or cannot use the storage.
    """

    def __init__(
        self, folder: Path, name: str, storage: str, space: Space, *, higher_is_better: bool
    ) -> None:
        self._optuna = import_optuna()
        self._folder, self._name, self._space = folder, name, space
        self._direction = "maximize" if higher_is_better else "minimize"
        self._url = storage or f"sqlite:///{(folder / DATABASE).resolve()}"
        self._distributions = {key: self._distribution(values) for key, values in space.items()}
        with locked(folder):
            self._storage = self._connect(storage)
            self._study(0)

    def records(self) -> list[Record]:
        """Return the trials so far, by number, without those that were given up."""
        states = self._optuna.trial.TrialState
        names = {states.COMPLETE: "complete", states.PRUNED: "diverged", states.RUNNING: "running"}
        return [
            Record(trial.number, self._settings(trial.params), names[trial.state], trial.value)
            for trial in self._study(0).get_trials(deepcopy=False)
            if trial.state in names and trial.params.keys() == self._space.keys()
        ]

    def claim(self, grid: Sequence[dict[str, str]], trials: int) -> Claim | None:
        """Return a trial to train: one that was left, or a new one; None where there is none.

        Args:
            grid: The settings to try, where they are not sampled.
            trials: How many are sampled; 0: those of the grid.
        """
        with locked(self._folder):
            self._remove_begun()
            records = self.records()
            for record in records:
                if record.state == "running" and (lock := lock_trial(self._trial(record.number))):
                    return Claim(record.number, record.settings, lock)
            taken = [record.settings for record in records]
            if trials:
                return self._sample(taken) if len(records) < trials else None
            left = next((settings for settings in grid if settings not in taken), None)
            return None if left is None else self._begin(left)

    def finish(self, claim: Claim, value: float) -> None:
        """Record the score of a trial."""
        with locked(self._folder):
            self._study(0).tell(claim.number, value)

    def give_up(self, claim: Claim) -> None:
        """Record that a trial diverged: it is not tried again, and its like is avoided."""
        with locked(self._folder):
            # The sampler learns nothing of a trial that is FAIL.
            self._study(0).tell(claim.number, state=self._optuna.trial.TrialState.PRUNED)

    def _sample(self, taken: Sequence[dict[str, str]]) -> Claim:
        """Return a new trial of values that are drawn; if they are few, of values not drawn yet."""
        for _ in range(_DRAWS):
            claim = self._begin(None)
            if claim.settings not in taken:
                return claim
            claim.lock.release()
            self._study(0).tell(claim.number, state=self._optuna.trial.TrialState.FAIL)
        return self._begin(None)

    def _begin(self, settings: Mapping[str, str] | None) -> Claim:
        # Each trial has a sampler of its own seed, so that no two processes draw the same.
        study = self._study(seed=len(self._study(0).get_trials(deepcopy=False)), fixed=settings)
        trial = study.ask(self._distributions)
        lock = lock_trial(self._trial(trial.number))
        assert lock is not None, "trials are claimed under the lock of the folder"
        return Claim(trial.number, self._settings(trial.params), lock)

    def _remove_begun(self) -> None:
        """Give up trials of a process that was killed before it had drawn all of their values."""
        states = self._optuna.trial.TrialState
        study = self._study(0)
        # In a queue, which 0.5.0 had: to be given up they have to be asked for.
        for _ in study.get_trials(deepcopy=False, states=(states.WAITING,)):
            study.tell(study.ask(), state=states.FAIL)
        for trial in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            if trial.params.keys() != self._space.keys():
                study.tell(trial.number, state=states.FAIL)

    def _trial(self, number: int) -> Path:
        return self._folder / trial_folder(number)

    def _connect(self, storage: str) -> optuna.storages.RDBStorage:
        from sqlalchemy.exc import SQLAlchemyError

        options = {"connect_args": {"timeout": _WAIT}} if self._url.startswith("sqlite:") else {}
        try:
            found: optuna.storages.RDBStorage = self._optuna.storages.RDBStorage(
                self._url, engine_kwargs=options
            )
        except (SQLAlchemyError, self._optuna.exceptions.OptunaError, ImportError) as error:
            raise UsageError(
                "cannot use the storage of the sweep",
                where=storage or str(self._folder / DATABASE),
                why=str(error).splitlines()[0],
                fix="give a URL such as sqlite:///study.db with --storage",
            ) from error
        return found

    def _study(self, seed: int, fixed: Mapping[str, str] | None = None) -> optuna.Study:
        """Return the study with a sampler of a seed; where ``fixed``, one of given values."""
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        with warnings.catch_warnings():
            # Of options that Optuna calls experimental.
            warnings.simplefilter("ignore")
            samplers = self._optuna.samplers
            sampler = samplers.TPESampler(seed=seed, constant_liar=True)
            if fixed is not None:
                values = {key: self._value(key, text) for key, text in fixed.items()}
                sampler = samplers.PartialFixedSampler(values, sampler)
            found: optuna.Study = self._optuna.create_study(
                storage=self._storage, sampler=sampler, study_name=self._name,
                direction=self._direction, load_if_exists=True,
            )  # fmt: skip
        return found

    def _distribution(self, values: Choices | Range) -> optuna.distributions.BaseDistribution:
        kinds = self._optuna.distributions
        found: optuna.distributions.BaseDistribution
        if isinstance(values, Choices):
            found = kinds.CategoricalDistribution(values.values)
        elif values.whole:
            low, high = int(values.low), int(values.high)
            found = kinds.IntDistribution(low, high, values.log, int(values.step) or 1)
        else:
            found = kinds.FloatDistribution(
                values.low, values.high, values.log, values.step or None
            )
        return found

    def _settings(self, params: dict[str, Any]) -> dict[str, str]:
        """Return the values of a trial as they are written after ``--set``."""
        return {
            key: params[key] if isinstance(values, Choices) else values.format(params[key])
            for key, values in self._space.items() if key in params
        }  # fmt: skip

    def _value(self, key: str, text: str) -> str | int | float:
        values = self._space[key]
        if isinstance(values, Choices):
            return text
        return int(text) if values.whole else float(text)


def import_optuna() -> Any:
    """Return the module optuna.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise UsageError(
            "a sweep needs Optuna", why=str(error), fix="pip install 'seqzoo[sweep]'"
        ) from error
    return optuna


def trial_folder(number: int) -> str:
    """Return the folder of a trial's runs in that of the sweep."""
    return f"trial-{number}"
