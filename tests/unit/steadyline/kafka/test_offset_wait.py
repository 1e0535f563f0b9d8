"""A group's offset that the broker does not tell is said after a while, and no longer once it is known."""

from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from steadyline.kafka.guards.offset_wait import LONG, OffsetWait

FRAMES = TopicPartition("t.frames.v1", 3)
LATER = LONG.total_seconds()


def test_an_offset_that_is_not_told_is_trouble_after_a_while_and_until_it_is_told() -> None:
    wait = OffsetWait()
    assert wait.trouble(0.0) is None
    wait.failed(FRAMES, KafkaTimeoutError("no answer"), 100.0)
    assert wait.trouble(100.0 + LATER - 1) is None
    wait.failed(FRAMES, KafkaTimeoutError("no answer"), 100.0 + LATER - 1)
    told = str(wait.trouble(100.0 + LATER))
    assert "t.frames.v1 3" in told
    assert "no answer" in told
    assert "find-hanging" in told
    wait.succeeded()
    assert wait.trouble(1e9) is None
    wait.failed(FRAMES, KafkaTimeoutError("again"), 2e9)
    assert wait.trouble(2e9 + 1) is None
