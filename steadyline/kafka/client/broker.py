"""The broker behind our protocols: Apache Kafka through kafka-python."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic, OffsetSpec
from kafka.errors import (
    CoordinatorNotAvailableError,
    InvalidReplicationFactorError,
    KafkaError,
    NodeNotReadyError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from steadyline.contracts.topics import MAKE_TOPICS, Topic
from steadyline.errors import ContractBroken, InvalidConfiguration
from steadyline.kafka.broker import Follower, Partition, Publisher, Reader, Worker
from steadyline.kafka.client.connection import REQUEST_MS, client_options, printed_topic_id, translated
from steadyline.kafka.client.follower import KafkaFollower
from steadyline.kafka.client.private_net import opened
from steadyline.kafka.client.publisher import KafkaPublisher
from steadyline.kafka.client.reader import KafkaReader
from steadyline.kafka.client.worker import KafkaWorker
from steadyline.settings import KafkaSettings

T = TypeVar("T")


class KafkaBroker:
    """Implements ``Broker``; it connects when first used, and is thread-safe."""

    def __init__(self, settings: KafkaSettings, client: str) -> None:
        self._settings, self._client = settings, client
        self._lock = threading.Lock()
        self._admin: KafkaAdminClient | None = None

    def worker(self, group: str, instance: str, topics: Sequence[str]) -> Worker:
        return KafkaWorker(self._settings, group, instance, topics)

    def publisher(
        self, client: str, bytes_in_flight: int = 32 << 20, patience: timedelta = timedelta(seconds=30)
    ) -> Publisher:
        return KafkaPublisher(self._settings, client, bytes_in_flight, patience)

    def reader(self, client: str) -> Reader:
        return KafkaReader(self._settings, client, self.end_offsets)

    def follower(
        self, client: str, topics: Sequence[str], start: Mapping[Partition, int] | None = None
    ) -> Follower:
        return KafkaFollower(self._settings, client, partial(self.end_offsets, list(topics)), start or {})

    def create_topics(self, topics: Sequence[Topic]) -> list[str]:
        existing = self.describe_topics([topic.name for topic in topics])
        missing = [topic for topic in topics if topic.name not in existing]
        for topic in missing:
            factor = topic.replication.factor or -1
            new = NewTopic(topic.name, topic.partitions, factor, topic_configs=topic.config)
            self._ask(f"creating {topic.name}", partial(_create, topic=new))
        return [topic.name for topic in missing]

    def mend_topics(self, topics: Sequence[Topic]) -> list[str]:
        wanting = self._wanting(topics)
        for topic, wrong, has_fewer in wanting:
            if wrong:
                resource = ConfigResource(ConfigResourceType.TOPIC, topic.name, wrong)
                self._ask(f"setting {topic.name}", partial(_set, resource=resource))
            if has_fewer:
                self._ask(f"growing {topic.name}", partial(_grow, topic=topic))
        changed = [topic for topic, _, _ in wanting]
        end = time.monotonic() + REQUEST_MS / 1000
        while self._wanting(changed) and time.monotonic() < end:
            time.sleep(0.05)  # brokers tell of a change a moment after their controller has made it
        return [topic.name for topic in changed]

    def topic_ids(self, names: Sequence[str]) -> dict[str, str]:
        return {item["name"]: printed_topic_id(item["topic_id"]) for item in self._existing(names)}

    def describe_topics(self, names: Sequence[str]) -> dict[str, tuple[int, dict[str, str]]]:
        counts = {item["name"]: len(item["partitions"]) for item in self._existing(names)}
        if not counts:
            return {}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in counts]
        configs = self._ask(
            "describing topics", lambda admin: admin.describe_configs(resources, config_filter="all")
        )
        return {name: (count, _settings_of(configs, name)) for name, count in counts.items()}

    def version(self) -> tuple[int, ...]:
        told = self._ask("asking for the version", _version)
        return tuple(told)

    def replicas(self, names: Sequence[str]) -> dict[str, int]:
        return {
            item["name"]: min(len(partition["replica_nodes"]) for partition in item["partitions"])
            for item in self._existing(names)
        }

    def end_offsets(self, topics: Sequence[str]) -> dict[Partition, int]:
        return self._offsets(topics, OffsetSpec.LATEST)

    def start_offsets(self, topics: Sequence[str]) -> dict[Partition, int]:
        return self._offsets(topics, OffsetSpec.EARLIEST)

    def committed_offsets(self, group: str) -> dict[Partition, int]:
        answer = self._ask("asking for committed offsets", lambda admin: _group_offsets(admin, group))
        found = answer.get(group, {})
        return {Partition(item.topic, item.partition): value.offset for item, value in found.items()}

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _wanting(self, topics: Sequence[Topic]) -> list[tuple[Topic, dict[str, str], bool]]:
        """Return the topics that are not as they must be, their wrong settings, and True to grow."""
        found, wanting = self.describe_topics([topic.name for topic in topics]), []
        for topic in topics:
            partitions, settings = found.get(topic.name, (topic.partitions, topic.config))
            wrong = {name: value for name, value in topic.config.items() if settings.get(name) != value}
            if wrong or partitions < topic.partitions:
                wanting.append((topic, wrong, partitions < topic.partitions))
        return wanting

    def _existing(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return what the broker's metadata says of those of the topics that exist, in the order asked.

        Raises NotAllowed when it does not tell whether one exists.
        """
        described = self._ask("describing topics", partial(_described, names=list(names)))
        by_name = {item["name"]: item for item in described}
        return [by_name[name] for name in names if name in by_name]

    def _offsets(self, topics: Sequence[str], which: int) -> dict[Partition, int]:
        counts = self._partition_counts(topics)
        wanted = {TopicPartition(topic, number): which for topic in topics for number in range(counts[topic])}
        found = self._ask("asking for offsets", lambda admin: admin.list_partition_offsets(wanted))
        return {Partition(item.topic, item.partition): value.offset for item, value in found.items()}

    def _partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        """Return topic → number of partitions; raises ContractBroken when a topic is missing."""
        counts = {item["name"]: len(item["partitions"]) for item in self._existing(topics)}
        for topic in topics:
            if topic not in counts:
                raise ContractBroken(f"topic {topic} is missing: {MAKE_TOPICS}")
        return counts

    def _ask(self, doing: str, call: Callable[[Any], T]) -> T:
        """Run one administrative call; after a failure the next call makes a new client.

        Defect: after an outage a client that was kept sends nothing for up to a second, though the broker is
        back, and says that there is no node. Nothing was sent then, so that a new client may ask at once.
        """
        with self._lock:
            was_kept = self._admin is not None
            try:
                try:
                    return call(self._opened())
                except NodeNotReadyError:
                    self._drop()
                    if not was_kept:
                        raise
                    return call(self._opened())
            except KafkaError as error:
                self._drop()
                raise translated(error, doing) from error

    def _opened(self) -> KafkaAdminClient:
        if self._admin is None:
            options = client_options(self._settings, self._client)
            self._admin = opened(KafkaAdminClient, **options, request_timeout_ms=REQUEST_MS)
        return self._admin

    def _drop(self) -> None:
        if self._admin is not None:
            self._admin.close()
        self._admin = None


def _described(admin: Any, names: list[str]) -> list[dict[str, Any]]:
    """Return what is said of the topics that exist; asked for all of them, Kafka hides those that one may not
    see.
    """
    found = admin.describe_topics(names)
    hidden = [item["name"] for item in found if item["error_code"] == TopicAuthorizationFailedError.errno]
    if hidden:
        raise TopicAuthorizationFailedError(", ".join(hidden))
    return [item for item in found if item["error_code"] != UnknownTopicOrPartitionError.errno]


def _version(admin: Any) -> Any:
    brokers = [item["broker_id"] for item in admin.describe_cluster()["brokers"]]
    return max(admin.get_broker_version_data(number).broker_version for number in brokers)


def _group_offsets(admin: Any, group: str) -> Any:
    try:
        return admin.list_group_offsets(group)
    except CoordinatorNotAvailableError:
        return {}  # no group has ever been on this broker


def _create(admin: Any, topic: NewTopic) -> None:
    try:
        admin.create_topics([topic], timeout_ms=REQUEST_MS, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        return  # another process was faster
    except InvalidReplicationFactorError as error:
        raise InvalidConfiguration(
            f"creating {topic.name}: topics.replication_factor of the line file is "
            f"{topic.replication_factor}, and Kafka has fewer brokers that run: {error}"
        ) from error


def _set(admin: Any, resource: ConfigResource) -> None:
    admin.alter_configs([resource])


def _grow(admin: Any, topic: Topic) -> None:
    admin.create_partitions({topic.name: topic.partitions}, timeout_ms=REQUEST_MS)


def _settings_of(configs: Any, name: str) -> dict[str, str]:
    found = configs.get("topic", {}).get(name, {})
    return {key: str(item["value"]) for key, item in found.items()}
