"""One product's training: it is ordered in the store, a child process carries it out, and it resumes when the
child dies.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from shutil import rmtree

from steadyline.clock import Clock
from steadyline.contracts.model_event import ModelEvent
from steadyline.digest import sha256
from steadyline.line import Product
from steadyline.store import Store
from steadyline.telemetry.logs import get_logger
from trainer import metrics
from trainer.control.training_process import TrainingProcess
from trainer.data.snapshot import Snapshot
from trainer.jobs.spec import JobFailure, JobResult, Jobs, JobSpec, LivePackage
from trainer.lifecycle import transitions

log = get_logger(__name__)

MOST_DEATHS = 5  # a child that dies so often without giving a reason is given up (most likely out of memory)
REST_AFTER_DEATH = timedelta(seconds=2)  # multiplied by the number of deaths so far


@dataclass(frozen=True, slots=True)
class WorkDirectories:
    """Where children run: the line file they read, the folder of checkpoints, the trainer's seed."""

    line_file: Path
    work: Path
    seed: int


class TrainingSupervisor:
    """Orders and watches one product's training; there is at most one at a time."""

    def __init__(
        self, product: str, settings: Product, store: Store, place: WorkDirectories, clock: Clock
    ) -> None:
        self._product, self._settings, self._store, self._place = product, settings, store, place
        self._jobs, self._clock = Jobs(store, product), clock
        self._child: TrainingProcess | None = None
        self._deaths = 0
        self._not_before: datetime | None = None
        self._spec: JobSpec | None = None
        self._looked = False

    @property
    def spec(self) -> JobSpec | None:
        """Return the open order, even one that another trainer left; raises StoreUnavailable."""
        if not self._looked:
            self._spec, self._looked = self._jobs.spec(), True
        return self._spec

    def order(self, why: str, event: ModelEvent, snapshot: Snapshot) -> JobSpec:
        """Write down the order to train the next version on ``snapshot``, and return it."""
        packed = snapshot.pack()
        digest = sha256(packed)
        uri = self._store.put(f"snapshots/{self._product}/{digest}", packed, "application/octet-stream")
        version, live = transitions.next_version(event), event.live()
        spec = JobSpec(
            product=self._product,
            version=version,
            why=why,
            detector=self._settings.detectors,
            profile=self._settings.profile,
            steps=self._settings.steps,
            seed=self._place.seed + version - 1,
            size=self._settings.picture.size,
            channels=self._settings.picture.channels,
            false_alarm_rate=self._settings.false_alarm_rate,
            gate=self._settings.gate,
            snapshot_uri=uri,
            snapshot_digest=digest,
            live=None if live is None else LivePackage(version=live.version, package=live.package),
            ordered_at=self._clock.now(),
        )
        self._jobs.order(spec)
        self._spec, self._looked, self._deaths, self._not_before = spec, True, 0, None
        log.info(
            "training_ordered", product=self._product, version=version, why=why, normals=len(snapshot.sources)
        )
        return spec

    def measure_again(self, event: ModelEvent) -> None:
        """Order the same training against the present live model, because the live model changed meanwhile.

        The package exists already, so the child only measures.
        """
        spec, live = self.spec, event.live()
        if spec is None:
            return
        present = None if live is None else LivePackage(version=live.version, package=live.package)
        self._spec = spec.model_copy(update={"live": present})
        self._jobs.order(self._spec)
        self._jobs.reopen()

    def turn(self) -> JobResult | JobFailure | None:
        """Start, watch or restart the child of the open order; return its outcome once there is one."""
        spec = self.spec
        if spec is None:
            return None
        if self._child is None:
            answer = self._jobs.result(spec.version) or self._jobs.failure(spec.version)
            if answer is None and (self._not_before is None or self._clock.now() >= self._not_before):
                self._start(spec)
            return answer
        metrics.TRAINING_PROGRESS.set(self._child.progress.ratio, product=self._product)
        status = self._child.poll()
        if status is not None:
            self._ended(spec, status)
        return None

    def close(self) -> None:
        """Delete the order and its checkpoint; to be called once the answer was announced."""
        if self._spec is not None:
            took = self._clock.now() - self._spec.ordered_at
            metrics.TRAINING_SECONDS.record(took.total_seconds(), product=self._product)
        self._jobs.close()
        rmtree(self._folder(), ignore_errors=True)
        metrics.TRAINING_PROGRESS.set(0, product=self._product)
        self._spec = None

    def stop(self) -> None:
        """End the child, if one runs; the order stays open and its checkpoint stays too."""
        if self._child is not None:
            self._child.stop()
            self._child = None
            metrics.TRAININGS.add(product=self._product, outcome="stopped")
        self._looked = False

    def _start(self, spec: JobSpec) -> None:
        self._folder().mkdir(parents=True, exist_ok=True)
        self._child = TrainingProcess(self._place.line_file, self._product, self._folder())
        log.info(
            "training_started", product=self._product, version=spec.version, pid=self._child.pid, why=spec.why
        )

    def _ended(self, spec: JobSpec, status: int) -> None:
        assert self._child is not None
        self._child.stop()
        self._child = None
        if self._jobs.result(spec.version) or self._jobs.failure(spec.version):
            metrics.TRAININGS.add(product=self._product, outcome="trained" if status == 0 else "failed")
            return
        self._deaths += 1
        metrics.TRAININGS.add(product=self._product, outcome="died")
        log.warning(
            "training_died", product=self._product, version=spec.version, status=status, deaths=self._deaths
        )
        if self._deaths >= MOST_DEATHS:
            message = f"the training process died {self._deaths} times, last with status {status}"
            self._jobs.fail(JobFailure(version=spec.version, reason="training_died", message=message))
        self._not_before = self._clock.now() + self._deaths * REST_AFTER_DEATH

    def _folder(self) -> Path:
        return self._place.work / self._product
