"""When records were written: by the broker's clock, which is not that of whoever asks."""

from datetime import UTC, datetime, timedelta

from steadyline.kafka.broker import Broker, Reader, Record

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
SKEW = timedelta(minutes=5)  # the broker's clock may be behind that of who asks, or of a producer, by this


def moment_of(record: Record) -> datetime:
    """Return when the record was written; what is before 1970 or after 9999 becomes the nearest of both."""
    most = int(LATEST.timestamp()) * 1000
    return EARLIEST + timedelta(milliseconds=min(max(record.timestamp_ms, 0), most))


def with_skew(moment: datetime, ahead: timedelta = timedelta(0)) -> datetime:
    """Return from when on to read a topic for what was written since ``moment``; 1970 at the earliest.

    ``moment`` is of a clock that is ``ahead`` of the broker's, by which topics are stamped.
    """
    return moment - min(SKEW + ahead, moment - EARLIEST)


def first_kept_ms(broker: Broker, reader: Reader, topic: str) -> dict[int, int]:
    """Return the time of the first record by partition, for partitions whose oldest records are deleted.

    A partition of which nothing is left is not included.
    """
    starts, ends = broker.start_offsets([topic]), broker.end_offsets([topic])
    cut = {place.number for place, offset in starts.items() if 0 < offset < ends[place]}
    if not cut:
        return {}
    begin = {place: starts[place] if place.number in cut else end for place, end in ends.items()}
    found: dict[int, int] = {}
    for record in reader.read(topic, start=begin):
        found.setdefault(record.partition.number, record.timestamp_ms)
        if found.keys() >= cut:
            break
    return found
