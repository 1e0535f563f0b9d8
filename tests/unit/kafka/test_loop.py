"""The exactly-once loop on the in-memory twin, where every fault comes on order."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from steadyline.clock import ManualClock
from steadyline.contracts.topics import MAX_DEAD_LETTER_BYTES, MAX_FRAME_BYTES, Topics, line_topics
from steadyline.errors import BrokerUnavailable, DeadLetterStorm, Fenced, MalformedHeaders
from steadyline.kafka.broker import Message, Partition, Record
from steadyline.kafka.dead_letter import ADDED, StormGuard, StormLimit, dead_letter
from steadyline.kafka.lane import Outputs
from steadyline.kafka.loop import Handler, LoopPolicy, StreamLoop
from steadyline.kafka.memory import MemoryBroker
from steadyline.kafka.memory_log import CommitFault
from tests.support.handlers import Patient, Prompt

TOPICS = line_topics("t", 3)
AT_ONCE = LoopPolicy(poll=timedelta(0), commit_every=timedelta(0))
STOP = threading.Event()
CAMERA = ("camera", b"c1")


class Bench:
    """A broker in memory, its topics, and loops on it that advance only when told to."""

    def __init__(self, policy: LoopPolicy = AT_ONCE) -> None:
        self.clock = ManualClock()
        self.broker = MemoryBroker(self.clock)
        self.broker.create_topics(list(TOPICS))
        self.policy = policy

    def publish(self, *values: bytes, partition: int = 0) -> None:
        publisher = self.broker.publisher("test")
        for value in values:
            publisher.publish(Message(TOPICS.frames.name, b"k", value, (), partition), lambda _: None)

    def loop(self, handler: Handler, instance: str = "a", group: str = "g") -> StreamLoop:
        worker = self.broker.worker(group, instance, [TOPICS.frames.name])
        return StreamLoop(worker, handler, TOPICS.dead_letters.name, self.policy, self.clock)

    def read(self, topics: Topics = TOPICS, partition: int | None = None) -> list[bytes | None]:
        return self.values(topics.scores.name, partition)

    def values(self, topic: str, partition: int | None = None) -> list[bytes | None]:
        records = self.broker.reader("test").read(topic)
        return [record.value for record in records if partition in (None, record.partition.number)]


def turns(loop: StreamLoop, count: int) -> None:
    for _ in range(count):
        loop.turn(STOP)


def test_results_are_written_in_the_order_of_their_records_not_of_their_ends() -> None:
    bench = Bench()
    handler = Patient(TOPICS.scores.name)
    loop = bench.loop(handler)
    bench.publish(b"1", b"2", b"3")
    loop.turn(STOP)
    handler.finish(2)
    loop.turn(STOP)
    assert bench.read() == []
    handler.finish(0)
    loop.turn(STOP)
    assert bench.read() == [b"1"]
    handler.finish(0)
    loop.turn(STOP)
    assert bench.read() == [b"1", b"2", b"3"]


def test_a_record_refused_for_want_of_room_is_offered_again() -> None:
    bench = Bench()
    handler = Patient(TOPICS.scores.name, room=1)
    loop = bench.loop(handler)
    bench.publish(b"1", b"2")
    loop.turn(STOP)
    assert [record.value for record, _ in handler.open] == [b"1"]
    handler.finish()
    turns(loop, 1)
    assert [record.value for record, _ in handler.open] == [b"2"]


def test_transactions_are_further_apart_while_records_wait_for_room() -> None:
    bench = Bench(replace(AT_ONCE, commit_every=timedelta(milliseconds=25), behind_factor=4))
    handler = Patient(TOPICS.scores.name, room=1)
    loop = bench.loop(handler)
    bench.publish(b"1", b"2", b"3")
    loop.turn(STOP)
    handler.finish()
    bench.clock.advance(timedelta(milliseconds=30))
    loop.turn(STOP)
    assert bench.read() == []  # 3 waits
    bench.clock.advance(timedelta(milliseconds=80))
    loop.turn(STOP)
    assert bench.read() == [b"1"]
    handler.finish()
    bench.clock.advance(timedelta(milliseconds=30))
    loop.turn(STOP)
    assert bench.read() == [b"1", b"2"]  # nothing waits any more


def test_a_poll_lasts_longer_with_nothing_in_hand_or_no_room_for_more() -> None:
    bench = Bench(replace(AT_ONCE, poll=timedelta(milliseconds=5)))
    worker = bench.broker.worker("g", "a", [TOPICS.frames.name])
    waits: list[int] = []
    poll = worker.poll

    def noted(wait: timedelta) -> Mapping[Partition, Sequence[Record]]:
        waits.append(wait // timedelta(milliseconds=1))
        return poll(timedelta(0))

    worker.poll = noted  # type: ignore[method-assign]
    handler = Patient(TOPICS.scores.name, room=1)
    loop = StreamLoop(worker, handler, TOPICS.dead_letters.name, bench.policy, bench.clock)
    loop.turn(STOP)
    bench.publish(b"1", b"2")
    turns(loop, 2)
    handler.finish()
    turns(loop, 2)  # 2 is in hand, and nothing waits
    handler.finish()
    turns(loop, 2)
    assert waits == [50, 50, 20, 20, 5, 5, 50]


def test_an_aborted_transaction_is_tried_again_with_the_same_results() -> None:
    bench = Bench()
    loop = bench.loop(Prompt(TOPICS.scores.name))
    bench.broker.fail_commits("aborted", "aborted")
    bench.publish(b"1")
    turns(loop, 2)
    assert bench.read() == []
    loop.turn(STOP)
    assert bench.read() == [b"1"]


@pytest.mark.parametrize("fault", ["broken_before", "broken_after"])
def test_an_unknown_outcome_neither_loses_nor_doubles(fault: CommitFault) -> None:
    bench = Bench()
    loop = bench.loop(Prompt(TOPICS.scores.name))
    bench.broker.fail_commits(fault)
    bench.publish(b"1", b"2")
    turns(loop, 4)
    bench.publish(b"3")
    turns(loop, 2)
    assert bench.read() == [b"1", b"2", b"3"]


def test_poison_is_dead_lettered_in_its_place_and_the_rest_goes_on() -> None:
    bench = Bench()
    loop = bench.loop(Prompt(TOPICS.scores.name))
    bench.publish(b"1", b"bad", b"2")
    turns(loop, 2)
    assert bench.read() == [b"1", b"2"]
    (letter,) = bench.broker.reader("test").read(TOPICS.dead_letters.name)
    assert letter.value == b"bad"
    assert dict(letter.headers) == {
        "reason": b"malformed_headers",
        "error": b"bad is bad",
        "source-topic": b"t.frames.v1",
        "source-partition": b"0",
        "source-offset": b"1",
    }


def test_poison_found_while_working_is_dead_lettered_too() -> None:
    bench = Bench()
    handler = Patient(TOPICS.scores.name)
    loop = bench.loop(handler)
    bench.publish(b"bad", b"2")
    loop.turn(STOP)
    handler.finish_all()
    loop.turn(STOP)
    assert bench.values(TOPICS.dead_letters.name) == [b"bad"]
    assert bench.read() == [b"2"]


def test_an_outage_is_waited_out() -> None:
    bench = Bench()
    loop = bench.loop(Prompt(TOPICS.scores.name))
    bench.publish(b"1")
    bench.broker.set_away(True)
    before = bench.clock.monotonic()
    turns(loop, 3)
    assert bench.clock.monotonic() - before == pytest.approx(0.6)
    bench.broker.set_away(False)
    turns(loop, 2)
    assert bench.read() == [b"1"]


def test_a_full_lane_pauses_its_partition_and_resumes_with_room() -> None:
    bench = Bench(replace(AT_ONCE, high=4, low=2))
    handler = Patient(TOPICS.scores.name, room=100)
    loop = bench.loop(handler)
    bench.publish(*(b"%d" % n for n in range(6)))
    loop.turn(STOP)
    bench.publish(b"6", b"7")
    turns(loop, 2)
    assert len(handler.open) == 6
    handler.finish_all()
    turns(loop, 2)
    assert len(handler.open) == 2


def test_large_records_fill_a_lane_by_their_bytes() -> None:
    bench = Bench(replace(AT_ONCE, high_bytes=1000))
    handler = Patient(TOPICS.scores.name, room=100)
    loop = bench.loop(handler)
    bench.publish(b"x" * 600, b"y" * 600)
    loop.turn(STOP)
    bench.publish(b"z")
    turns(loop, 2)
    assert len(handler.open) == 2


def test_a_transaction_is_bounded_in_messages() -> None:
    bench = Bench(replace(AT_ONCE, transaction_messages=4))
    loop = bench.loop(Prompt(TOPICS.scores.name))
    bench.publish(*(b"%d" % n for n in range(10)))
    loop.turn(STOP)
    assert len(bench.read()) == 4
    turns(loop, 2)
    assert len(bench.read()) == 10


def test_results_of_a_partition_that_went_elsewhere_are_dropped() -> None:
    bench = Bench()
    handler = Patient(TOPICS.scores.name, room=100)
    first = bench.loop(handler, "a")
    for partition in range(3):
        bench.publish(b"%d" % partition, partition=partition)
    first.turn(STOP)
    second = bench.loop(Prompt(TOPICS.scores.name), "b")
    handler.finish_all()
    turns(first, 1)
    turns(second, 2)
    turns(first, 2)
    assert sorted(filter(None, bench.read())) == [b"0", b"1", b"2"]
    assert handler.dropped


def test_a_second_worker_with_the_same_name_ends_the_first() -> None:
    bench = Bench()
    loop = bench.loop(Prompt(TOPICS.scores.name), "a")
    bench.loop(Prompt(TOPICS.scores.name), "a")
    with pytest.raises(Fenced):
        loop.turn(STOP)


def test_stopping_commits_what_is_in_hand() -> None:
    bench = Bench()
    loop = bench.loop(Prompt(TOPICS.scores.name))
    bench.publish(b"1", b"2")
    bench.broker.fail_commits("aborted")
    loop.turn(STOP)
    stop = threading.Event()
    stop.set()
    loop.run(stop)
    assert bench.read() == [b"1", b"2"]


def test_stopping_does_not_wait_for_ever() -> None:
    bench = Bench()
    loop = bench.loop(Patient(TOPICS.scores.name))
    bench.publish(b"1")
    loop.turn(STOP)
    stop = threading.Event()
    stop.set()
    loop.run(stop)
    assert bench.read() == []


def test_stopping_within_a_rebalance_commits_what_is_still_ours_and_leaves_the_rest() -> None:
    bench = Bench()
    handler = Patient(TOPICS.scores.name)
    loop = bench.loop(handler, "a")
    bench.publish(b"0", partition=0)
    bench.publish(b"1", partition=1)
    loop.turn(STOP)
    other = bench.loop(Prompt(TOPICS.scores.name), "b")  # partition 1 goes there
    bench.publish(b"new", partition=0)
    handler.finish_all()
    before = bench.clock.monotonic()
    stop = threading.Event()
    stop.set()
    loop.run(stop)
    assert bench.read() == [b"0"]
    assert bench.clock.monotonic() - before < 1
    turns(other, 2)
    assert bench.read(partition=1) == [b"1"]


def test_stopping_in_an_outage_waits_for_its_end() -> None:
    bench = Bench()
    handler = Patient(TOPICS.scores.name)
    loop = bench.loop(handler)
    bench.publish(b"1")
    loop.turn(STOP)
    handler.finish_all()
    bench.broker.set_away(True)
    stop = threading.Event()
    stop.set()
    turned: list[None] = []

    def come_back() -> None:
        turned.append(None)
        if len(turned) == 10:
            bench.broker.set_away(False)

    loop.on_turn = come_back
    loop.run(stop)
    assert bench.read() == [b"1"]


def test_a_record_without_key_and_value_gets_a_letter_that_can_be_written() -> None:
    record = Record(Partition("t.frames.v1", 0), 7, None, None, (), 0)
    letter = dead_letter(record, MalformedHeaders("no headers at all"), "t.dead-letters.v1")
    assert (letter.key, letter.value) == (None, b"")
    keyed = dead_letter(replace(record, key=b"c"), MalformedHeaders("none"), "t.dead-letters.v1")
    assert (keyed.key, keyed.value) == (b"c", None)


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"c", bytes(MAX_FRAME_BYTES + 1), (CAMERA,)),
        (b"c", b"v", (CAMERA, ("comment", bytes(MAX_FRAME_BYTES)))),
        (b"c", b"v", (CAMERA, *(("x", b""),) * 1_000_000)),
        (bytes(MAX_FRAME_BYTES), b"v", (CAMERA,)),
        (None, bytes(3 * MAX_FRAME_BYTES), (CAMERA,)),
    ],
    ids=["value", "a header", "many headers", "key", "no key"],
)
def test_a_record_that_no_letter_can_hold_is_cut_and_says_so(
    key: bytes | None, value: bytes, headers: tuple[tuple[str, bytes], ...]
) -> None:
    record = Record(Partition("t.frames.v1", 0), 7, key, value, headers, 0)
    letter = dead_letter(record, MalformedHeaders("none"), "t.dead-letters.v1")
    written = len(letter.key or b"") + len(letter.value or b"")
    written += sum(len(name) + len(text) + 10 for name, text in letter.headers)
    assert written < MAX_DEAD_LETTER_BYTES - 1024
    assert value.startswith(letter.value or b"none")
    assert letter.headers[0] == CAMERA
    assert dict(letter.headers)["cut-from"] == str(len(value)).encode()
    assert tuple(name for name, _ in letter.headers[-len(ADDED) :]) == ADDED


def test_a_record_of_the_largest_frame_is_kept_untouched() -> None:
    record = Record(Partition("t.frames.v1", 0), 7, b"c", bytes(MAX_FRAME_BYTES - 100), (CAMERA,), 0)
    letter = dead_letter(record, MalformedHeaders("none"), "t.dead-letters.v1")
    assert letter.value == record.value
    assert letter.headers[: -len(ADDED)] == (CAMERA,)


def test_a_storm_of_poison_stops_the_loop_before_the_topic_is_drained() -> None:
    limit = StormLimit(fraction=0.5, messages=10)
    bench = Bench(replace(AT_ONCE, storm=limit, transaction_messages=5))
    loop = bench.loop(Prompt(TOPICS.scores.name))
    bench.publish(*([b"bad"] * 100))
    with pytest.raises(DeadLetterStorm, match="malformed_headers"):
        turns(loop, 100)
    assert len(bench.values(TOPICS.dead_letters.name)) == 10


def test_poison_spread_over_time_is_no_storm() -> None:
    clock = ManualClock()
    guard = StormGuard(StormLimit(fraction=0.5, messages=10, window=timedelta(seconds=60)), clock)
    for _ in range(100):
        clock.advance(timedelta(seconds=10))
        guard.count(True, "poison")


def test_a_bug_in_the_handler_comes_out_of_the_loop() -> None:
    class Broken(Prompt):
        @override
        def submit(self, record: Record) -> Future[Outputs]:
            result: Future[Outputs] = Future()
            result.set_exception(KeyError("x"))
            return result

    bench = Bench()
    loop = bench.loop(Broken(TOPICS.scores.name))
    bench.publish(b"1")
    with pytest.raises(KeyError):
        turns(loop, 2)


STEPS = st.sampled_from(
    ["publish", "poison", "turn", "turn", "turn", "finish", "finish", "join", "join", "leave", "abort",
     "unwritten", "written", "outage"]
)  # fmt: skip


class Chaos:
    """Three instances that come, work, fail and go; everything else is drawn."""

    def __init__(self) -> None:
        self.bench = Bench(replace(AT_ONCE, high=6, low=3, transaction_messages=5))
        self.sent: dict[int, list[bytes]] = {number: [] for number in range(3)}
        self.members: dict[int, tuple[StreamLoop, Patient, Callable[[], None]]] = {}

    def step(self, name: str, number: int, index: int) -> None:
        match name:
            case "publish" | "poison":
                self.publish(number, b"bad" if name == "poison" else b"v")
            case "join":
                self.join(number)
            case "leave" if number in self.members:
                self.members.pop(number)[2]()
            case "turn" if number in self.members:
                self.members[number][0].turn(STOP)
            case "finish" if number in self.members:
                self.members[number][1].finish(index)
            case "abort":
                self.bench.broker.fail_commits("aborted")
            case "unwritten":
                self.bench.broker.fail_commits("broken_before")
            case "written":
                self.bench.broker.fail_commits("broken_after")
            case "outage" if number in self.members:
                self.bench.broker.set_away(True)
                self.members[number][0].turn(STOP)
                self.bench.broker.set_away(False)

    def publish(self, partition: int, kind: bytes) -> None:
        value = b"%s%d" % (kind, len(self.sent[partition]))
        self.sent[partition].append(value)
        self.bench.publish(value, partition=partition)

    def join(self, number: int) -> None:
        """Take the place of whoever had this instance name."""
        handler = Patient(TOPICS.scores.name, room=4)
        worker = self.bench.broker.worker("g", f"w{number}", [TOPICS.frames.name])
        bench = self.bench
        loop = StreamLoop(worker, handler, TOPICS.dead_letters.name, bench.policy, bench.clock)
        self.members[number] = (loop, handler, worker.close)

    def drain(self) -> None:
        if not self.members:
            self.join(0)
        for _ in range(60):
            for loop, handler, _close in self.members.values():
                loop.turn(STOP)
                handler.finish_all()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(STEPS, st.integers(0, 2), st.integers(0, 7)), max_size=80))
def test_nothing_is_lost_doubled_or_reordered_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    chaos = Chaos()
    for step in steps:
        chaos.step(*step)
    chaos.drain()
    for partition, sent in chaos.sent.items():
        good = [value.upper() for value in sent if value.startswith(b"v")]
        poison = [value for value in sent if value.startswith(b"bad")]
        assert chaos.bench.read(partition=partition) == good
        assert chaos.bench.values(TOPICS.dead_letters.name, partition) == poison


def test_reading_during_an_outage_says_so() -> None:
    bench = Bench()
    bench.broker.set_away(True)
    with pytest.raises(BrokerUnavailable):
        list(bench.broker.reader("test").read(TOPICS.scores.name))


def test_the_guard_names_the_last_reason() -> None:
    guard = StormGuard(StormLimit(messages=1), ManualClock())
    with pytest.raises(DeadLetterStorm, match=MalformedHeaders.reason):
        guard.count(True, MalformedHeaders.reason)


def test_the_twin_writes_all_messages_of_a_transaction_or_none() -> None:
    bench = Bench()
    worker = bench.broker.worker("g", "a", [TOPICS.frames.name])
    worker.poll(timedelta(0))
    missing = [Message(TOPICS.scores.name, b"k", b"1"), Message("nowhere", b"k", b"2")]
    with pytest.raises(BrokerUnavailable):
        worker.commit(missing, {Partition(TOPICS.frames.name, 0): 0})
    assert bench.read() == []
