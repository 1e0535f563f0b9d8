"""Takes the steps of escalation chains that are due.

Any number of processes may do so: each step is taken behind the lock of its row, in the transaction that
writes its delivery. So it is taken once, whenever a process ends.
"""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.database.connection import Database
from alerts.database.tables import ChainRow, ChangeRow, DeliveryRow, EscalationRow, SubscriptionRow
from alerts.deliveries.outbox import GIVE_UP_AFTER, new_delivery
from alerts.escalation.chain import EscalationChain, due_at
from alerts.escalation.metrics import ESCALATION_STEPS, ESCALATION_WAITS, StepOutcome
from alerts.escalation.store import read_chain
from steadyline.backoff import Backoff, RetryTimer
from steadyline.clock import Clock
from steadyline.contracts.alert import Alert
from steadyline.errors import StoreUnavailable
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

_POLL = timedelta(seconds=1)
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class _TakenStep:
    """A step, and what became of it."""

    incident: str
    chain: str
    step: int
    outcome: StepOutcome


class EscalationTask:
    """One of the tasks of the service."""

    def __init__(self, database: Database, clock: Clock, give_up_after: timedelta = GIVE_UP_AFTER) -> None:
        self._database, self._clock, self._give_up_after = database, clock, give_up_after
        self._outage = RetryTimer(Backoff.of_seconds(0.5, 10.0), clock)

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        """Look for what is due until ``stop`` is set; during an outage try again and again."""
        while not stop.is_set():
            beat()
            if self._outage.is_due:
                self.turn()
            self._clock.wait(stop, _POLL)

    def turn(self) -> int:
        """Take the steps that are due, and return how many were delivered."""
        taken: list[_TakenStep] = []
        try:
            for incident, chain in self._due():
                with self._database.transaction() as session:
                    step = self._take(session, incident, chain)
                taken += [step] if step is not None else []
        except StoreUnavailable as error:
            ESCALATION_WAITS.add()
            if self._outage.failed():
                log.warning("escalations_wait", reason=error.reason, error=str(error))
        else:
            self._outage.succeeded()
        for one in taken:
            ESCALATION_STEPS.add(outcome=one.outcome)
            if one.outcome != "delivered":
                log.warning(
                    "escalation_step_passed_over",
                    incident=one.incident,
                    chain=one.chain,
                    step=one.step,
                    reason=one.outcome,
                )
        return sum(one.outcome == "delivered" for one in taken)

    def _due(self) -> list[tuple[str, str]]:
        with self._database.read() as session:
            rows = session.execute(
                select(EscalationRow.incident, EscalationRow.chain)
                .where(EscalationRow.due_at <= self._clock.now())
                .order_by(EscalationRow.due_at, EscalationRow.incident, EscalationRow.chain)
                .limit(_AT_ONCE)
            )
            return [(incident, chain) for incident, chain in rows]

    def _take(self, session: Session, incident: str, chain_id: str) -> _TakenStep | None:
        """Take one step; returns None where another process has, or somebody has taken the incident."""
        now, found = self._clock.now(), session.get(EscalationRow, (incident, chain_id))
        chain_row = session.get(ChainRow, chain_id)
        if found is None or chain_row is None:
            return None
        chain, wanted = read_chain(chain_row), found.step
        # In the order of whoever writes a change: the subscription, then the escalation.
        subscription = None
        if wanted <= len(chain.steps):
            subscription = _locked_subscription(session, chain.steps[wanted - 1].subscription)
        row = _locked_escalation(session, incident, chain_id, now)
        version = session.scalar(select(ChainRow.version).where(ChainRow.id == chain_id))
        if row is None or row.step != wanted or version != chain.version:
            return None
        change = session.scalar(
            select(ChangeRow)
            .where(ChangeRow.incident == incident)
            .order_by(ChangeRow.sequence.desc())
            .limit(1)
        )
        if wanted > len(chain.steps) or change is None or not _is_open(change):
            session.delete(row)
            return None
        outcome: StepOutcome = "no_subscription"
        if subscription is not None:
            outcome = "delivered" if subscription.enabled else "switched_off"
        if outcome == "delivered":
            session.add(self._delivery(chain, row, change, now))
        _go_on(session, row, chain)
        return _TakenStep(incident, chain_id, wanted, outcome)

    def _delivery(
        self, chain: EscalationChain, row: EscalationRow, change: ChangeRow, now: datetime
    ) -> DeliveryRow:
        subscription = chain.steps[row.step - 1].subscription
        delivery = new_delivery(subscription, change, now, self._give_up_after)
        delivery.id = escalation_delivery_id(row)
        delivery.chain, delivery.step = chain.name, row.step
        return delivery


def escalation_delivery_id(row: EscalationRow) -> str:
    """Return the id of the delivery of a step, which is that of no other delivery of the same change."""
    told = f"{row.chain}\nescalation\n{row.incident}\n{row.sequence}\n{row.step}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _locked_subscription(session: Session, id: str) -> SubscriptionRow | None:
    """Return a subscription, locked against removal."""
    query = select(SubscriptionRow).where(SubscriptionRow.id == id)
    return session.scalar(query.with_for_update(read=True, key_share=True))


def _locked_escalation(session: Session, incident: str, chain: str, now: datetime) -> EscalationRow | None:
    query = select(EscalationRow).where(
        EscalationRow.incident == incident, EscalationRow.chain == chain, EscalationRow.due_at <= now
    )
    locked = query.with_for_update(skip_locked=True).execution_options(populate_existing=True)
    return session.scalar(locked)


def _is_open(change: ChangeRow) -> bool:
    return Alert.decode(change.content.encode()).state == "open"


def _go_on(session: Session, row: EscalationRow, chain: EscalationChain) -> None:
    due = due_at(chain.steps, row.started_at, row.step + 1)
    if due is None:
        session.delete(row)
        return
    row.step, row.due_at = row.step + 1, due
