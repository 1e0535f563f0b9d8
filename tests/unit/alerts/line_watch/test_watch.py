"""The line is measured by one process at a time, and no death of one loses or doubles what was measured."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from alerts.database.tables import IncidentRow
from alerts.incidents import acts
from steadyline.kafka.broker import Message
from tests.support.alerts_bench import TOPICS, AlertsBench
from tests.support.watched_line import EVERY, WatchedBench


class WatchDied(BaseException):
    """The process ends here: nothing of it runs any more."""


@pytest.fixture
def line(bench: AlertsBench) -> WatchedBench:
    return WatchedBench(bench)


def test_scorers_that_stop_open_two_incidents_which_end_when_they_go_on(line: WatchedBench) -> None:
    watch = line.watch()
    for _ in range(2):
        line.send(frames=300, scores=300)
        line.score_all()
        line.turns(watch)
    for _ in range(12):
        line.send(frames=100)
        line.turns(watch)
    assert line.told() == [("no_scores", "opened"), ("lag", "opened")]
    assert watch.standing is not None
    assert watch.standing.kinds == {"no_scores", "lag"}
    for _ in range(9):
        line.send(scores=100)
        line.score_all()
        line.turns(watch)
    assert line.told()[2:] == [("no_scores", "resolved"), ("lag", "resolved")]
    assert watch.standing.kinds == frozenset()


def test_refused_messages_open_an_incident(line: WatchedBench) -> None:
    watch = line.watch()
    line.refuse(50)  # before the line was ever watched: nobody is to be told of them
    line.turns(watch)
    line.refuse(9)
    line.turns(watch)
    assert line.told() == []
    line.refuse(1)
    line.turns(watch)
    assert line.told() == [("dead_letters", "opened")]
    assert line.counted() == {"malformed_headers": 10}


def test_one_process_measures_and_another_goes_on_where_it_ended(line: WatchedBench) -> None:
    first, second = line.watch("a"), line.watch("b")
    line.turns(first)
    line.refuse(3)
    line.turns(second)
    assert (first.is_others, second.is_others, second.standing) == (False, True, None)
    line.turns(first)
    line.refuse(2)
    line.alerts.clock.advance(timedelta(seconds=30))  # the first is gone without a word
    line.turns(second)
    line.turns(first)
    assert (first.is_others, first.standing, second.is_others) == (True, None, False)
    assert line.counted() == {"malformed_headers": 5}


def test_a_process_that_ends_in_order_lets_another_go_on_at_once(line: WatchedBench) -> None:
    class StoppedAtOnce:
        """Is set once the first measure is made."""

        def __init__(self) -> None:
            self.asked = 0

        def is_set(self) -> bool:
            self.asked += 1
            return self.asked > 1

    line.watch("a").run(EVERY, StoppedAtOnce(), lambda _: None)  # type: ignore[arg-type]
    second = line.watch("b")
    line.turns(second)
    assert not second.is_others


@pytest.mark.parametrize("nth", range(1, 8))
def test_a_process_that_dies_at_any_transaction_loses_and_doubles_no_letter(
    line: WatchedBench, nth: int
) -> None:
    line.turns(line.watch("before"))
    line.alerts.clock.advance(timedelta(minutes=1))
    seen: list[str] = []

    def die(moment: str) -> None:
        seen.append(moment)
        if len(seen) == nth:
            raise WatchDied

    dying = line.watch("a", die)

    def live() -> None:
        for _ in range(4):
            line.refuse(3)
            line.turns(dying)

    with pytest.raises(WatchDied):
        live()
    line.alerts.clock.advance(timedelta(minutes=1))
    line.turns(line.watch("b"), 2)
    letters = list(line.alerts.broker.reader("test").read(TOPICS.dead_letters.name))
    assert line.counted() == {"malformed_headers": len(letters)}


def test_an_outage_is_covered_by_the_next_measure(line: WatchedBench) -> None:
    watch = line.watch()
    line.turns(watch)
    line.refuse(4)
    line.alerts.broker.set_away(True)
    line.turns(watch, 3)
    line.alerts.broker.set_away(False)
    line.refuse(2)
    line.turns(watch)
    assert line.counted() == {"malformed_headers": 6}


def test_time_passes_for_what_people_have_done_to_an_incident_of_the_line(line: WatchedBench) -> None:
    watch = line.watch()
    line.turns(watch)
    line.refuse(10)
    line.turns(watch)
    (incident,) = line.alerts.incidents()
    now = line.alerts.clock.now()
    snoozed = acts.snooze(incident, "ada", now, now + timedelta(seconds=8)).incident
    with line.alerts.database().transaction() as session:
        row = session.scalars(select(IncidentRow)).one()
        row.state, row.sequence, row.content = "snoozed", snoozed.sequence, snoozed.model_dump_json()
    line.turns(watch, 2)
    assert [change for _, change in line.told()] == ["opened", "woken"]


def test_a_foreign_writer_neither_stops_nor_floods_the_count(line: WatchedBench) -> None:
    watch = line.watch()
    line.turns(watch)
    topic = TOPICS.dead_letters.name
    odd = [Message(topic, None, b"", (), 0), Message(topic, b"k", b"v", (("reason", b"\xff"),), 1)]
    line.alerts.publish(*odd)
    line.refuse(1)
    letter = list(line.alerts.broker.reader("test").read(topic))[-1]
    for n in range(12):
        headers = tuple(
            (k, b"word_%s" % (b"abcdefghijkl"[n : n + 1])) if k == "reason" else (k, v)
            for k, v in letter.headers
        )
        line.alerts.publish(replace(odd[0], key=b"k", headers=headers))
    line.turns(watch)
    counted = line.counted()
    assert counted["foreign"] == 2
    assert sum(counted.values()) == 15
    assert len(counted) <= 9
    line.refuse(3_000)
    line.turns(watch)
    assert sum(line.counted().values()) == 3_015
    line.refuse(1)
    line.turns(watch)
    assert sum(line.counted().values()) == 3_016


def test_a_topic_of_letters_that_was_made_anew_is_counted_from_its_beginning(line: WatchedBench) -> None:
    watch = line.watch()
    line.refuse(7)
    line.turns(watch)
    line.alerts.broker.delete_topic(TOPICS.dead_letters.name)
    line.alerts.broker.create_topics([TOPICS.dead_letters])
    line.refuse(2)
    line.turns(watch)
    assert line.counted() == {"malformed_headers": 2}
