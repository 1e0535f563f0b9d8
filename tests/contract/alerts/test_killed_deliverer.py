"""A process that delivers is killed again and again: nothing is lost, and each incident stays in order."""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from alerts.deliveries.deliverer import DelivererLimits
from steadyline.clock import SystemClock
from tests.packaging.rules import ROOT
from tests.support.alert_outbox import OutboxBench, an_alert, incident_of
from tests.support.eventually import eventually
from tests.support.webhook_receiver import WebhookReceiver, webhook_receiver

INCIDENTS, CHANGES = 12, 10


@contextmanager
def deliverer(file: Path, name: str) -> Iterator[None]:
    """Run a process that delivers, and kill it at the end of the block."""
    command = [sys.executable, "-m", "tests.support.deliverer_process", str(file), name]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def _has(receiver: WebhookReceiver, count: int) -> bool:
    return len(receiver.seen) >= count


def test_each_alert_arrives_in_order_however_often_the_process_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "alerts.db"
    outbox = OutboxBench.on_file(file, SystemClock())
    with webhook_receiver() as receiver, webhook_receiver() as other:
        outbox.subscribe(receiver.url)
        outbox.subscribe(other.url)
        outbox.write(
            [
                an_alert(incident=incident_of(number), sequence=sequence)
                for sequence in range(1, CHANGES + 1)
                for number in range(INCIDENTS)
            ]
        )
        for life in range(3):  # each dies with some deliveries under way and others not settled
            enough = len(receiver.seen) + 10
            with deliverer(file, f"life-{life}"):
                eventually(partial(_has, receiver, enough), within=120)
        with deliverer(file, "last"):
            eventually(lambda: "pending" not in outbox.states(), within=240)
    for one in (receiver, other):
        arrived = defaultdict[str, list[int]](list)
        for incident, sequence in one.changes():
            arrived[incident].append(sequence)
        assert len(arrived) == INCIDENTS
        for sequences in arrived.values():
            # A change that was taken and not settled comes a second time, before any later one.
            assert sequences == sorted(sequences)
            assert set(sequences) == set(range(1, CHANGES + 1))
        twice = len(one.seen) - len(set(one.ids()))
        assert twice <= 3 * DelivererLimits().per_endpoint, (
            "more twice than were under way when a process was killed"
        )
