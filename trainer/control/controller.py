"""Control one product: answer commands, order trainings, decide on candidates, keep the live model served.

Whoever holds the lease next repeats whatever was interrupted: the order is in the store, the checkpoint in
the work folder, and loading or announcing twice changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from steadyline.clock import Clock
from steadyline.errors import InvalidConfiguration, Transient
from steadyline.line import Product
from steadyline.telemetry.logs import get_logger
from trainer import metrics
from trainer.control.commands import CommandRefused, Commands
from trainer.control.inbox import ProductInbox
from trainer.control.label_keeper import LabelKeeper
from trainer.control.station_calibration import StationCalibration
from trainer.control.station_following import StationFollowing
from trainer.control.training_supervisor import TrainingSupervisor
from trainer.control.trigger import RetrainFacts, why_train
from trainer.data.snapshot import Snapshot, held_out_as_live
from trainer.jobs.spec import JobFailure, JobResult
from trainer.lifecycle import transitions
from trainer.lifecycle.event_log import EventTooLarge
from trainer.lifecycle.leases import Leases, LeaseState
from trainer.lifecycle.product_state import ProductState
from trainer.lifecycle.rollout import Rollout
from trainer.monitor.monitor import ModelMonitor

log = get_logger(__name__)

SERVED_EVERY = timedelta(seconds=2)  # between two questions to Triton whether it has the live version
ORDERS_PER_TURN = 20  # so that whoever gives orders without end keeps nothing else from its turn


@dataclass(frozen=True, slots=True)
class ControllerDependencies:
    """The objects that a controller works with."""

    leases: Leases
    rollout: Rollout
    monitor: ModelMonitor
    collect: Callable[[ProductInbox], Snapshot]
    clock: Clock
    labels: LabelKeeper
    stations: StationCalibration
    following: StationFollowing


class ProductController:
    """Does everything that one product needs, in turns that one thread calls."""

    def __init__(
        self,
        settings: Product,
        state: ProductState,
        inbox: ProductInbox,
        supervisor: TrainingSupervisor,
        dependencies: ControllerDependencies,
    ) -> None:
        self._settings, self._state, self._inbox, self._supervisor = settings, state, inbox, supervisor
        self._leases, self._rollout, self._monitor = (
            dependencies.leases,
            dependencies.rollout,
            dependencies.monitor,
        )
        self._collect, self._clock = dependencies.collect, dependencies.clock
        self._labels, self._following = dependencies.labels, dependencies.following
        self._commands = Commands(
            state, dependencies.rollout, dependencies.stations, self._train_by_order, dependencies.clock
        )
        self._ask_triton_at = float("-inf")
        self._attempt: tuple[datetime | None, float] = None, 0.0  # the last one, and when it became known

    @property
    def product(self) -> str:
        """The product's name."""
        return self._state.product

    def turn(self) -> None:
        """Do what is due. Raises Transient when something outside is away; the next turn tries again.

        The live model is seen to first. What one step lacks keeps no other from being done: an order can
        thus replace a live model that cannot be served any more, and an order that cannot be answered leaves
        the live model served and watched.
        """
        lease = self._leases.state_of(self.product)
        metrics.HOLDS_LEASE.set(int(lease is LeaseState.HELD), product=self.product)
        if lease is LeaseState.HELD_BY_OTHER:
            self.stand_by()
        if lease is not LeaseState.HELD:
            return
        self._inbox.report()
        failed: list[Transient] = []
        steps = (
            self._keep_served,
            self._state.reconcile,
            self._answer_commands,
            self._keep_labels,
            self._advance_training,
            self._watch,
            self._follow,
        )
        for step in steps:
            try:
                step()
            except Transient as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def stand_by(self) -> None:
        """Stop all work so that another trainer, or a later start of this one, can continue it."""
        self._supervisor.leave()
        self._monitor.stop()
        self._state.forget()
        self._labels.forget()

    def _answer_commands(self) -> None:
        for _ in range(ORDERS_PER_TURN):
            waiting = self._inbox.next_command()
            if waiting is None or (waiting[1].action == "retrain" and not self._inbox.has_read_history):
                return
            self._commands.answer(self._inbox.commands_topic, *waiting)
            self._inbox.done_with(waiting[0])

    def _train_by_order(self, command: str) -> None:
        """Start a training; an order left by a trainer that died before answering counts as this one's."""
        why = why_train(self._known(asked=command), self._settings.retrain, self._now()) or command
        spec = self._supervisor.spec
        if spec is None:
            self._order(why)
        elif spec.why != why:
            raise CommandRefused(f"version {spec.version} is being trained")

    def _advance_training(self) -> None:
        if self._supervisor.spec is None:
            self._supervisor.rest()
            if not self._inbox.has_read_history:  # a part of the normals, or none, would be trained on
                return
            why = why_train(self._known(), self._settings.retrain, self._now())
            if why is not None:
                self._order(why)
            return
        answer = self._supervisor.turn()
        if answer is None:
            return
        if isinstance(answer, JobFailure):
            self._rollout.give_up(answer)
        elif answer.live_version != self._state.event.live_version and not self._is_decided(answer.version):
            log.info("live_version_changed_meanwhile", product=self.product, version=answer.version)
            self._supervisor.measure_again(self._state.event)
            return
        else:
            self._decide(answer)
        self._supervisor.close()

    def _decide(self, result: JobResult) -> None:
        try:
            self._rollout.decide(result)
        except EventTooLarge as error:
            self._rollout.give_up(JobFailure(version=result.version, reason=error.reason, message=str(error)))

    def _order(self, why: str) -> None:
        """Order a training; when the normals cannot be used, announce a failed training instead."""
        try:
            snapshot = held_out_as_live(self._collect(self._inbox), self._state.event.live())
            labelled = self._labels.frames(self._inbox, self._settings.picture)
        except InvalidConfiguration as error:
            version = transitions.next_version(self._state.event)
            self._rollout.give_up(JobFailure(version=version, reason="normals", message=str(error)))
            return
        self._supervisor.order(why, self._state.event, snapshot, labelled)

    def _known(self, asked: str | None = None) -> RetrainFacts:
        attempted = attempted_at(self._state)
        new = self._inbox.newer_than(attempted) if attempted is not None else 0
        labels = self._inbox.newer_labels_than(attempted) if attempted is not None else 0
        return RetrainFacts(bool(self._state.event.models), attempted, new, asked, labels)

    def _now(self) -> datetime:
        """Return the time that the schedule goes by: a wall clock that is set back cannot keep it waiting.

        At least as much time has passed since the last training as since this process first knew of it.
        """
        attempted, now = attempted_at(self._state), self._clock.now()
        if attempted != self._attempt[0]:
            self._attempt = attempted, self._clock.monotonic()
        if attempted is None:
            return now
        return max(now, attempted + timedelta(seconds=self._clock.monotonic() - self._attempt[1]))

    def _is_decided(self, version: int) -> bool:
        model = transitions.find(self._state.event, version)
        return model is not None and model.state != "candidate"

    def _keep_served(self) -> None:
        if self._clock.monotonic() < self._ask_triton_at:
            return
        self._ask_triton_at = self._clock.monotonic() + SERVED_EVERY.total_seconds()
        self._rollout.ensure_served()

    def _keep_labels(self) -> None:
        self._labels.turn(self._inbox)

    def _watch(self) -> None:
        self._monitor.turn(self._rollout)

    def _follow(self) -> None:
        self._following.turn(self._inbox)


def attempted_at(state: ProductState) -> datetime | None:
    """Return when the last training ended, refused or not, or None.

    Each ended training leaves a change of a version that had no state before. Once such a change is no
    longer kept, the versions themselves tell.
    """
    ended = [model.trained_at for model in state.event.models]
    ended += [
        change.at
        for change in state.event.changes
        if change.before is None and not change.reason.startswith(transitions.REFUSED)
    ]
    return max(ended, default=None)
