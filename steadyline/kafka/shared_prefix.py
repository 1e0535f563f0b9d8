"""Whether another line writes to this line's topics: two lines with one prefix share group and topics."""

from contextlib import closing
from datetime import timedelta

from steadyline.clock import Clock
from steadyline.contracts.camera_status import CameraStatus
from steadyline.contracts.headers import decode_event
from steadyline.contracts.topics import Topics
from steadyline.errors import PoisonMessage, SteadylineError
from steadyline.kafka.broker import Broker, Record
from steadyline.telemetry.logs import get_logger

log = get_logger(__name__)

CLIENT = "steadyline-prefix"
NEWEST = 2_000  # statuses that are read: those of a hundred cameras for 20 seconds
LATELY = timedelta(days=1)  # the topic keeps statuses for ever, also of a line that has moved away
WITHIN = timedelta(seconds=5)
POLL = timedelta(milliseconds=200)
MOST_LINES = 8
REMEDY = "give each line a topics.prefix of its own in its line file, and create its topics"


def lines_beside(broker: Broker, topics: Topics, line: str, clock: Clock) -> list[str]:
    """Return the names of other lines among the newest camera statuses, at most eight.

    Takes some seconds at most, whatever is on the topic. Raises BrokerUnavailable or ContractBroken.
    """
    topic = topics.camera_status.name
    begins = broker.start_offsets([topic])
    ends = broker.end_offsets([topic])
    start = {place: max(begins[place], end - NEWEST) for place, end in ends.items()}
    oldest_ms = (clock.now() - LATELY).timestamp() * 1000
    until = clock.monotonic() + WITHIN.total_seconds()
    found: set[str] = set()
    with closing(broker.follower(CLIENT, [topic], start)) as follower:
        while not follower.is_at_end() and len(found) < MOST_LINES and clock.monotonic() < until:
            recent = [record for record in follower.poll(POLL) if record.timestamp_ms >= oldest_ms]
            found |= {_line_of(record) for record in recent} - {line, ""}
    return sorted(found)[:MOST_LINES]


def say_shared_prefix(broker: Broker, topics: Topics, line: str, clock: Clock) -> None:
    """Log one error when another line writes to the topics; refuses nothing and raises nothing of ours.

    Anybody who may write a status can name a line in it, and that must keep no service from its work.
    """
    try:
        others = lines_beside(broker, topics, line, clock)
    except SteadylineError as error:
        log.warning("prefix_not_looked_at", reason=error.reason, error=str(error))
        return
    if others:
        log.error(
            "prefix_is_shared",
            line=line,
            others=others,
            topic=topics.camera_status.name,
            error=f"another line writes to the topics of this one: {REMEDY}",
        )


def _line_of(record: Record) -> str:
    """Return the line that a status names; empty when it is no status."""
    try:
        record.check()
        event = decode_event(record.headers)
    except PoisonMessage:
        return ""
    is_status = event.kind == CameraStatus.TYPE and event.source.startswith("/steadyline/")
    return event.source.removeprefix("/steadyline/")[:80] if is_status else ""
