"""A worker process whose handler is killed, as by the kernel for want of memory, on a value ``kill``.

``python -m tests.support.deadly_worker BOOTSTRAP PREFIX GROUP`` has up to four records in hand, on threads.
"""

import os
import signal
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from steadyline.clock import SystemClock
from steadyline.contracts.topics import line_topics
from steadyline.errors import Backpressure
from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.loop.refused_records import DeadLetterPolicy
from steadyline.kafka.loop.stream_loop import LoopPolicy, Outputs, StreamLoop
from steadyline.settings import KafkaSettings
from tests.support.handlers import answer

PARTITIONS = 2
ROOM = 4


class KilledHandler:
    """Works on four records side by side, each for a moment."""

    def __init__(self, topic: str) -> None:
        self._topic, self._pool, self._open = topic, ThreadPoolExecutor(ROOM), 0

    def submit(self, record: Record) -> Future[Outputs]:
        if self._open >= ROOM:
            raise Backpressure("no room")
        self._open += 1
        result = self._pool.submit(self._work, record)
        result.add_done_callback(self._done)
        return result

    def drop(self, partition: Partition) -> None:
        """Results that nobody wants are no harm."""

    def _work(self, record: Record) -> Outputs:
        if record.value == b"kill":
            os.kill(os.getpid(), signal.SIGKILL)
        return [answer(record, self._topic)]

    def _done(self, _result: "Future[Outputs]") -> None:
        self._open -= 1


def main(bootstrap: str, prefix: str, group: str) -> None:
    topics = line_topics(prefix, PARTITIONS)
    broker = KafkaBroker(KafkaSettings(bootstrap_servers=bootstrap), "deadly")
    worker = broker.worker(group, "deadly", [topics.frames.name])
    policy = LoopPolicy(DeadLetterPolicy(topics.dead_letters.name))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    StreamLoop(worker, KilledHandler(topics.scores.name), policy, SystemClock()).run(stop)
    worker.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
