"""Starts and ends escalations in the transaction that writes the change."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts.database.connection import insert_missing
from alerts.database.tables import ChainRow, ChangeRow, EscalationRow
from alerts.escalation.chain import due_at, effect_of
from alerts.escalation.store import end_escalations, read_chain
from steadyline.contracts.alert import Alert


class EscalationFollower:
    """See ``ChangeFollower``; the time of a chain counts from when the change was written."""

    def follow(self, session: Session, change: ChangeRow, alert: Alert) -> None:
        """Start the chains whose filter takes ``alert``, or end those that the incident is on."""
        effect = effect_of(alert)
        if effect is None:
            return
        # Locked before any escalation is, as by an edit of a chain: they wait for one another in one order.
        rows = session.scalars(
            select(ChainRow)
            .where(ChainRow.enabled)
            .order_by(ChainRow.id)
            .with_for_update(read=True, key_share=True)
        )
        chains = [read_chain(row) for row in rows]
        if effect == "ends" and chains:
            end_escalations(session, alert.incident)
            return
        begun = []
        for chain in chains:
            due = due_at(chain.steps, change.written_at, 1)
            if effect == "starts" and chain.filter.matches(alert):
                row = {"incident": alert.incident, "chain": chain.id, "sequence": alert.sequence}
                begun.append({**row, "started_at": change.written_at, "step": 1, "due_at": due})
        insert_missing(session, EscalationRow, begun)
