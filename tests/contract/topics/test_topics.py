"""The registry of topics: owners, keys, and limits that fit together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadyline.contracts.dead_letter import ADDED, ERROR_CHARACTERS
from steadyline.contracts.topics import MAX_FRAME_BYTES, Topic, Topics, line_topics

TOPICS = line_topics("plant", 12)


@pytest.mark.parametrize("topic", list(TOPICS), ids=lambda topic: topic.name)
def test_a_topic_has_writers_readers_and_a_key(topic: Topic) -> None:
    assert topic.writers
    assert topic.readers
    assert topic.key


def test_every_field_of_the_registry_is_a_topic_of_the_line() -> None:
    assert list(TOPICS) == list(TOPICS.by_field().values())
    assert TOPICS.by_field().keys() == Topics.__annotations__.keys()
    assert TOPICS.by_field()["camera_status"] is TOPICS.camera_status


def test_names_carry_the_prefix_and_a_version_and_differ() -> None:
    names = [topic.name for topic in TOPICS]
    assert len(set(names)) == len(names)
    assert all(name.startswith("plant.") and name.endswith(".v1") for name in names)


def test_what_follows_a_camera_has_the_same_partitions() -> None:
    counts = {topic.partitions for topic in (TOPICS.frames, TOPICS.scores, TOPICS.dead_letters)}
    assert counts == {12}


@given(st.integers(1, 512))
def test_small_topics_keep_one_partition_whatever_the_line_has(partitions: int) -> None:
    topics = line_topics("x", partitions)
    assert topics.frames.partitions == partitions
    assert {t.partitions for t in (topics.camera_status, topics.model_events, topics.model_commands)} == {1}


def test_a_dead_letter_holds_whatever_a_frame_held_and_outlives_it() -> None:
    assert TOPICS.dead_letters.max_message_bytes >= TOPICS.frames.max_message_bytes
    assert TOPICS.dead_letters.retention_ms > TOPICS.frames.retention_ms


def test_a_frame_of_the_largest_picture_and_its_dead_letter_fit_the_topic() -> None:
    largest_picture = 7 << 20  # the largest max_bytes a line file may set
    headers = 2000 + len("".join(ADDED)) + 4 * ERROR_CHARACTERS
    assert largest_picture + headers < MAX_FRAME_BYTES


def test_states_are_compacted_and_streams_are_deleted() -> None:
    compacted = {topic.name for topic in TOPICS if topic.clean_up == "compact"}
    assert compacted == {TOPICS.camera_status.name, TOPICS.model_events.name, TOPICS.feedback.name}
    assert all(topic.retention_ms > 0 for topic in TOPICS if topic.clean_up == "delete")


def test_settings_are_what_the_broker_is_told() -> None:
    assert TOPICS.frames.config == {
        "cleanup.policy": "delete",
        "retention.ms": "86400000",
        "max.message.bytes": str(MAX_FRAME_BYTES),
        "compression.type": "uncompressed",
        "message.timestamp.type": "LogAppendTime",
    }
