"""How the database finds what may be claimed: no claim goes through all of a burst of alerts."""

from pathlib import Path
from typing import Any

from sqlalchemy import event

from alerts.deliveries.claims import DeliveryClaims
from steadyline.clock import ManualClock
from tests.support.alert_outbox import OutboxBench, an_alert
from tests.support.incidents import DAY


def test_the_first_few_are_found_in_order_and_earlier_changes_by_their_incident(tmp_path: Path) -> None:
    outbox = OutboxBench.on_file(tmp_path / "alerts.db", ManualClock(DAY))
    subscription, _ = outbox.subscribe("https://example.org/")
    outbox.write([an_alert()])
    asked: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        asked.append((statement, parameters))

    event.listen(outbox.database.engine, "before_cursor_execute", note)
    with outbox.database.transaction() as session:
        assert len(DeliveryClaims("one").claim(session, subscription.id, 4, DAY)) == 1
    statement, parameters = next(one for one in asked if "NOT (EXISTS" in one[0])
    with outbox.database.engine.connect() as connection:
        plan = (
            connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
        )
    assert any(
        "deliveries_in_order (subscription=? AND incident=? AND state=? AND change<?)" in row[-1]
        for row in plan
    ), plan
    assert any("deliveries_waiting (subscription=? AND state=?" in row[-1] for row in plan), plan
    assert not any("TEMP B-TREE" in row[-1] for row in plan), plan
