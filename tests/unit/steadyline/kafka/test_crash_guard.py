"""A record that ends processes is found wherever it lies and refused; honest ones never are."""

import random
import threading
from concurrent.futures import Future
from dataclasses import replace

import pytest

from steadyline.errors import Backpressure
from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.loop.crash_guard import ENDED, InHandNote
from steadyline.kafka.loop.stream_loop import Outputs, StreamLoop
from tests.support.handlers import answer
from tests.support.loop_bench import AT_ONCE, STOP, TOPICS, LoopBench

MOST_PROCESSES = 4 * ENDED


class ProcessEnded(BaseException):
    """Nothing of the process runs any more."""


class DeadlyHandler:
    """Has up to ``room`` records in hand and works on them in any order; ``kill`` ends the process.

    ``dies_after`` is how many records it works on before it is killed for no fault of theirs.
    """

    def __init__(self, seed: int, room: int = 6, dies_after: int | None = None) -> None:
        self._dice, self._room, self._left = random.Random(seed), room, dies_after
        self.open: list[tuple[Record, Future[Outputs]]] = []

    def submit(self, record: Record) -> Future[Outputs]:
        if len(self.open) >= self._room:
            raise Backpressure("no room")
        result: Future[Outputs] = Future()
        self.open.append((record, result))
        return result

    def drop(self, partition: Partition) -> None:
        self.open = [(record, result) for record, result in self.open if record.partition != partition]

    def work(self) -> None:
        """Finish one of the records in hand."""
        if not self.open:
            return
        if self._left == 0:
            raise ProcessEnded
        record, result = self.open.pop(self._dice.randrange(len(self.open)))
        if (record.value or b"").startswith(b"kill"):
            raise ProcessEnded
        result.set_result([answer(record, TOPICS.scores.name)])
        if self._left is not None:
            self._left -= 1


def lives(bench: LoopBench, handler: DeadlyHandler, turns: int = 400, is_held: bool = False) -> bool:
    """Run one process; return False when it ended before its time."""
    loop = bench.loop(handler)
    try:
        for _ in range(turns):
            loop.turn(STOP)
            if is_held:
                loop.excuse()
            handler.work()
    except ProcessEnded:
        return False
    return True


def results(bench: LoopBench) -> tuple[list[bytes | None], list[bytes | None]]:
    return bench.read(), bench.values(TOPICS.dead_letters.name)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("places", [{0}, {3}, {7}, {19}, {5, 6}, {0, 19}], ids=str)
def test_what_ends_processes_is_dead_lettered_alone(places: set[int], seed: int) -> None:
    bench = LoopBench()
    values = [b"kill%d" % n if n in places else b"v%d" % n for n in range(20)]
    for n, value in enumerate(values):
        bench.publish(value, partition=n % 2)
    ended = 0
    while not lives(bench, DeadlyHandler(seed + ended)):
        ended += 1
        assert ended <= MOST_PROCESSES * len(places)
    scored, refused = results(bench)
    assert sorted(filter(None, scored)) == sorted(value.upper() for value in values if value[:1] == b"v")
    assert sorted(filter(None, refused)) == sorted(value for value in values if value[:1] == b"k")
    letters = bench.broker.reader("test").read(TOPICS.dead_letters.name)
    assert {dict(letter.headers)["reason"] for letter in letters} == {b"ended_processes"}
    assert ended >= 2 * ENDED


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dies_after", [0, 1, 5])
def test_processes_killed_for_another_reason_cost_speed_and_no_record(dies_after: int, seed: int) -> None:
    bench = LoopBench()
    bench.publish(*(b"v%d" % n for n in range(20)))
    for n in range(2 * ENDED - 1):
        lives(bench, DeadlyHandler(seed + n, dies_after=dies_after))
    assert lives(bench, DeadlyHandler(seed))
    assert results(bench) == ([b"V%d" % n for n in range(20)], [])


@pytest.mark.parametrize("seed", range(3))
def test_processes_killed_while_a_store_is_full_cost_no_record_however_many(seed: int) -> None:
    bench = LoopBench()
    bench.publish(*(b"v%d" % n for n in range(20)))
    for n in range(8 * ENDED):
        assert not lives(bench, DeadlyHandler(seed + n, dies_after=0), is_held=True)
    assert lives(bench, DeadlyHandler(seed))
    assert results(bench) == ([b"V%d" % n for n in range(20)], [])


def test_a_process_that_ends_in_order_counts_for_nothing() -> None:
    bench = LoopBench(replace(AT_ONCE, drain=AT_ONCE.poll))
    bench.publish(b"v0", b"v1")
    place = Partition(TOPICS.frames.name, 0)
    for _ in range(4 * ENDED):
        handler = DeadlyHandler(0)
        worker = bench.broker.worker("g", "a", [TOPICS.frames.name])
        loop = StreamLoop(worker, handler, bench.policy, bench.clock)
        stop = threading.Event()
        loop.turn(stop)
        loop.turn(stop)
        assert InHandNote.decode(worker.note(place)).count == 1
        stop.set()
        bench.clock.advance(bench.policy.drain)
        loop.run(stop)
        assert worker.note(place) == ""
        worker.close()
    assert lives(bench, DeadlyHandler(0))
    assert results(bench) == ([b"V0", b"V1"], [])


def test_partitions_that_move_between_living_workers_count_for_nothing() -> None:
    bench = LoopBench()
    bench.publish(b"v0", b"v1", partition=1)
    loops = [bench.loop(DeadlyHandler(0), "a")]
    for n in range(4 * ENDED):
        for loop in loops:
            loop.turn(STOP)
            loop.turn(STOP)
        loops.append(bench.loop(DeadlyHandler(0), f"b{n}"))
    note = bench.broker.worker("g", "z", [TOPICS.frames.name]).note(Partition(TOPICS.frames.name, 1))
    assert InHandNote.decode(note).count <= 1


@pytest.mark.parametrize(
    "text", ["", "x", "1", "-1 2 m", "1 x m", "9" * 40 + " 0 m", "\u0661 0 m", "1 \u0662 m"]
)
def test_a_note_that_is_not_ours_says_nothing(text: str) -> None:
    assert InHandNote.decode(text) == InHandNote()


def test_a_note_says_what_was_written() -> None:
    for note in (InHandNote(), InHandNote(2, 0, "a b-17"), InHandNote(0, 99), InHandNote(1, 5, "m")):
        assert InHandNote.decode(note.encode()) == note
