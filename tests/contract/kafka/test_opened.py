"""A client that cannot be made leaves nothing behind; one that outlives its broker asks when it is back."""

import gc
import os
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaTimeoutError, NodeNotReadyError

from steadyline.contracts.topics import line_topics
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.client.private_net import opened
from steadyline.servers.ports import free_ports
from steadyline.settings import KafkaSettings
from tests.support.eventually import eventually
from tests.support.servers import OwnStack


def held() -> tuple[int, int]:
    """Return how many threads of clients and open files this process has."""
    gc.collect()
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("kafka-io")]
    return len(threads), len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("kind", [KafkaAdminClient, KafkaConsumer, KafkaProducer])
def test_an_attempt_without_a_broker_leaves_no_thread_and_no_socket(
    kind: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "kafka")  # a line of the log that is kept keeps the socket it tells of
    (port,) = free_ports(1)
    before = held()
    for _ in range(3):
        with pytest.raises(KafkaTimeoutError, match="ECONNREFUSED"):
            opened(kind, bootstrap_servers=f"127.0.0.1:{port}", bootstrap_timeout_ms=100)
    eventually(lambda: held() <= before, what=f"as before, {before}")


@pytest.mark.servers
def test_the_first_question_after_an_outage_is_answered(own_stack: OwnStack) -> None:
    stack = own_stack("kafka")
    topic = line_topics("t", 2).scores
    settings = KafkaSettings(bootstrap_servers=stack.addresses.kafka_bootstrap)
    with closing(KafkaBroker(settings, "test")) as broker:
        broker.create_topics([topic])
        kept: Any = broker._admin
        kept._manager.config["reconnect_backoff_max_ms"] = 60_000  # longer than the broker takes to start
        stack.kafka.kill9()
        for _ in range(12):
            for node in kept._manager.cluster.brokers():
                kept._manager.update_backoff(node.node_id)
        stack.kafka.restart()
        with pytest.raises(NodeNotReadyError):
            kept.describe_topics([topic.name])
        assert len(broker.end_offsets([topic.name])) == 2
