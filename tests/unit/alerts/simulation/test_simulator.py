"""Simulations over topics: what is read is what the intake takes, within bounds, and one at a time."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from alerts.simulation.reading import ReadingBounds, SimulationEnded, TopicSpan
from alerts.simulation.simulator import SimulatedRules, SimulationBusy, Simulator
from steadyline.clock import Clock, ManualClock
from steadyline.errors import BrokerUnavailable
from steadyline.kafka.broker import Message
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.kafka.model_events import EventSeal
from steadyline.line import Line
from steadyline.rule_set import RuleSet
from tests.support.alerts_bench import (
    LINE,
    START,
    TOPICS,
    a_status,
    bad_message,
    event_message,
    status_message,
)
from tests.support.held_clock import HeldClock
from tests.support.model_history import a_history
from tests.support.written_scores import write, written_scores

WORDS = ("gaaagggggggggggg", "gaxwgggaagdddgggggggggg")


class SimulatorBench:
    """A simulator on a broker in memory."""

    def __init__(self, clock: Clock | None = None, bounds: ReadingBounds | None = None) -> None:
        self.clock = ManualClock(START)
        self.broker, self.stop = MemoryBroker(self.clock), threading.Event()
        self.broker.create_topics(list(TOPICS))
        self.simulator = Simulator(
            LINE, self.broker, EventSeal("test"), clock or self.clock, self.stop, bounds or ReadingBounds()
        )

    def write(self, *messages: Message) -> None:
        """Write messages, a second apart by the broker's clock."""
        for message in messages:
            write(self.broker, message)
            self.clock.advance(timedelta(seconds=1))

    def simulate(self, proposed: Line, span: TopicSpan | None = None) -> SimulatedRules:
        """Compare the rules and wait for it."""
        return self.simulator.compare_rules(proposed, span or TopicSpan(START)).result(timeout=60)


@pytest.fixture
def bench() -> Iterator[SimulatorBench]:
    made = SimulatorBench()
    for number, word in enumerate(WORDS):
        made.write(*written_scores(LINE, f"east-{number}", word))
    yield made
    made.simulator.close()


def with_rules(**changes: object) -> Line:
    """Return the line with other rules of its product."""
    return RuleSet.of(LINE).proposed({"products": {"cell": {"alerts": changes}}}).on(LINE)


def test_the_same_rules_over_the_topics_make_no_difference(bench: SimulatorBench) -> None:
    found = bench.simulate(LINE)
    assert found.comparison.is_same
    assert found.comparison.now.incidents == 2
    assert [topic.topic for topic in found.topics] == ["model-events", "camera-status", "scores"]
    assert [topic.messages for topic in found.topics] == [0, 0, sum(map(len, WORDS))]
    assert not found.is_cut


def test_other_rules_over_the_topics_differ(bench: SimulatorBench) -> None:
    found = bench.simulate(with_rules(open_frames={"anomalous": 1, "of": 1}, close_frames=1))
    assert found.comparison.proposed.incidents > found.comparison.now.incidents == 2


def test_only_the_span_is_read(bench: SimulatorBench) -> None:
    begin = START + timedelta(seconds=len(WORDS[0]))
    found = bench.simulate(LINE, TopicSpan(begin, begin + timedelta(seconds=3)))
    assert found.topics[-1].messages == 3


def test_statuses_and_events_are_shown_to_the_rules_too(bench: SimulatorBench) -> None:
    bench.write(*(status_message(a_status("east-0", second, "down")) for second in range(9)))
    bench.write(*(event_message(event, EventSeal("test")) for event in (a_history(), a_history(1))))
    found = bench.simulate(LINE)
    assert found.comparison.is_same
    assert set(found.comparison.now.by_kind) == {"anomaly", "camera_down", "model_promoted"}


def test_what_the_intake_would_refuse_is_passed_over_and_counted(bench: SimulatorBench) -> None:
    bench.write(bad_message(b"bad"), *written_scores(LINE, "east-2", "g"))
    scores = bench.simulate(LINE).topics[-1]
    assert (scores.refused, scores.cut) == (1, None)
    assert scores.messages == sum(map(len, WORDS)) + 2


def test_a_reading_that_is_cut_says_at_which_bound() -> None:
    few = SimulatorBench(bounds=ReadingBounds(messages=5))
    few.write(*written_scores(LINE, "east-0", WORDS[0]))
    found = few.simulate(LINE)
    assert found.is_cut
    assert [(topic.messages, topic.cut) for topic in found.topics] == [(0, None), (0, None), (5, "messages")]
    short = SimulatorBench(bounds=ReadingBounds(longest=timedelta(0)))
    short.write(*written_scores(LINE, "east-0", WORDS[0]))
    assert [topic.cut for topic in short.simulate(LINE).topics] == [None, None, "seconds"]


def test_one_simulation_runs_at_a_time_and_the_next_one_after_it(bench: SimulatorBench) -> None:
    held = HeldClock()
    simulator = Simulator(LINE, bench.broker, EventSeal("test"), held, bench.stop)
    first = simulator.compare_rules(LINE, TopicSpan(START))
    with pytest.raises(SimulationBusy):
        simulator.compare_rules(LINE, TopicSpan(START))
    held.go_on.set()
    assert first.result(timeout=60).comparison.is_same
    assert simulator.compare_rules(LINE, TopicSpan(START)).result(timeout=60).comparison.is_same
    simulator.close()


def test_an_outage_ends_a_simulation_and_the_next_one_runs(bench: SimulatorBench) -> None:
    bench.broker.set_away(True)
    with pytest.raises(BrokerUnavailable):
        bench.simulate(LINE)
    bench.broker.set_away(False)
    assert bench.simulate(LINE).comparison.is_same


def test_a_stop_ends_a_simulation(bench: SimulatorBench) -> None:
    bench.write(*written_scores(LINE, "east-3", "g" * 200))
    bench.stop.set()
    with pytest.raises(SimulationEnded):
        bench.simulate(LINE)


def test_a_model_event_is_believed_as_the_intake_believes_it_also_before_the_span(
    bench: SimulatorBench,
) -> None:
    newest, stale = a_history(1, 2), a_history(1)
    leased = newest.model_copy(update={"fencing_token": 9, "sequence": 9})
    foreign = event_message(a_history(1, 2, 3), EventSeal("other"))
    bench.write(event_message(leased, EventSeal("test")))
    begin = bench.clock.now()
    bench.write(event_message(stale, EventSeal("test")), foreign)
    events = bench.simulate(LINE, TopicSpan(begin)).topics[0]
    assert (events.messages, events.refused, events.first) == (3, 2, None)
