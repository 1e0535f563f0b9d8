"""One product's training: its order is in the model event, a process or a Job carries it out, and another one
goes on when it has died.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from shutil import rmtree

from pydantic import ValidationError

from steadyline.clock import Clock
from steadyline.contracts.model_event import ModelEvent, TrainingOrder
from steadyline.line import Product
from steadyline.telemetry.logs import get_logger
from trainer import metrics
from trainer.control.launch import Launcher, RunningTraining, TrainingEnd
from trainer.data.banks import BankStore
from trainer.data.labelled_frames import LabelledFrames
from trainer.data.snapshot import Snapshot
from trainer.jobs.spec import JobFailure, JobFolder, JobResult, JobSpec, LivePackage
from trainer.lifecycle import transitions
from trainer.lifecycle.product_state import ProductState

log = get_logger(__name__)

MOST_DEATHS = 5  # one that dies so often without giving a reason is given up (most likely out of memory)
OVERDUE, NOT_STARTED, REFUSED = "training_overdue", "training_not_started", "training_refused"
OUTCOMES = {OVERDUE: "overdue", NOT_STARTED: "not_started", REFUSED: "refused"}
REST_AFTER_DEATH = timedelta(seconds=2)  # multiplied by the number of deaths so far


@dataclass(frozen=True, slots=True)
class TrainingPlace:
    """How trainings are started, the folder of their orders and checkpoints, the trainer's seed, and the
    longest time that a training may take.
    """

    launcher: Launcher
    work: Path
    seed: int
    longest: timedelta = timedelta(hours=24)


class TrainingSupervisor:
    """Orders and watches one product's training; there is at most one at a time."""

    def __init__(
        self, state: ProductState, settings: Product, kept: BankStore, place: TrainingPlace, clock: Clock
    ) -> None:
        self._state, self._settings, self._bank_store, self._place = state, settings, kept, place
        self._product, self._folder = state.product, place.work / state.product
        self._jobs, self._clock = JobFolder(self._folder), clock
        self._running: RunningTraining | None = None
        self._is_clear = False  # nothing of an earlier trainer runs without an order
        self._deaths = 0
        self._not_before = self._ends_at = float("-inf")  # of the present order, in monotonic seconds
        self._spec: JobSpec | None = None

    @property
    def spec(self) -> JobSpec | None:
        """Return the open order, even one that another trainer left; raises BrokerUnavailable."""
        order = self._state.event.order
        try:
            spec = None if order is None else JobSpec.model_validate_json(order.spec)
        except ValidationError:  # of another release: the next reason to train makes another one
            spec = None
        return spec if spec is not None and spec.product == self._product else None

    def order(
        self, why: str, event: ModelEvent, snapshot: Snapshot, labelled: LabelledFrames | None = None
    ) -> JobSpec:
        """Announce the order to train the next version on ``snapshot``, and return it.

        Candidate and live model are measured on the frames that people ``labelled``.
        """
        uri, digest = self._bank_store.put_snapshot(self._product, snapshot.pack())
        judged = (
            None if labelled is None else self._bank_store.put_snapshot(self._product, labelled.pack())[1]
        )
        version, live = transitions.next_version(event), event.live()
        spec = JobSpec(
            product=self._product,
            version=version,
            why=why,
            detector=self._settings.detectors,
            profile=self._settings.profile,
            steps=self._settings.steps,
            seed=self._place.seed + version - 1,
            size=self._settings.picture.grid.height,
            width=self._settings.picture.grid.told_width,
            channels=self._settings.picture.channels,
            false_alarm_rate=self._settings.false_alarm_rate,
            gate=self._settings.gate,
            snapshot_uri=uri,
            snapshot_digest=digest,
            labelled_digest=judged,
            live=None if live is None else LivePackage(version=live.version, package=live.package),
            known_banks=tuple(sorted(transitions.banks_of(event))),
            ordered_at=self._clock.now(),
        )
        self._announce(spec)
        self._deaths, self._not_before, self._ends_at = 0, float("-inf"), float("-inf")
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
        self._announce(spec.model_copy(update={"live": present}))

    def turn(self) -> JobResult | JobFailure | None:
        """Start, watch or restart the training of the open order; return its outcome once there is one.

        Raises Transient when what runs trainings is away.
        """
        spec = self._spec = self.spec
        if spec is None:
            self.rest()
            return None
        if self._running is None:
            answer = self._jobs.outcome(spec)
            if answer is None and self._clock.monotonic() >= self._not_before:
                self._start(spec)
            return answer
        if self._clock.monotonic() >= self._ends_at:
            self._end_overdue(spec)
            return None
        metrics.TRAINING_PROGRESS.set(self._jobs.progress(spec).ratio, product=self._product)
        end = self._running.poll()
        if end is not None:
            self._ended(spec, end)
        return None

    def rest(self) -> None:
        """See that nothing runs while no order is open; raises Transient."""
        if self._running is not None:
            self._running.stop()
            self._running = None
            metrics.TRAININGS.add(product=self._product, outcome="stopped")
        if not self._is_clear:
            self._place.launcher.clear(self._product)
            self._is_clear = True

    def close(self) -> None:
        """Delete the checkpoint and the outcome; to be called once the answer was announced, which closed the
        order.
        """
        if self._spec is not None:
            took = max(timedelta(0), self._clock.now() - self._spec.ordered_at)
            metrics.TRAINING_SECONDS.record(took.total_seconds(), product=self._product)
        rmtree(self._folder, ignore_errors=True)
        metrics.TRAINING_PROGRESS.set(0, product=self._product)
        self._spec, self._ends_at = None, float("-inf")

    def leave(self) -> None:
        """Stop watching; the order stays open and its checkpoint stays too, for whoever goes on with it."""
        if self._running is not None:
            self._running.leave()
            self._running = None
            metrics.TRAININGS.add(product=self._product, outcome="left")
        self._is_clear = False

    def _announce(self, spec: JobSpec) -> None:
        order = TrainingOrder(version=spec.version, spec=spec.model_dump_json())
        self._state.announce(transitions.ordered(self._state.event, order, self._clock.now()))

    def _start(self, spec: JobSpec) -> None:
        self._jobs.order(spec)
        if self._ends_at == float("-inf"):
            self._ends_at = self._clock.monotonic() + self._place.longest.total_seconds()
        within = timedelta(seconds=self._ends_at - self._clock.monotonic())
        self._running, self._is_clear = self._place.launcher.start(spec, self._folder, within), False
        log.info(
            "training_started",
            product=self._product,
            version=spec.version,
            training=self._running.name,
            why=spec.why,
        )

    def _end_overdue(self, spec: JobSpec) -> None:
        assert self._running is not None
        self._running.stop()
        self._running = None
        metrics.TRAININGS.add(product=self._product, outcome="overdue")
        self._give_up(spec, OVERDUE, f"it was not done after {self._place.longest} (TRAINER_TRAINING_HOURS)")

    def _ended(self, spec: JobSpec, end: TrainingEnd) -> None:
        assert self._running is not None
        if self._jobs.outcome(spec) is None:
            self._running.stop()
        self._running.leave()
        self._running = None
        if self._jobs.outcome(spec) is not None:
            metrics.TRAININGS.add(product=self._product, outcome="trained" if end.is_success else "failed")
            return
        if end.reason is not None:
            metrics.TRAININGS.add(product=self._product, outcome=OUTCOMES[end.reason])
            self._give_up(spec, end.reason, end.how)
            return
        self._deaths += 1
        metrics.TRAININGS.add(product=self._product, outcome="died")
        log.warning(
            "training_died", product=self._product, version=spec.version, how=end.how, deaths=self._deaths
        )
        if self._deaths >= MOST_DEATHS:
            self._give_up(spec, "training_died", f"it died {self._deaths} times, last with {end.how}")
        rest = self._deaths * REST_AFTER_DEATH
        self._not_before = self._clock.monotonic() + rest.total_seconds()

    def _give_up(self, spec: JobSpec, reason: str, message: str) -> None:
        log.error(reason, product=self._product, version=spec.version, error=message)
        self._jobs.fail(spec, JobFailure(version=spec.version, reason=reason, message=message))
