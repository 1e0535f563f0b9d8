"""The exactly-once loop on the in-memory twin, where every fault comes on order."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta

import pytest
from typing_extensions import override

from steadyline.errors import BrokerUnavailable, Fenced
from steadyline.kafka.broker import Message, Partition, Record
from steadyline.kafka.loop.in_hand import QueueLimits
from steadyline.kafka.loop.stream_loop import Outputs, StreamLoop
from steadyline.kafka.memory.log import CommitFault
from tests.support.handlers import Prompt, ScriptedHandler
from tests.support.loop_bench import AT_ONCE, STOP, TOPICS, LoopBench, turns


def test_results_are_written_in_the_order_of_their_records_not_of_their_ends() -> None:
    bench = LoopBench()
    handler = ScriptedHandler(TOPICS.scores.name)
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
    bench = LoopBench()
    handler = ScriptedHandler(TOPICS.scores.name, room=1)
    loop = bench.loop(handler)
    bench.publish(b"1", b"2")
    loop.turn(STOP)
    assert [record.value for record, _ in handler.open] == [b"1"]
    handler.finish()
    turns(loop, 1)
    assert [record.value for record, _ in handler.open] == [b"2"]


def test_transactions_are_further_apart_while_records_wait_for_room() -> None:
    bench = LoopBench(replace(AT_ONCE, commit_every=timedelta(milliseconds=25), behind_factor=4))
    handler = ScriptedHandler(TOPICS.scores.name, room=1)
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
    bench = LoopBench(replace(AT_ONCE, poll=timedelta(milliseconds=5)))
    worker = bench.broker.worker("g", "a", [TOPICS.frames.name])
    waits: list[int] = []
    poll = worker.poll

    def noted(wait: timedelta) -> Mapping[Partition, Sequence[Record]]:
        waits.append(wait // timedelta(milliseconds=1))
        return poll(timedelta(0))

    worker.poll = noted  # type: ignore[method-assign]
    handler = ScriptedHandler(TOPICS.scores.name, room=1)
    loop = StreamLoop(worker, handler, bench.policy, bench.clock)
    loop.turn(STOP)
    bench.publish(b"1", b"2")
    turns(loop, 2)
    handler.finish()
    turns(loop, 2)  # 2 is in hand, and nothing waits
    handler.finish()
    turns(loop, 2)
    assert waits == [50, 50, 20, 20, 5, 5, 50]


def test_an_aborted_transaction_is_tried_again_with_the_same_results() -> None:
    bench = LoopBench()
    loop = bench.loop(Prompt(TOPICS.scores.name))
    bench.broker.fail_commits("aborted", "aborted")
    bench.publish(b"1")
    turns(loop, 2)
    assert bench.read() == []
    loop.turn(STOP)
    assert bench.read() == [b"1"]


@pytest.mark.parametrize("fault", ["broken_before", "broken_after"])
def test_an_unknown_outcome_neither_loses_nor_doubles(fault: CommitFault) -> None:
    bench = LoopBench()
    loop = bench.loop(Prompt(TOPICS.scores.name))
    bench.broker.fail_commits(fault)
    bench.publish(b"1", b"2")
    turns(loop, 4)
    bench.publish(b"3")
    turns(loop, 2)
    assert bench.read() == [b"1", b"2", b"3"]


def test_an_outage_is_waited_out() -> None:
    bench = LoopBench()
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
    bench = LoopBench(replace(AT_ONCE, queues=QueueLimits(high=4, low=2)))
    handler = ScriptedHandler(TOPICS.scores.name, room=100)
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
    bench = LoopBench(replace(AT_ONCE, queues=QueueLimits(high_bytes=1000)))
    handler = ScriptedHandler(TOPICS.scores.name, room=100)
    loop = bench.loop(handler)
    bench.publish(b"x" * 600, b"y" * 600)
    loop.turn(STOP)
    bench.publish(b"z")
    turns(loop, 2)
    assert len(handler.open) == 2


def test_a_transaction_is_bounded_in_messages() -> None:
    bench = LoopBench(replace(AT_ONCE, transaction_messages=4))
    loop = bench.loop(Prompt(TOPICS.scores.name))
    bench.publish(*(b"%d" % n for n in range(10)))
    loop.turn(STOP)
    assert len(bench.read()) == 4
    turns(loop, 2)
    assert len(bench.read()) == 10


def test_results_of_a_partition_that_went_elsewhere_are_dropped() -> None:
    bench = LoopBench()
    handler = ScriptedHandler(TOPICS.scores.name, room=100)
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
    bench = LoopBench()
    loop = bench.loop(Prompt(TOPICS.scores.name), "a")
    bench.loop(Prompt(TOPICS.scores.name), "a")
    with pytest.raises(Fenced):
        loop.turn(STOP)


def test_stopping_commits_what_is_in_hand() -> None:
    bench = LoopBench()
    loop = bench.loop(Prompt(TOPICS.scores.name))
    bench.publish(b"1", b"2")
    bench.broker.fail_commits("aborted")
    loop.turn(STOP)
    stop = threading.Event()
    stop.set()
    loop.run(stop)
    assert bench.read() == [b"1", b"2"]


def test_stopping_does_not_wait_for_ever() -> None:
    bench = LoopBench()
    loop = bench.loop(ScriptedHandler(TOPICS.scores.name))
    bench.publish(b"1")
    loop.turn(STOP)
    stop = threading.Event()
    stop.set()
    loop.run(stop)
    assert bench.read() == []


def test_stopping_within_a_rebalance_commits_what_is_still_ours_and_leaves_the_rest() -> None:
    bench = LoopBench()
    handler = ScriptedHandler(TOPICS.scores.name)
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
    bench = LoopBench()
    handler = ScriptedHandler(TOPICS.scores.name)
    turned: list[None] = []

    def come_back() -> None:
        turned.append(None)
        if len(turned) == 11:  # the first turn, and ten of the end
            bench.broker.set_away(False)

    worker = bench.broker.worker("g", "a", [TOPICS.frames.name])
    loop = StreamLoop(worker, handler, bench.policy, bench.clock, come_back)
    bench.publish(b"1")
    loop.turn(STOP)
    handler.finish_all()
    bench.broker.set_away(True)
    stop = threading.Event()
    stop.set()
    loop.run(stop)
    assert bench.read() == [b"1"]


def test_a_bug_in_the_handler_comes_out_of_the_loop() -> None:
    class Broken(Prompt):
        @override
        def submit(self, record: Record) -> Future[Outputs]:
            result: Future[Outputs] = Future()
            result.set_exception(KeyError("x"))
            return result

    bench = LoopBench()
    loop = bench.loop(Broken(TOPICS.scores.name))
    bench.publish(b"1")
    with pytest.raises(KeyError):
        turns(loop, 2)


def test_reading_during_an_outage_says_so() -> None:
    bench = LoopBench()
    bench.broker.set_away(True)
    with pytest.raises(BrokerUnavailable):
        list(bench.broker.reader("test").read(TOPICS.scores.name))


def test_the_twin_writes_all_messages_of_a_transaction_or_none() -> None:
    bench = LoopBench()
    worker = bench.broker.worker("g", "a", [TOPICS.frames.name])
    worker.poll(timedelta(0))
    missing = [Message(TOPICS.scores.name, b"k", b"1"), Message("nowhere", b"k", b"2")]
    with pytest.raises(BrokerUnavailable):
        worker.commit(missing, {Partition(TOPICS.frames.name, 0): 0})
    assert bench.read() == []
