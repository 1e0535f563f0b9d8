"""Reading a part of a topic: some partitions and no others, or one record."""

from collections.abc import Collection, Mapping

from steadyline.kafka.broker import Broker, Partition, Reader, Record


def only(broker: Broker, topic: str, begin: Mapping[int, int]) -> dict[Partition, int]:
    """Return where to start so that only the partitions of ``begin`` are read, from the offsets it gives."""
    return {place: begin.get(place.number, end) for place, end in broker.end_offsets([topic]).items()}


def none_but(broker: Broker, topic: str, numbers: Collection[int]) -> dict[Partition, int]:
    """Return where to start so that the partitions other than ``numbers`` are not read."""
    ends = broker.end_offsets([topic])
    return {place: end for place, end in ends.items() if place.number not in numbers}


def read_one(broker: Broker, reader: Reader, partition: Partition, offset: int) -> Record | None:
    """Return the record at an offset; None when it is deleted or was never there."""
    start = only(broker, partition.topic, {partition.number: offset})
    found = next(iter(reader.read(partition.topic, start=start)), None)
    return found if found is not None and (found.partition, found.offset) == (partition, offset) else None
