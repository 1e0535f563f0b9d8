"""A client that cannot be made leaves nothing behind, however often it is tried again."""

import gc
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaTimeoutError

from steadyline.kafka.client.private_net import opened
from steadyline.servers.ports import free_ports
from tests.support.eventually import eventually


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
