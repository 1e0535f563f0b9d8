"""How trainings are started and watched, wherever they run: see ``ProcessLauncher`` and ``JobLauncher``."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from trainer.jobs.spec import JobSpec


@dataclass(frozen=True, slots=True)
class TrainingEnd:
    """How a training has ended, in words: ``status -9`` for example.

    A ``reason`` is one fixed word, and says that another attempt would end in the same way. Without one a
    training that left no outcome is started again from its checkpoint.
    """

    how: str
    is_success: bool = False
    reason: str | None = None


class RunningTraining(Protocol):
    """One training that was started. Methods raise Transient when what runs it is away."""

    @property
    def name(self) -> str:
        """What it is called where it runs: a process id, or the name of a Job."""
        ...

    def poll(self) -> TrainingEnd | None:
        """Return how it has ended, None while it runs or waits for its place; called several times a
        second.
        """
        ...

    def stop(self) -> None:
        """End it, because its order is closed or too old; its checkpoint stays. Harmless when it has
        ended.
        """
        ...

    def leave(self) -> None:
        """Stop watching, because another trainer, or a later start of this one, goes on with the order.

        What would end with this process anyway is ended.
        """
        ...


class Launcher(Protocol):
    """Starts the trainings of one line; the order lies in the folder that a training is given."""

    def start(self, spec: JobSpec, folder: Path, within: timedelta) -> RunningTraining:
        """Start the training of an order, or go on with the one that an earlier trainer has started.

        It is to be ended where it runs when it takes longer than ``within``.
        """
        ...

    def clear(self, product: str) -> None:
        """End what still runs for a product that has no open order; raises Transient."""
        ...
