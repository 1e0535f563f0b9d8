"""Escalation chains in the database, and what is on its way through them; each call is in a transaction."""

import uuid
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from alerts.database.tables import ChainRow, EscalationRow, SubscriptionRow
from alerts.escalation.chain import EscalationChain, EscalationSteps, due_at
from alerts.subscriptions.filter import SubscriptionFilter

_STEPS: TypeAdapter[EscalationSteps] = TypeAdapter(EscalationSteps)


@dataclass(frozen=True, slots=True)
class ChainEdit:
    """What people say of a chain."""

    name: str
    enabled: bool
    filter: SubscriptionFilter
    steps: EscalationSteps


@dataclass(frozen=True, slots=True)
class NextStep:
    """Where an incident is in a chain: the step that comes next, from 1, and when."""

    chain: EscalationChain
    step: int
    due_at: datetime

    @property
    def subscription(self) -> str:
        """The subscription that will be told."""
        return self.chain.steps[min(self.step, len(self.chain.steps)) - 1].subscription


class ChainStore:
    """Finds, makes, edits and removes chains."""

    def create(self, session: Session, edit: ChainEdit, owner: str, now: datetime) -> EscalationChain:
        """Return the new chain."""
        row = ChainRow(id=uuid.uuid4().hex, owner=owner, version=1, created_at=now)
        _write(row, edit)
        session.add(row)
        session.flush()
        return read_chain(row)

    def find(self, session: Session, chain_id: str) -> EscalationChain | None:
        """Return a chain, or None when there is none of that id."""
        row = session.get(ChainRow, chain_id)
        return None if row is None else read_chain(row)

    def page(self, session: Session, after: str | None, limit: int) -> list[EscalationChain]:
        """Return up to ``limit`` chains by id, those behind the id ``after``."""
        query = select(ChainRow).order_by(ChainRow.id).limit(limit)
        if after is not None:
            query = query.where(ChainRow.id > after)
        return [read_chain(row) for row in session.scalars(query)]

    def replace(
        self, session: Session, chain_id: str, version: int, edit: ChainEdit
    ) -> EscalationChain | None:
        """Put ``edit`` in place of version ``version``, for what is on its way too.

        Who is at a step stays at it, which may be due at another time now; a chain that is switched off ends
        what is on its way. Returns None, having changed nothing, when it has another version by now or is
        gone.
        """
        row = self._locked(session, chain_id, version)
        if row is None:
            return None
        _write(row, edit)
        row.version = version + 1
        session.flush()
        chain = read_chain(row)
        on_its_way = (
            select(EscalationRow).where(EscalationRow.chain == chain_id).order_by(EscalationRow.incident)
        )
        for one in session.scalars(on_its_way.with_for_update()):
            due = due_at(chain.steps, one.started_at, one.step) if chain.enabled else None
            if due is None:
                session.delete(one)
            else:
                one.due_at = due
        session.flush()
        return chain

    def delete(self, session: Session, chain_id: str, version: int) -> bool:
        """Remove version ``version`` with what is on its way; return False when it is another one or gone."""
        row = self._locked(session, chain_id, version)
        if row is None:
            return False
        session.delete(row)
        session.flush()
        return True

    def unknown_subscription(self, session: Session, steps: EscalationSteps) -> str | None:
        """Return the first subscription of the steps that there is not."""
        wanted = [step.subscription for step in steps]
        known = set(session.scalars(select(SubscriptionRow.id).where(SubscriptionRow.id.in_(wanted))))
        return next((one for one in wanted if one not in known), None)

    def naming(self, session: Session, subscription_id: str) -> EscalationChain | None:
        """Return a chain that tells a subscription, if there is one."""
        rows = session.scalars(select(ChainRow).where(ChainRow.steps.contains(subscription_id)))
        return next((read_chain(row) for row in rows), None)

    def next_steps(self, session: Session, incidents: Collection[str]) -> dict[str, list[NextStep]]:
        """Return where incidents are in their chains, what is due first first; not those that are in none."""
        rows = session.execute(
            select(EscalationRow, ChainRow)
            .join(ChainRow, ChainRow.id == EscalationRow.chain)
            .where(EscalationRow.incident.in_(incidents))
            .order_by(EscalationRow.due_at, EscalationRow.chain)
        )
        found: dict[str, list[NextStep]] = defaultdict(list)
        for row, chain in rows:
            found[row.incident].append(NextStep(read_chain(chain), row.step, row.due_at))
        return found

    @staticmethod
    def _locked(session: Session, id: str, version: int) -> ChainRow | None:
        row = session.get(ChainRow, id, with_for_update=True, populate_existing=True)
        return row if row is not None and row.version == version else None


def end_escalations(session: Session, incident: str) -> None:
    """End what is on its way of one incident."""
    session.execute(delete(EscalationRow).where(EscalationRow.incident == incident))


def read_chain(row: ChainRow) -> EscalationChain:
    """Return what a row holds."""
    return EscalationChain(
        id=row.id,
        name=row.name,
        owner=row.owner,
        enabled=row.enabled,
        filter=SubscriptionFilter.read(row.filter.encode()),
        steps=_STEPS.validate_json(row.steps),
        version=row.version,
        created_at=row.created_at,
    )


def _write(row: ChainRow, edit: ChainEdit) -> None:
    row.name, row.enabled = edit.name, edit.enabled
    row.filter, row.steps = edit.filter.model_dump_json(), _STEPS.dump_json(edit.steps).decode()
