"""The causes of alerts about the service that alerts, made for real."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from bench.watching.cause import Act, Cause, named
from bench.watching.causes_of_frames import FLOOD, publish_nonsense, unplugged
from bench.watching.line import STARTED_WITHIN, ObservedLine
from steadyline.ops.alerts_client import AlertsRefused, AlertsUnavailable

ASK_SECONDS = 0.5
LOOK_SECONDS = 0.01  # the alerts take some tenths of a second from their rules to their tasks


@contextmanager
def _written_to_by_nobody(line: ObservedLine) -> Iterator[None]:
    """Hold the lock of the database, put scores that are none before the alerts, and ask the API to write."""
    done = threading.Event()
    asking = threading.Thread(target=_ask_for_subscriptions, args=(line, done), name="asking", daemon=True)
    with line.locked_database():
        asking.start()
        publish_nonsense(line, line.topics.scores.name)
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
def _locked_at_the_start(line: ObservedLine) -> Iterator[None]:
    """Take the lock of the database when the alerts that start have noted their rules there.

    What is old they look for at their start, a moment later, and then only every ten minutes.
    """
    with closing(sqlite3.connect(f"file:{line.database}?mode=ro", uri=True)) as reader:
        before = _rules_noted(reader)
        line.restart("alerts")
        end = time.monotonic() + STARTED_WITHIN
        while _rules_noted(reader) == before and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
    with line.locked_database():
        yield


def _rules_noted(reader: sqlite3.Connection) -> object:
    return reader.execute("SELECT max(last_at) FROM rule_versions").fetchone()


@contextmanager
def _chain_to_nobody(line: ObservedLine) -> Iterator[None]:
    """Escalate what opens from now on to a subscription that is switched off."""
    channel = {"kind": "webhook", "url": line.endpoint.url}
    order = {"name": "switched off", "enabled": False, "channel": channel}
    switched_off = line.client.post("subscriptions", body=order).body["subscription"]["id"]
    steps = [{"after": "1s", "subscription": switched_off}]
    order = {"name": "nobody", "filter": {}, "steps": steps}
    chain = line.client.post("escalation-chains", body=order)
    try:
        with unplugged(line):
            yield
    finally:
        line.client.delete("escalation-chains", chain.body["id"], If_Match=chain.etag or "")


def _endpoint_answers(status: int) -> Act:
    @contextmanager
    def act(line: ObservedLine) -> Iterator[None]:
        line.endpoint.status = status
        try:
            yield
        finally:
            line.endpoint.status = 204

    return act


ALERTING_CAUSES = (
    Cause(
        "another process holds the lock of the database",
        lambda line: line.locked_database(),
        named("DatabaseAway"),
        afterwards=named("DecisionsLate", "DecisionsLateForLong"),
    ),
    Cause(
        f"the same, {FLOOD} scores that are none, and requests that write",
        _written_to_by_nobody,
        named("AlertsBehind", "ApiFailing"),
    ),
    Cause(
        "another process takes the lock of the database while the alerts start",
        _locked_at_the_start,
        named("RetentionFailing"),
    ),
    Cause(
        "an escalation to a subscription that is switched off",
        _chain_to_nobody,
        named("EscalationGoesNowhere"),
    ),
    Cause(
        "the endpoint answers 503",
        _endpoint_answers(503),
        named("DeliveriesFailing", "HeartbeatStopped"),
        afterwards=named("DeliveriesLate", "DeliveriesLateForLong"),
    ),
    Cause("the endpoint answers 410", _endpoint_answers(410), named("DeliveriesDead")),
)
