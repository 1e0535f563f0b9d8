"""What every client is made with."""

from steadyline.kafka.connection import client_options
from steadyline.settings import KafkaSettings


def test_a_broker_that_comes_back_is_tried_again_within_a_second_or_two() -> None:
    options = client_options(KafkaSettings(), "test")
    assert options["reconnect_backoff_max_ms"] <= 1_000  # the client's own 30 s: measured, 22 to 28 s lost
