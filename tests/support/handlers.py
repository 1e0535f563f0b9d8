"""Handlers for the loop: one that answers at once, one that answers when it is told to."""

from concurrent.futures import Future
from dataclasses import replace

from steadyline.errors import Backpressure, MalformedHeaders
from steadyline.kafka.broker import Message, Partition, Record
from steadyline.kafka.loop.stream_loop import Outputs


def answer(record: Record, topic: str) -> Message:
    """Return the output of one record: its value in capitals, on the partition it came from."""
    return Message(topic, record.key, (record.value or b"").upper(), (), record.partition.number)


class Prompt:
    """Answers at once; what begins with ``bad`` is poison."""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def submit(self, record: Record) -> Future[Outputs]:
        if (record.value or b"").startswith(b"bad"):
            raise MalformedHeaders("bad is bad")
        result: Future[Outputs] = Future()
        result.set_result([answer(record, self._topic)])
        return result

    def drop(self, partition: Partition) -> None:
        """Nothing is kept."""


class Inflating:
    """Answers at once; the answer to what begins with ``large`` has ``size`` bytes, ``bad`` is poison."""

    def __init__(self, topic: str, size: int) -> None:
        self._topic, self._size = topic, size

    def submit(self, record: Record) -> Future[Outputs]:
        value = record.value or b""
        if value.startswith(b"bad"):
            raise MalformedHeaders("bad is bad")
        output = answer(record, self._topic)
        if value.startswith(b"large"):
            output = replace(output, value=bytes(self._size))
        result: Future[Outputs] = Future()
        result.set_result([output])
        return result

    def drop(self, partition: Partition) -> None:
        """Nothing is kept."""


class ScriptedHandler:
    """Answers in the order the test wants; takes ``room`` records at a time. ``bad`` fails in the future."""

    def __init__(self, topic: str, room: int = 8) -> None:
        self._topic, self._room = topic, room
        self.open: list[tuple[Record, Future[Outputs]]] = []
        self.dropped: list[Partition] = []

    def submit(self, record: Record) -> Future[Outputs]:
        if len(self.open) >= self._room:
            raise Backpressure("no room")
        result: Future[Outputs] = Future()
        self.open.append((record, result))
        return result

    def drop(self, partition: Partition) -> None:
        self.dropped.append(partition)
        self.open = [(record, result) for record, result in self.open if record.partition != partition]

    def finish(self, index: int = 0) -> None:
        """Answer the open record at ``index``, modulo their number; nothing without one."""
        if not self.open:
            return
        record, result = self.open.pop(index % len(self.open))
        if result.cancelled():
            return
        if (record.value or b"").startswith(b"bad"):
            result.set_exception(MalformedHeaders("bad is bad"))
        else:
            result.set_result([answer(record, self._topic)])

    def finish_all(self) -> None:
        """Answer everything, the newest first."""
        while self.open:
            self.finish(-1)
