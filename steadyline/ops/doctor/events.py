"""Reads the model events, and says which records among them nobody believes."""

from collections import Counter

from steadyline.contracts.model_event import ModelEvent
from steadyline.errors import OutdatedMessage, PoisonMessage
from steadyline.kafka.broker import Record
from steadyline.kafka.model_orders import EventSource, newest_events
from steadyline.ops.doctor.finding import Report

WRITERS = (
    "find out who else may write to the topic (its ACLs), and set STEADYLINE_TRUSTED_KEYS where it is not "
    "set; they stay until the compaction removes them"
)


def look_at_events(source: EventSource, report: Report) -> dict[str, ModelEvent]:
    """Return the products' newest events; records that no reader believes are a failed check.

    One that is out of date is not: a trainer leaves it behind that has lost its lease.
    """
    refused: Counter[str] = Counter()

    def on_poison(_record: Record, error: PoisonMessage) -> None:
        if not isinstance(error, OutdatedMessage):
            refused[error.reason] += 1

    events = newest_events(source, on_poison)
    if refused:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(refused.items()))
        report.failed("model events", f"{refused.total()} records are not believed: {reasons}", WRITERS)
    else:
        report.ok("model events", f"of {len(events)} products, all believed")
    return events
