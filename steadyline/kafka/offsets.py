"""Reads a part of a topic: only some partitions, or one record."""

from collections.abc import Mapping

from steadyline.kafka.broker import Broker, Partition, Reader, Record


def start_offsets_for(
    broker: Broker, topic: str, partitions: Mapping[int, int | None]
) -> dict[Partition, int]:
    """Return where to start so that only these partitions of a topic are read.

    ``partitions`` gives the first offset of each; None leaves it to the reader to find it.
    """
    ends = broker.end_offsets([topic])
    start = {place: partitions.get(place.number, end) for place, end in ends.items()}
    return {place: offset for place, offset in start.items() if offset is not None}


def read_one(broker: Broker, reader: Reader, partition: Partition, offset: int) -> Record | None:
    """Return the record at an offset; None when it is deleted or has never existed."""
    start = start_offsets_for(broker, partition.topic, {partition.number: offset})
    found = next(iter(reader.read(partition.topic, start=start)), None)
    return found if found is not None and (found.partition, found.offset) == (partition, offset) else None
