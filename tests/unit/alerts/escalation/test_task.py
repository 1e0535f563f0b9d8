"""Incidents on their way through a chain, out of the database."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from typing_extensions import override

from alerts.database.changes import ChangeWriter
from alerts.database.connection import Database
from alerts.database.tables import ChangeRow, DeliveryRow, EscalationRow
from alerts.deliveries.outbox import DeliveryOutbox
from alerts.escalation.chain import EscalationChain, EscalationStep
from alerts.escalation.follower import EscalationFollower
from alerts.escalation.store import ChainEdit, ChainStore
from alerts.escalation.task import EscalationTask
from alerts.incidents import acts, change
from alerts.incidents.incident import Incident, IncidentChange
from alerts.incidents.limit import LimitState, admit
from alerts.subscriptions.filter import SubscriptionFilter
from steadyline.clock import ManualClock
from steadyline.contracts.alert import Alert, Severity
from tests.support.alert_outbox import OutboxBench
from tests.support.incidents import a_line, an_incident

MINUTE = timedelta(minutes=1)
NOTHING = SubscriptionFilter(kinds=frozenset({"lag"}))


class EscalationBench:
    """A chain of two steps, at 5 and at 20 minutes, to subscriptions that want to hear of nothing else."""

    def __init__(self, database: Database) -> None:
        self.clock = ManualClock()
        self.database = database
        outbox = OutboxBench(database, self.clock)
        self.first, self.second = (
            outbox.subscribe("https://plant.example/hook", NOTHING)[0].id for _ in range(2)
        )
        self.line = a_line({"notifications": {"cooldown": "0s"}}, {"cooldown": "0s"})
        self.follower = EscalationFollower()
        self.store = ChainStore()
        self.task = EscalationTask(database, self.clock)
        with database.transaction() as session:
            self.chain = self.store.create(session, self.edit(), "ann", self.clock.now())

    def edit(self, least: Severity = "warning", enabled: bool = True, *, first: int = 5) -> ChainEdit:
        """Return what the chain is to be."""
        steps = (
            EscalationStep.model_validate({"after": f"{first}m", "subscription": self.first}),
            EscalationStep.model_validate({"after": "20m", "subscription": self.second}),
        )
        return ChainEdit("night", enabled, SubscriptionFilter(least_severity=least), steps)

    def replace(self, edit: ChainEdit) -> EscalationChain:
        """Edit the chain."""
        with self.database.transaction() as session:
            found = self.store.replace(session, self.chain.id, self.chain.version, edit)
        assert found is not None
        self.chain = found
        return found

    def write(self, one: IncidentChange) -> Incident:
        """Write a change as the service does, and return the incident after it."""
        writer = ChangeWriter(
            DeliveryOutbox(), partial(admit, self.line), LimitState(), None, (self.follower,)
        )
        with self.database.transaction() as session:
            writer.write(session, f"scores/{one.incident.camera}", [one], self.clock.now())
        return one.incident

    def open(self, began: str = "c1/7/1", severity: Severity = "warning", notify: bool = True) -> Incident:
        """Open an incident."""
        opened = an_incident(began, severity).with_changes(changed_at=self.clock.now())
        return self.write(IncidentChange(opened, "opened", "because", notify))

    def turn_after(self, minutes: int) -> list[tuple[str, int | None]]:
        """Let time pass and return what was sent so far: the subscription and the step."""
        self.clock.advance(minutes * MINUTE)
        self.task.turn()
        return [(row.subscription, row.step) for row in self.deliveries()]

    def deliveries(self) -> list[DeliveryRow]:
        """Return the deliveries in their order."""
        with self.database.transaction() as session:
            return list(
                session.scalars(select(DeliveryRow).order_by(DeliveryRow.created_at, DeliveryRow.step))
            )

    def standing(self) -> int:
        """Return how many escalations are on their way."""
        with self.database.transaction() as session:
            return len(session.scalars(select(EscalationRow.incident)).all())


@pytest.fixture
def chain_bench(database: Database) -> EscalationBench:
    return EscalationBench(database)


def test_an_incident_that_nobody_takes_goes_from_step_to_step(chain_bench: EscalationBench) -> None:
    bench = chain_bench
    incident = bench.open()
    assert bench.turn_after(4) == []
    with bench.database.transaction() as session:
        [following] = bench.store.next_steps(session, [incident.id])[incident.id]
    assert (following.step, following.subscription) == (1, bench.first)
    assert following.due_at == bench.clock.now() + MINUTE
    assert bench.turn_after(1) == [(bench.first, 1)]
    bench.write(acts.comment(incident, "ann", bench.clock.now(), "who has it?"))
    assert bench.turn_after(14) == [(bench.first, 1)]
    assert bench.turn_after(1) == [(bench.first, 1), (bench.second, 2)]
    assert (bench.turn_after(600), bench.standing()) == ([(bench.first, 1), (bench.second, 2)], 0)
    one, two = bench.deliveries()
    assert (one.chain, one.incident, one.id != two.id) == ("night", incident.id, True)
    with bench.database.transaction() as session:  # each tells the newest change
        assert [session.get_one(ChangeRow, row.change).change for row in (one, two)] == [
            "opened",
            "commented",
        ]


TAKEN: dict[str, Callable[[Incident, datetime], IncidentChange]] = {
    "acknowledged": lambda one, at: acts.acknowledge(one, "ann", at),
    "assigned": lambda one, at: acts.assign(one, "ann", at, "bob"),
    "snoozed": lambda one, at: acts.snooze(one, "ann", at, at + MINUTE),
    "resolved by somebody": lambda one, at: acts.resolve(one, "ann", at),
    "resolved": lambda one, at: change.resolved(one, at, "good again"),
    "resolved without a word": lambda one, at: change.resolved(one, at, "good again", notify=False),
}


@pytest.mark.parametrize("how", TAKEN)
def test_it_ends_when_somebody_takes_it_or_it_is_over(chain_bench: EscalationBench, how: str) -> None:
    bench = chain_bench
    incident = bench.open()
    assert bench.turn_after(5) == [(bench.first, 1)]
    bench.write(TAKEN[how](incident, bench.clock.now()))
    assert (bench.turn_after(60), bench.standing()) == ([(bench.first, 1)], 0)


def test_what_was_taken_and_is_open_again_starts_again(chain_bench: EscalationBench) -> None:
    bench = chain_bench
    incident = bench.open()
    bench.turn_after(5)
    taken = bench.write(acts.acknowledge(incident, "ann", bench.clock.now()))
    bench.turn_after(60)
    bench.write(change.lapsed(taken, bench.clock.now(), "an hour is over"))
    assert bench.turn_after(4) == [(bench.first, 1)]
    assert bench.turn_after(1) == [(bench.first, 1), (bench.first, 1)]
    assert len({row.id for row in bench.deliveries()}) == 2


def test_a_rise_starts_what_did_not_match_before_and_restarts_nothing(chain_bench: EscalationBench) -> None:
    bench = chain_bench
    bench.replace(bench.edit("critical"))
    incident = bench.open()
    assert bench.turn_after(60) == []
    risen = bench.write(change.risen(incident, "critical", bench.clock.now(), "worse"))
    bench.turn_after(3)
    bench.write(change.risen(risen, "critical", bench.clock.now(), "worse"))
    assert bench.turn_after(2) == [(bench.first, 1)]


def test_what_is_held_back_does_not_start(chain_bench: EscalationBench) -> None:
    bench = chain_bench
    bench.open(notify=False)
    assert (bench.turn_after(60), bench.standing()) == ([], 0)


def test_an_edit_holds_for_what_is_on_its_way_and_switching_off_ends_it(chain_bench: EscalationBench) -> None:
    bench = chain_bench
    bench.open()
    bench.replace(bench.edit(first=10))
    assert bench.turn_after(5) == []
    assert bench.turn_after(5) == [(bench.first, 1)]
    bench.replace(bench.edit(enabled=False))
    assert (bench.turn_after(60), bench.standing()) == ([(bench.first, 1)], 0)


def test_a_chain_that_is_deleted_escalates_no_further(chain_bench: EscalationBench) -> None:
    bench = chain_bench
    bench.open()
    with bench.database.transaction() as session:
        assert bench.store.delete(session, bench.chain.id, 1)
    assert (bench.turn_after(60), bench.standing()) == ([], 0)


def test_a_step_whose_subscription_is_gone_is_passed_over_and_the_next_comes(
    chain_bench: EscalationBench,
) -> None:
    bench = chain_bench
    bench.open()
    with bench.database.transaction() as session:
        OutboxBench(bench.database, bench.clock).store.delete(session, bench.first, 1)
    assert bench.turn_after(5) == []
    assert bench.turn_after(15) == [(bench.second, 2)]


def test_after_an_outage_the_steps_that_are_due_come_in_their_order(chain_bench: EscalationBench) -> None:
    bench = chain_bench
    bench.open()
    assert bench.turn_after(60) == [(bench.first, 1)]
    assert bench.turn_after(0) == [(bench.first, 1), (bench.second, 2)]


class EscalationDied(BaseException):
    """Nothing of the process runs any more."""


class DyingDatabase(Database):
    """Ends the process within the transaction that takes a step."""

    @override
    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with super().transaction() as session:
            yield session
            if session.new:
                session.flush()
                raise EscalationDied


def test_a_process_that_dies_leaves_the_step_to_the_next(url: str, chain_bench: EscalationBench) -> None:
    bench = chain_bench
    bench.open()
    bench.clock.advance(5 * MINUTE)
    dying = DyingDatabase(url)
    with pytest.raises(EscalationDied):
        EscalationTask(dying, bench.clock).turn()
    dying.close()
    assert bench.deliveries() == []
    assert bench.turn_after(0) == [(bench.first, 1)]


def test_of_several_processes_each_step_is_taken_by_one(chain_bench: EscalationBench) -> None:
    bench = chain_bench
    for number in range(20):
        bench.open(f"c1/7/{number}")
    bench.clock.advance(20 * MINUTE)
    tasks = [EscalationTask(bench.database, bench.clock) for _ in range(4)]

    def run(task: EscalationTask) -> None:
        for _ in range(3):
            task.turn()

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.task.turn()
    rows = bench.deliveries()
    assert len(rows) == len({(row.incident, row.step) for row in rows}) == 40


def test_an_alert_that_passes_a_filter_is_told_at_once_all_the_same(chain_bench: EscalationBench) -> None:
    bench = chain_bench
    outbox = OutboxBench(bench.database, bench.clock)
    everything = outbox.subscribe("https://plant.example/hook")[0].id
    incident = bench.open()
    [told] = bench.deliveries()
    assert (told.subscription, told.step) == (everything, None)
    with bench.database.transaction() as session:
        content = session.scalar(select(ChangeRow.content).where(ChangeRow.incident == incident.id)) or ""
    assert Alert.decode(content.encode()).notify
