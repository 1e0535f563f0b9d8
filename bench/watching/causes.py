"""The causes of alerts, made for real: what is broken, and which alerts it must raise."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import timedelta
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from bench.watching.cause import Act, Cause
from bench.watching.line import CAMERAS, ObservedLine
from steadyline.kafka.broker import Message
from steadyline.ops.alerts_client import AlertsRefused, AlertsUnavailable
from steadyline.servers.procfs import session_members
from steadyline.servers.stack import ServerName

FLOOD = 2000
UNREAD_SECONDS = 5.0
ASK_SECONDS = 0.5


def _frozen(server: ServerName) -> Act:
    @contextmanager
    def act(line: ObservedLine) -> Iterator[None]:
        pids = session_members(line.stack.servers[server].pid)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    return act


@contextmanager
def _unplugged(line: ObservedLine) -> Iterator[None]:
    folder = line.pictures(CAMERAS[1])
    away = folder.with_suffix(".away")
    folder.rename(away)
    try:
        yield
    finally:
        away.rename(folder)


@contextmanager
def _flood(line: ObservedLine) -> Iterator[None]:
    """Write frames that are none: first among the good ones, then more than all of these."""
    with closing(line.broker.publisher("stranger")) as publisher:
        for number in range(FLOOD):
            message = Message(line.topics.frames.name, CAMERAS[number % 2].encode(), b"no picture", ())
            publisher.publish(message, lambda error: None)
        publisher.flush(timedelta(seconds=30))
    yield


@contextmanager
def _written_to_by_nobody(line: ObservedLine) -> Iterator[None]:
    """Hold the lock of the database, put scores that are none before the alerts, and ask the API to write."""
    done = threading.Event()
    asking = threading.Thread(target=_ask_for_subscriptions, args=(line, done), name="asking", daemon=True)
    with line.locked_database(), closing(line.broker.publisher("stranger")) as publisher:
        asking.start()
        for number in range(FLOOD):
            message = Message(line.topics.scores.name, CAMERAS[number % 2].encode(), b"no score", ())
            publisher.publish(message, lambda error: None)
        publisher.flush(timedelta(seconds=30))
        try:
            yield
        finally:
            done.set()
    asking.join()


def _ask_for_subscriptions(line: ObservedLine, done: threading.Event) -> None:
    order = {"name": "asked", "enabled": False, "channel": {"kind": "webhook", "url": line.endpoint.url}}
    while not done.wait(ASK_SECONDS):
        with suppress(AlertsUnavailable, AlertsRefused):
            line.client.post("subscriptions", body=order)


@contextmanager
def _chain_to_nobody(line: ObservedLine) -> Iterator[None]:
    """Escalate what opens from now on to a subscription that is switched off."""
    channel = {"kind": "webhook", "url": line.endpoint.url}
    order = {"name": "switched off", "enabled": False, "channel": channel}
    switched_off = line.client.post("subscriptions", body=order).body["id"]
    steps = [{"after": "1s", "subscription": switched_off}]
    line.client.post("escalation-chains", body={"name": "nobody", "filter": {}, "steps": steps})
    with _unplugged(line):
        yield


@contextmanager
def _open_transaction(line: ObservedLine) -> Iterator[None]:
    """Write to the frames in a transaction, and leave it open."""
    bootstrap = line.stack.addresses.kafka_bootstrap
    producer: Any = KafkaProducer(
        bootstrap_servers=bootstrap, transactional_id="stranger", transaction_timeout_ms=600_000
    )
    try:
        producer.init_transactions()
        producer.begin_transaction()
        for partition in range(2):
            producer.send(line.topics.frames.name, b"no picture", b"x", partition=partition)
        producer.flush(20)
        yield
    finally:
        producer.abort_transaction()
        producer.close()


@contextmanager
def _no_store(line: ObservedLine) -> Iterator[None]:
    """Put a file in the place of the folder of evidence."""
    folder = line.store / "evidence"
    away = folder.with_suffix(".away")
    folder.rename(away)
    folder.write_text("no folder", encoding="utf-8")
    try:
        yield
    finally:
        folder.unlink()
        away.rename(folder)


def _endpoint_answers(status: int) -> Act:
    @contextmanager
    def act(line: ObservedLine) -> Iterator[None]:
        line.endpoint.status = status
        try:
            yield
        finally:
            line.endpoint.status = 204

    return act


@contextmanager
def _both_scorers_killed(line: ObservedLine) -> Iterator[None]:
    with ExitStack() as again:
        for name in ("scorer-a", "scorer-b"):
            line.kill(name)
            again.callback(line.start, name)
        yield


@contextmanager
def _deleted_frames(line: ObservedLine) -> Iterator[None]:
    """Delete what the scorers have not read yet, while there are none."""
    with _both_scorers_killed(line):
        time.sleep(UNREAD_SECONDS)
        admin: Any = KafkaAdminClient(bootstrap_servers=line.stack.addresses.kafka_bootstrap)
        ends = line.broker.end_offsets([line.topics.frames.name])
        admin.delete_records({TopicPartition(one.topic, one.number): end for one, end in ends.items()})
        admin.close()
    yield


LINE_CAUSES = (
    Cause("the folder of a camera is renamed", _unplugged, frozenset({"SteadylineCameraDown"})),
    Cause(
        f"{FLOOD} records that are no frames on the topic of frames",
        _flood,
        frozenset({"SteadylineDeadLetters", "SteadylineDeadLetterStorm", "SteadylineFramesNotInspected"}),
    ),
    Cause(
        "SIGSTOP of Triton",
        _frozen("triton"),
        frozenset(
            {"SteadylineTritonAway", "SteadylineNoScores", "SteadylineNoScorerReady", "SteadylineScoresLate",
             "SteadylineWatchFailing"}
        ),
    ),
    Cause("a stranger's transaction on the frames stays open", _open_transaction,
          frozenset({"SteadylineOpenTransaction"})),
    Cause("SIGSTOP of Redis", _frozen("redis"), frozenset({"SteadylineRedisAway", "SteadylineNobodyTrains"})),
    Cause("a file in the place of the store's folder", _no_store, frozenset({"SteadylineStoreAway"})),
    Cause("another process holds the lock of the database", lambda line: line.locked_database(),
          frozenset({"SteadylineDatabaseAway", "SteadylineDecisionsLate"})),
    Cause(f"the same, {FLOOD} scores that are none, and requests that write", _written_to_by_nobody,
          frozenset({"SteadylineAlertsBehind", "SteadylineApiFailing"})),
    Cause("an escalation to a subscription that is switched off", _chain_to_nobody,
          frozenset({"SteadylineEscalationGoesNowhere"})),
    Cause("the endpoint answers 503", _endpoint_answers(503),
          frozenset({"SteadylineDeliveriesFailing", "SteadylineHeartbeatStopped"})),
    Cause("SIGSTOP of the broker", _frozen("kafka"),
          frozenset({"SteadylineKafkaAway", "SteadylineSpoolGrowing", "SteadylineSpoolFull"})),
    Cause("kill -9 of both scorers", _both_scorers_killed,
          frozenset({"SteadylineProcessDown", "SteadylineServiceMissing", "SteadylineNoScores"})),
    Cause("frames are deleted before a scorer has read them", _deleted_frames,
          frozenset({"SteadylinePositionLost"})),
    Cause("the endpoint answers 410", _endpoint_answers(410), frozenset({"SteadylineDeliveriesDead"})),
)  # fmt: skip
