"""One product's controller: orders that were cut short, and normals that cannot be used."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from steadyline.bank.memory import MemoryBank
from steadyline.contracts.model_command import ModelCommand
from steadyline.errors import BrokerUnavailable, InvalidConfiguration
from steadyline.line import Product, RetrainSection
from tests.support.inference import MemoryInference
from tests.support.snapshots import a_snapshot
from tests.support.works import Works
from trainer.control.controller import ControllerDependencies, ProductController
from trainer.control.inbox import ProductInbox
from trainer.control.training_supervisor import TrainingSupervisor, WorkDirectories
from trainer.data.banks import HeldOutCache
from trainer.data.snapshot import Snapshot
from trainer.lifecycle.leases import Leases
from trainer.monitor.bank_rebuild import BankRebuildProcess
from trainer.monitor.monitor import ModelMonitor, MonitorInputs

LATER = timedelta(seconds=1)


class Office:
    """A controller with everything real but Kafka, Redis and Triton; its trainings never get far."""

    def __init__(self, folder: Path) -> None:
        self.works = Works(folder)
        product, clock, state = Product(), self.works.clock, self.works.state
        leases = Leases(MemoryBank(), ["cell"], "a", clock)
        leases.renew()
        self.inbox = ProductInbox("cell", RetrainSection())
        self.supervisor = TrainingSupervisor(
            "cell", product, self.works.store, WorkDirectories(folder / "no", folder, 0), clock
        )
        inputs = MonitorInputs(HeldOutCache(MemoryBank(), self.works.store, "cell"), MemoryInference())
        monitor = ModelMonitor(state, product.watch, inputs, BankRebuildProcess(folder / "no", "cell"), clock)
        dependencies = ControllerDependencies(leases, self.works.rollout, monitor, self.collect, clock)
        self.controller = ProductController(product, state, self.inbox, self.supervisor, dependencies)
        self.normals: Snapshot | InvalidConfiguration = a_snapshot()

    def collect(self, inbox: ProductInbox) -> Snapshot:
        if isinstance(self.normals, InvalidConfiguration):
            raise self.normals
        return self.normals

    def order(self, offset: int, why: str) -> None:
        """Put an order for a training into the inbox."""
        moment = datetime(2026, 3, 1, tzinfo=UTC)
        command = ModelCommand(product="cell", action="retrain", version=None, who="ann", at=moment, why=why)
        self.inbox.put_command(offset, command)

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
