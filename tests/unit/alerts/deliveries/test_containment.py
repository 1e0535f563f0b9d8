"""A fault of ours in one delivery stays with it."""

from pathlib import Path
from typing import NoReturn

import pytest
from structlog.testing import capture_logs

from alerts.deliveries.channels.mqtt_connection import MqttConnection
from alerts.deliveries.parcel import Parcel
from alerts.deliveries.sample import SampleDelivery
from alerts.subscriptions.channel import AlertmanagerChannel, MqttChannel
from steadyline.clock import ManualClock
from tests.support.alert_outbox import DelivererBench, OutboxBench, an_alert
from tests.support.eventually import eventually
from tests.support.incidents import DAY
from tests.support.webhook_receiver import webhook_receiver


class StumblingSender:
    """Trips over whatever it is given."""

    def send(self, parcel: Parcel) -> NoReturn:
        raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")


def test_a_bug_in_one_channel_ends_no_process_and_holds_no_other_back(tmp_path: Path) -> None:
    outbox = OutboxBench.on_file(tmp_path / "alerts.db", ManualClock(DAY))
    with webhook_receiver() as receiver:
        stumbling, _ = outbox.subscribe(AlertmanagerChannel(url=receiver.url))
        outbox.subscribe(receiver.url)
        bench = DelivererBench(outbox)
        bench.senders["alertmanager"] = StumblingSender()
        outbox.write([an_alert()])
        bench.turn_until(lambda: sorted(outbox.states()) == ["delivered", "pending"])
        assert len(receiver.seen) == 1
        bench.turn_until(lambda: "sender_faulty" in {row.last_reason for row in outbox.deliveries()})
        sample = SampleDelivery(outbox.database, bench.senders, outbox.clock).send_sample(stumbling.id)
        assert (sample.is_delivered, sample.reason) == (False, "sender_faulty")


def test_a_bug_in_the_task_that_keeps_states_ends_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(connection: MqttConnection, end: float) -> NoReturn:
        raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")

    monkeypatch.setattr(MqttConnection, "connect", stumble)
    outbox = OutboxBench.on_file(tmp_path / "alerts.db", ManualClock(DAY))
    outbox.subscribe(MqttChannel(url="mqtt://127.0.0.1:9"))
    bench = DelivererBench(outbox)
    with capture_logs() as logs:

        def said() -> bool:
            bench.keeper.turn()
            return any(one["event"] == "bug" for one in logs)

        eventually(said, within=20)
    assert any(one.get("reason") == "sender_faulty" for one in logs)
