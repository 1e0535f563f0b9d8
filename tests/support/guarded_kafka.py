"""A real broker that asks who comes and refuses what no right allows, and strangers' requests to it.

By its guarded door every client needs a user and rights; who comes by the plain one is its administrator.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka.admin._acls import ACLResourcePatternType
from kafka.protocol.admin import (
    CreateAclsRequest,
    CreateTopicsRequest,
    DeleteGroupsRequest,
    DeleteRecordsRequest,
    DeleteTopicsRequest,
    DescribeGroupsRequest,
    IncrementalAlterConfigsRequest,
)
from kafka.protocol.consumer import FetchRequest, JoinGroupRequest, ListOffsetsRequest, OffsetCommitRequest
from kafka.protocol.producer import InitProducerIdRequest, ProduceRequest

from steadyline.servers.kafka import KafkaFiles
from steadyline.servers.ports import KeptPorts, free_ports
from steadyline.servers.process import ServerProcess

PASSWORD = "of-a-test"
MECHANISM = "SCRAM-SHA-512"  # the one kind of login that is taken without encryption
TOPIC_REFUSED, GROUP_REFUSED, CLUSTER_REFUSED, TRANSACTION_REFUSED = 29, 30, 31, 53
REFUSALS = (TOPIC_REFUSED, GROUP_REFUSED, CLUSTER_REFUSED, TRANSACTION_REFUSED)
_RESOURCES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "cluster": ResourceType.CLUSTER,
    "transactionalId": ResourceType.TRANSACTIONAL_ID,
}
_OPERATIONS = {item.name.replace("_", "").lower(): item for item in ACLOperation}
_PATTERNS = {"literal": ACLResourcePatternType.LITERAL, "prefix": ACLResourcePatternType.PREFIXED}


@dataclass(frozen=True, slots=True)
class GuardedKafka:
    """Where both doors are."""

    administrators: str
    guarded: str

    def user(self, name: str) -> dict[str, str]:
        """Return the environment of a process that comes by the guarded door as this user."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.guarded,
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_MECHANISM": MECHANISM,
            "KAFKA_SASL_USERNAME": name,
            "KAFKA_SASL_PASSWORD": PASSWORD,
        }

    def allow(self, rights: Sequence[Mapping[str, Any]]) -> None:
        """Give the rights that ``steadyline topics acls --json`` prints."""
        found = [acl for item in rights for acl in _acls(item)]
        with closing(KafkaAdminClient(bootstrap_servers=self.administrators)) as admin:
            assert admin.create_acls(found)["failed"] == []

    def take(self, name: str) -> None:
        """Take every right of a user away; its connections stay open."""
        everything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
        of_user = ACLFilter(
            principal=f"User:{name}",
            host="*",
            operation=ACLOperation.ANY,
            permission_type=ACLPermissionType.ANY,
            resource_pattern=everything,
        )
        with closing(KafkaAdminClient(bootstrap_servers=self.administrators)) as admin:
            admin.delete_acls([of_user])

    def know(self, names: Sequence[str]) -> None:
        """Let users log in, by the password of the tests."""
        kind = ScramMechanism.SCRAM_SHA_512
        with closing(KafkaAdminClient(bootstrap_servers=self.administrators)) as admin:
            admin.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(name, kind, PASSWORD) for name in names]
            )

    def delete(self, names: Sequence[str]) -> None:
        """Delete users; their rights stay, and connections that are open until they have to log in again."""
        kind = ScramMechanism.SCRAM_SHA_512
        with closing(KafkaAdminClient(bootstrap_servers=self.administrators)) as admin:
            admin.alter_user_scram_credentials([UserScramCredentialDeletion(name, kind) for name in names])

    @contextmanager
    def stranger(self, name: str) -> Iterator["Stranger"]:
        """Yield a client that comes as this user, and sends what no client of ours would."""
        made: Any = KafkaAdminClient
        admin = made(
            bootstrap_servers=self.guarded,
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism=MECHANISM,
            sasl_plain_username=name,
            sasl_plain_password=PASSWORD,
        )
        with closing(admin):
            yield Stranger(admin)


@contextmanager
def guarded_kafka(
    home: Path, jars: Path, users: Sequence[str], login_seconds: int = 0
) -> Iterator[GuardedKafka]:
    """Run a broker with these users, none of whom has a right yet.

    An open connection has to log in again after ``login_seconds``; with 0, Kafka's default, never.
    """
    plain, controller = KeptPorts(home / "kafka" / "ports", 2).numbers
    [guarded] = free_ports(1)
    settings = {
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},"
        f"GUARDED://127.0.0.1:{guarded}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain},GUARDED://127.0.0.1:{guarded}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,GUARDED:SASL_PLAINTEXT",
        "listener.name.guarded.sasl.enabled.mechanisms": MECHANISM,
        "listener.name.guarded.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram."
        "ScramLoginModule required;",
        "listener.name.guarded.scram-sha-512.connections.max.reauth.ms": str(login_seconds * 1000),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    files = KafkaFiles(home, jars, (), settings)
    server = ServerProcess(files.launch(), home)
    server.start()
    try:
        made = GuardedKafka(files.bootstrap, f"127.0.0.1:{guarded}")
        made.know(users)
        yield made
    finally:
        server.stop()


class Stranger:
    """One user's requests as they go over the wire; each returns the codes that the broker answers with."""

    def __init__(self, admin: Any) -> None:
        self._manager = admin._manager

    def write(self, topics: Sequence[str]) -> dict[str, int]:
        """Write to each topic; a write that is allowed fails too, for it holds no record."""
        Data = ProduceRequest.TopicProduceData
        parts = [Data.PartitionProduceData(index=0, records=b"")]
        data = [Data(name=name, partition_data=parts) for name in topics]
        asked = ProduceRequest(
            transactional_id=None, acks=-1, timeout_ms=5_000, topic_data=data, max_version=8
        )
        answer = self._ask(asked)
        return {item.name: item.partition_responses[0].error_code for item in answer.responses}

    def read(self, topics: Sequence[str]) -> dict[str, int]:
        """Read the beginning of each topic."""
        Data = FetchRequest.FetchTopic
        part = Data.FetchPartition(
            partition=0,
            current_leader_epoch=-1,
            fetch_offset=0,
            last_fetched_epoch=-1,
            log_start_offset=-1,
            partition_max_bytes=1000,
        )
        asked = FetchRequest(
            replica_id=-1,
            max_wait_ms=0,
            min_bytes=0,
            max_bytes=1_000_000,
            isolation_level=0,
            session_id=0,
            session_epoch=-1,
            topics=[Data(topic=name, partitions=[part]) for name in topics],
            forgotten_topics_data=[],
            rack_id="",
            max_version=11,
        )
        answer = self._ask(asked)
        return {item.topic: item.partitions[0].error_code for item in answer.responses}

    def look(self, topics: Sequence[str]) -> dict[str, int]:
        """Ask for the end of each topic."""
        Data = ListOffsetsRequest.ListOffsetsTopic
        part = Data.ListOffsetsPartition(partition_index=0, current_leader_epoch=-1, timestamp=-1)
        asked = ListOffsetsRequest(
            replica_id=-1,
            isolation_level=0,
            topics=[Data(name=name, partitions=[part]) for name in topics],
            max_version=5,
        )
        return {item.name: item.partitions[0].error_code for item in self._ask(asked).topics}

    def change(self, topics: Sequence[str]) -> dict[str, int]:
        """Change a setting of each topic, only to see whether it would be done."""
        Data = IncrementalAlterConfigsRequest.AlterConfigsResource
        config = [Data.AlterableConfig(name="retention.bytes", config_operation=0, value="-1")]
        asked = IncrementalAlterConfigsRequest(
            resources=[Data(resource_type=2, resource_name=name, configs=config) for name in topics],
            validate_only=True,
        )
        return {item.resource_name: item.error_code for item in self._ask(asked).responses}

    def make(self, topics: Sequence[str]) -> dict[str, int]:
        """Make each topic, only to see whether it would be done."""
        Data = CreateTopicsRequest.CreatableTopic
        data = [
            Data(name=name, num_partitions=1, replication_factor=1, assignments=[], configs=[])
            for name in topics
        ]
        asked = CreateTopicsRequest(topics=data, timeout_ms=5_000, validate_only=True, max_version=6)
        return {item.name: item.error_code for item in self._ask(asked).topics}

    def delete(self, topics: Sequence[str]) -> dict[str, int]:
        """Delete each topic; only for whom nothing may be deleted."""
        asked = DeleteTopicsRequest(topic_names=list(topics), timeout_ms=5_000, max_version=5)
        return {item.name: item.error_code for item in self._ask(asked).responses}

    def empty(self, topics: Sequence[str]) -> dict[str, int]:
        """Delete the records of each topic; only for whom nothing may be deleted."""
        Data = DeleteRecordsRequest.DeleteRecordsTopic
        part = Data.DeleteRecordsPartition(partition_index=0, offset=-1)
        asked = DeleteRecordsRequest(
            topics=[Data(name=name, partitions=[part]) for name in topics], timeout_ms=5_000
        )
        return {item.name: item.partitions[0].error_code for item in self._ask(asked).topics}

    def join(self, groups: Sequence[str]) -> dict[str, int]:
        """Join each group; a join that is allowed is told to come again with an id, and has not happened."""
        protocol = JoinGroupRequest.JoinGroupRequestProtocol(name="range", metadata=b"")
        found = {}
        for group in groups:
            asked = JoinGroupRequest(
                group_id=group,
                session_timeout_ms=6_000,
                rebalance_timeout_ms=6_000,
                member_id="",
                group_instance_id=None,
                protocol_type="consumer",
                protocols=[protocol],
                max_version=5,
            )
            found[group] = self._ask(asked).error_code
        return found

    def commit(self, groups: Sequence[str], topic: str) -> dict[str, int]:
        """Commit an offset of a member that is none to each group."""
        Data = OffsetCommitRequest.OffsetCommitRequestTopic
        part = Data.OffsetCommitRequestPartition(
            partition_index=0, committed_offset=0, committed_leader_epoch=-1, committed_metadata=""
        )
        found = {}
        for group in groups:
            asked = OffsetCommitRequest(
                group_id=group,
                generation_id_or_member_epoch=77,
                member_id="stranger",
                group_instance_id=None,
                topics=[Data(name=topic, partitions=[part])],
                max_version=7,
            )
            found[group] = self._ask(asked).topics[0].partitions[0].error_code
        return found

    def describe(self, groups: Sequence[str]) -> dict[str, int]:
        """Ask who is in each group."""
        asked = DescribeGroupsRequest(groups=list(groups), include_authorized_operations=False, max_version=5)
        return {item.group_id: item.error_code for item in self._ask(asked).groups}

    def drop(self, groups: Sequence[str]) -> dict[str, int]:
        """Delete each group; only for whom nothing may be deleted."""
        asked = DeleteGroupsRequest(groups_names=list(groups))
        return {item.group_id: item.error_code for item in self._ask(asked).results}

    def fence(self, transactions: Sequence[str]) -> dict[str, int]:
        """Take each transactional id over from whoever has it."""
        return {name: self._producer(name) for name in transactions}

    def write_idempotently(self) -> int:
        """Ask for the id of an idempotent producer."""
        return self._producer(None)

    def rights(self, principal: str) -> int:
        """Give a user all rights over every topic."""
        Data = CreateAclsRequest.AclCreation
        creation = Data(
            resource_type=2,
            resource_name="*",
            resource_pattern_type=3,
            principal=principal,
            host="*",
            operation=2,
            permission_type=3,
        )
        return int(self._ask(CreateAclsRequest(creations=[creation])).results[0].error_code)

    def _producer(self, transaction: str | None) -> int:
        asked = InitProducerIdRequest(
            transactional_id=transaction,
            transaction_timeout_ms=10_000,
            producer_id=-1,
            producer_epoch=-1,
            max_version=4,
        )
        return int(self._ask(asked).error_code)

    def _ask(self, request: Any) -> Any:
        return self._manager.run(self._manager.send, request)


def _acls(item: Mapping[str, Any]) -> Iterator[ACL]:
    for acl in item["authorization"]["acls"]:
        place = acl["resource"]
        pattern = ResourcePattern(
            _RESOURCES[place["type"]],
            place.get("name", "kafka-cluster"),
            _PATTERNS[place.get("patternType", "literal")],
        )
        for operation in acl["operations"]:
            known = _OPERATIONS[operation.lower()]
            yield ACL(item["principal"], "*", known, ACLPermissionType.ALLOW, pattern)
