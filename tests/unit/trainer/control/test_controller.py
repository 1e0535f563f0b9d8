"""One product's controller: orders that were cut short, and normals that cannot be used."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from steadyline.bank.memory import MemoryBank
from steadyline.contracts.model_command import MOST_WHO, MOST_WHY, Action, ModelCommand
from steadyline.contracts.model_event import TrainingOrder
from steadyline.errors import BrokerUnavailable, InvalidConfiguration, Transient
from steadyline.kafka.model_events import EventSeal
from steadyline.line import GateSection, Product, RetrainSection
from tests.support.inference import MemoryInference
from tests.support.snapshots import a_snapshot
from tests.support.stream_scores import stream_rules
from tests.support.works import Works
from trainer.control.controller import ControllerDependencies, ProductController, attempted_at
from trainer.control.inbox import ProductInbox
from trainer.control.label_keeper import LabelKeeper
from trainer.control.station_following import StationFollowing
from trainer.control.training_process import ProcessLauncher
from trainer.control.training_supervisor import TrainingPlace, TrainingSupervisor
from trainer.data.banks import BankStore, HeldOutCache
from trainer.data.label_shelf import LabelShelf
from trainer.data.snapshot import Snapshot
from trainer.jobs.spec import JobFailure, JobFolder, JobSpec
from trainer.lifecycle import transitions
from trainer.lifecycle.rollout import LiveModelLost
from trainer.monitor.bank_rebuild import BankRebuildProcess
from trainer.monitor.monitor import ModelMonitor, MonitorInputs
from trainer.monitor.native_rounds import NativeRounds

LATER = timedelta(seconds=1)
DAILY = RetrainSection(every=timedelta(hours=24))


class Office:
    """A controller with everything real but Kafka, Redis and Triton; its trainings never get far."""

    def __init__(self, folder: Path, most_event_bytes: int = 4 << 20) -> None:
        self.works, self.folder = Works(folder, most_event_bytes), folder
        self.normals: Snapshot | InvalidConfiguration = a_snapshot()
        self.start()
        self.inbox.end_history()

    def start(self) -> None:
        """Begin as a process does: nothing is known, and no score has been read."""
        works, folder = self.works, self.folder
        product, clock, state = Product(retrain=DAILY), works.clock, works.state
        state.forget()
        works.leases.renew()
        self.inbox = ProductInbox("cell", stream_rules())
        kept = BankStore(works.store, "l")
        self.supervisor = TrainingSupervisor(
            state, product, kept, TrainingPlace(ProcessLauncher(folder / "no"), folder, 0), clock
        )
        held_out, drawn = HeldOutCache(MemoryBank(), kept, "cell"), NativeRounds(kept, "cell", clock)
        inputs = MonitorInputs(held_out, drawn, MemoryInference(), LATER)
        monitor = ModelMonitor(state, product.watch, inputs, BankRebuildProcess(folder / "no", "cell"), clock)
        labels = LabelKeeper(LabelShelf(works.store, EventSeal("l"), "cell", 1 << 20), clock)
        following = StationFollowing(state, monitor, product.watch, clock)
        dependencies = ControllerDependencies(
            works.leases, works.rollout, monitor, self.collect, clock, labels, works.stations, following
        )
        self.controller = ProductController(product, state, self.inbox, self.supervisor, dependencies)

    def collect(self, inbox: ProductInbox) -> Snapshot:
        if isinstance(self.normals, InvalidConfiguration):
            raise self.normals
        return self.normals

    def order(self, offset: int, why: str, action: Action = "retrain") -> None:
        """Put an order into the inbox, by default for a training."""
        moment = datetime(2026, 3, 1, tzinfo=UTC)
        command = ModelCommand(product="cell", action=action, version=None, who="ann", at=moment, why=why)
        self.inbox.put_command(offset, command)

    def turn(self) -> Transient | None:
        """Let the controller have a turn; return what held it back."""
        try:
            self.controller.turn()
        except Transient as error:
            return error
        return None

    def refusals(self) -> list[str]:
        return [change.reason for change in self.works.state.event.changes]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.controller.stand_by()


def test_an_order_cut_short_before_its_answer_is_answered_and_not_refused_for_its_own_sake(
    office: Office,
) -> None:
    office.order(0, "new lamp")
    assert office.works.state.event.models == []
    office.works.broker.set_away(True)
    with pytest.raises(BrokerUnavailable):
        office.controller.turn()
    office.works.broker.set_away(False)
    office.controller.turn()
    spec = office.supervisor.spec
    assert spec is not None
    assert spec.why == "asked: by ann: new lamp"
    assert office.works.state.event.commands_until == 1
    assert office.refusals() == []


def test_another_order_during_a_training_is_refused(office: Office) -> None:
    office.order(0, "new lamp")
    office.order(1, "new camera")
    office.controller.turn()
    assert office.refusals() == ["refused: retrain by ann: version 1 is being trained"]
    assert office.works.state.event.commands_until == 2


def test_normals_that_cannot_be_used_end_a_training_with_an_event_and_are_not_tried_again_by_themselves(
    office: Office,
) -> None:
    office.normals = InvalidConfiguration("3 different normal frames are too few")
    office.controller.turn()
    office.controller.turn()
    assert office.refusals() == ["training_failed: normals: 3 different normal frames are too few"]
    assert office.supervisor.spec is None


def test_nothing_in_the_store_answers_an_order_or_makes_one(office: Office) -> None:
    """Every scorer may write to the store: what lies there is an order or a result at nobody's word."""
    forged = office.works.trained(1, b"0.5")
    spec = JobSpec(
        product="cell", version=1, why="forged", detector="cobra", profile="cpu", steps=None, seed=0,
        size=8, channels="gray", false_alarm_rate=0.5, gate=GateSection(), snapshot_uri="memory://x",
        snapshot_digest="0" * 64, live=None, ordered_at=office.works.clock.now(),
    )  # fmt: skip
    failure = JobFailure(version=1, reason="forged", message="forged")
    parts = {"spec": spec, "order": spec, "result": forged, "outcome": forged, "failure": failure}
    for folder in ("jobs/cell", "jobs/l/cell", "cell"):
        for name, part in parts.items():
            office.works.store.put(f"{folder}/{name}.json", part.model_dump_json().encode())
    office.controller.turn()
    ordered = office.supervisor.spec
    assert ordered is not None
    assert ordered.why == "first training"
    for _ in range(3):
        office.works.clock.advance(LATER)
        office.controller.turn()
    assert office.supervisor.spec == ordered
    assert office.works.state.event.models == []
    assert office.refusals() == []


def test_an_order_outlives_its_trainer_in_the_event_and_ends_with_its_answer(office: Office) -> None:
    office.controller.turn()
    ordered = office.supervisor.spec
    assert ordered is not None
    office.controller.stand_by()
    office.controller.turn()
    assert office.supervisor.spec == ordered
    office.works.rollout.give_up(JobFailure(version=ordered.version, reason="training_died", message="x"))
    assert office.supervisor.spec is None
    assert office.works.state.event.order is None


@pytest.mark.parametrize("spec", ["", "{}", '{"version": 1}', "[" * 9999])
def test_an_order_that_cannot_be_read_is_none(office: Office, spec: str) -> None:
    state, now = office.works.state, office.works.clock.now()
    state.announce(transitions.ordered(state.event, TrainingOrder(version=1, spec=spec), now))
    assert office.supervisor.spec is None


def a_longest_order(action: Action) -> ModelCommand:
    """Return an order that is as long as the contract lets it be."""
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    who, why = "\U0001f600" * MOST_WHO, "\U0001f600" * MOST_WHY
    return ModelCommand(product="cell", action=action, version=None, who=who, at=moment, why=why)


def test_orders_without_end_neither_outgrow_the_event_nor_push_the_history_of_versions_out(
    office: Office,
) -> None:
    works = office.works
    for version in (1, 2):
        works.rollout.decide(works.trained(version, b"0.5"))
    before = attempted_at(works.state)
    for offset in range(500):
        office.inbox.put_command(offset, a_longest_order("shadow"))
    for _ in range(25):
        assert office.turn() is None
    event = works.state.event
    assert event.commands_until == 500
    assert len(event.encode()) < 1 << 20
    assert transitions.before_live(event) == 1
    assert transitions.next_version(event) == 3
    assert attempted_at(works.state) == before is not None


def test_an_order_that_no_event_can_answer_leaves_the_live_model_served(tmp_path: Path) -> None:
    office = Office(tmp_path, most_event_bytes=3_000)
    works = office.works
    works.rollout.decide(works.trained(1, b"0.5"))
    for offset in range(5):
        office.inbox.put_command(offset, a_longest_order("shadow"))
    works.triton.restart()
    held = office.turn()
    assert held is not None
    assert held.reason == "event_too_large"
    assert works.triton.served == {("cell", 1): 0.5}
    office.controller.stand_by()


def test_a_candidate_that_no_event_can_hold_is_refused_and_the_live_one_stays(tmp_path: Path) -> None:
    office = Office(tmp_path, most_event_bytes=20_000)
    works = office.works
    works.rollout.decide(works.trained(1, b"0.5"))
    office.order(0, "more probes")
    office.turn()
    result = works.trained(2, b"0.5", probes=500)
    spec = office.supervisor.spec
    assert spec is not None
    JobFolder(tmp_path / "cell").finish(spec, result)
    office.controller.stand_by()
    for _ in range(2):
        office.turn()
    assert works.state.event.live_version == 1
    assert office.refusals()[-1].startswith(
        "training_failed: event_too_large: the event of cell is too large"
    )
    assert office.supervisor.spec is None
    office.controller.stand_by()


def test_the_live_model_is_served_again_before_an_order_that_cannot_be_answered_now(office: Office) -> None:
    works = office.works
    works.rollout.decide(works.trained(1, b"0.5"))
    office.order(0, "new lamp")
    works.triton.restart()
    works.broker.set_away(True)
    assert isinstance(office.turn(), BrokerUnavailable)
    assert works.triton.served == {("cell", 1): 0.5}


def test_an_order_is_followed_while_the_live_model_cannot_be_served(office: Office) -> None:
    works = office.works
    for version in (1, 2):
        works.rollout.decide(works.trained(version, b"0.5"))
    works.triton.restart()
    works.store.delete(works.packages.key("cell", 2))
    works.repository.remove("cell", 2)
    office.order(0, "it is lost", "rollback")
    assert isinstance(office.turn(), LiveModelLost)
    assert works.state.event.live_version == 1
    assert works.state.event.commands_until == 1


def test_nothing_is_trained_before_all_scores_are_read_and_the_slot_is_not_lost(office: Office) -> None:
    works = office.works
    works.rollout.decide(works.trained(1, b"0.5"))
    works.clock.advance(timedelta(days=90))  # the schedule is due
    office.start()
    office.order(0, "new lamp")
    office.normals = InvalidConfiguration("0 different normal frames are too few")
    changes = len(works.state.event.changes)
    for _ in range(3):
        assert office.turn() is None
    assert len(works.state.event.changes) == changes
    assert office.supervisor.spec is None
    assert works.state.event.commands_until == 0
    office.normals = a_snapshot()
    office.inbox.end_history()
    assert office.turn() is None
    assert office.supervisor.spec is not None
    assert office.supervisor.spec.why == "asked: by ann: new lamp"


def test_an_order_to_roll_back_does_not_wait_for_the_scores(office: Office) -> None:
    works = office.works
    for version in (1, 2):
        works.rollout.decide(works.trained(version, b"0.5"))
    office.start()
    office.order(0, "it alarms", "rollback")
    assert office.turn() is None
    assert works.state.event.live_version == 1


def test_a_training_that_does_not_end_is_ended_and_announced_as_failed(office: Office) -> None:
    office.controller.turn()
    office.controller.turn()
    assert office.supervisor.spec is not None
    office.works.clock.set(office.works.clock.now() - timedelta(days=1))
    office.works.clock.advance(timedelta(hours=24))
    office.works.leases.renew()
    office.controller.turn()
    office.controller.turn()
    assert office.refusals() == [
        "training_failed: training_overdue: it was not done after 1 day, 0:00:00 (TRAINER_TRAINING_HOURS)"
    ]
    assert office.supervisor.spec is None


def test_the_schedule_is_kept_although_the_wall_clock_was_set_back(office: Office) -> None:
    works = office.works
    works.rollout.decide(works.trained(1, b"0.5"))
    assert office.turn() is None
    works.clock.set(office.works.clock.now() - timedelta(days=365))
    for hours, expected in ((23, None), (2, "schedule")):
        works.clock.advance(timedelta(hours=hours))
        works.leases.renew()
        office.turn()
        spec = office.supervisor.spec
        assert (None if spec is None else spec.why) == expected
