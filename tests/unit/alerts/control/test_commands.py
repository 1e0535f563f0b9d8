"""An order goes to its topic, and what a trainer answers on another is what whoever waits is told."""

import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from alerts.control.commands import AnswerWatch, TopicOfOrders
from alerts.database.order_store import ModelOrder
from steadyline.contracts.model_command import ModelCommand
from steadyline.errors import BrokerUnavailable
from steadyline.kafka.messages import decoded, ignore_poison
from tests.support.alerts_bench import START, TOPICS, AlertsBench, event_message, turns
from tests.support.model_history import a_history, live

COMMAND = ModelCommand(product="cell", action="promote", version=2, who="ines", at=START, why="better")


@pytest.fixture
def here(tmp_path: Path) -> AlertsBench:
    return AlertsBench(f"sqlite:///{tmp_path / 'alerts.db'}")


def orders_of(bench: AlertsBench) -> TopicOfOrders:
    return TopicOfOrders(bench.broker, TOPICS.model_commands, "test", "orders")


def test_an_order_is_written_as_the_trainer_reads_it(here: AlertsBench) -> None:
    with closing(orders_of(here)) as orders, closing(here):
        assert [orders.send(COMMAND), orders.send(COMMAND)] == [0, 1]
        records = list(here.broker.reader("test").read(TOPICS.model_commands.name))
    assert [message for _, message in decoded(records, ModelCommand, ignore_poison)] == [COMMAND, COMMAND]
    assert {record.key for record in records} == {b"cell"}


def test_an_order_is_answered_by_the_event_that_the_intake_has_taken(here: AlertsBench) -> None:
    with closing(orders_of(here)) as orders, closing(here):
        process = here.process()
        here.publish(event_message(a_history(1), here.seal))
        turns(process)
        place = orders.send(COMMAND)
        order = ModelOrder(id="0" * 32, at=START, command=COMMAND, versions_before=[1], place=place)
        watch = AnswerWatch(here.database(), here.clock, threading.Event())
        assert watch.await_answer(order, timedelta(0)).state == "waiting"
        after = live(a_history(1), 2).model_copy(update={"commands_until": place + 1, "sequence": 9})
        here.publish(event_message(after, here.seal))
        turns(process)
        view = watch.await_answer(order, timedelta(seconds=60))
    assert view.state == "done"
    assert view.answer is not None
    assert (view.answer.version, view.answer.after) == (2, "live")


def test_whoever_waits_is_told_how_it_stands_when_the_time_is_over(here: AlertsBench) -> None:
    with closing(here):
        order = ModelOrder(id="0" * 32, at=START, command=COMMAND, versions_before=[], place=0)
        before = here.clock.monotonic()
        stop = threading.Event()
        watch = AnswerWatch(here.database(), here.clock, stop)
        assert watch.await_answer(order, timedelta(seconds=3)).state == "waiting"
        assert here.clock.monotonic() - before == pytest.approx(3)
        stop.set()
        assert watch.await_answer(order, timedelta(seconds=60)).state == "waiting"
        assert here.clock.monotonic() - before < 4


def test_an_order_that_the_broker_does_not_take_is_said(here: AlertsBench) -> None:
    with closing(orders_of(here)) as orders, closing(here):
        here.broker.set_away(True)
        with pytest.raises(BrokerUnavailable):
            orders.send(COMMAND)
        here.broker.set_away(False)
        assert orders.send(COMMAND) == 0
