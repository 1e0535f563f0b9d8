"""Who may do what on Kafka: the rights that each service of a line needs, made from the topic registry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from steadyline.contracts.topics import Topics, doctor_topic, shadowed_prefix
from steadyline.errors import InvalidConfiguration

Resource = Literal["topic", "group", "transactionalId", "cluster"]
Pattern = Literal["literal", "prefix"]
Operation = Literal[
    "Read",
    "Write",
    "Describe",
    "DescribeConfigs",
    "Create",
    "Alter",
    "AlterConfigs",
    "Delete",
    "IdempotentWrite",
]

WORKERS = ("scorer", "alerts")  # they share their work as groups, and write in transactions
OPERATOR = "steadyline"  # the command-line tools of whoever runs the line
BACKUP = "backup"  # the user of `steadyline backup` and `restore`, which the running line does not need
COMPARES = ("producers", "scorer", "alerts", OPERATOR)  # they compare the settings of topics at their start
MEASURES_SCORERS = ("alerts", OPERATOR)  # whoever compares what the scorers have committed with the topics
_RESTORES: tuple[Operation, ...] = (
    *("Describe", "DescribeConfigs", "Read", "Write", "Create", "Alter", "AlterConfigs"),
    "Delete",  # of records, where a topic begins late
)
INTERNAL = ("__consumer_offsets", "__transaction_state")  # the doctor counts their replicas


@dataclass(frozen=True, slots=True)
class Acl:
    """What a service may do with a resource; with the pattern ``prefix``, with all that begin so."""

    resource: Resource
    name: str
    pattern: Pattern
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class ServiceRights:
    """All that the user of one service may do; whatever is not in it, Kafka refuses."""

    service: str
    principal: str
    acls: tuple[Acl, ...]


@dataclass(frozen=True, slots=True)
class LineNames:
    """What a line calls its groups and users, where it is not as usual: service → group, and → principal."""

    prefix: str
    groups: Mapping[str, str]
    users: Mapping[str, str]

    def group(self, service: str) -> str:
        """Return the consumer group of a service."""
        return self.groups.get(service, f"{self.prefix}.{service}")

    def principal(self, service: str) -> str:
        """Return the user as Kafka names it."""
        return self.users.get(service, f"User:{self.prefix}-{service}")


def services_of(topics: Topics) -> tuple[str, ...]:
    """Return every service that writes or reads a topic, in the order of the registry."""
    return tuple(dict.fromkeys(name for topic in topics for name in (*topic.writers, *topic.readers)))


def line_rights(topics: Topics, names: LineNames) -> list[ServiceRights]:
    """Return what each service of a line may do.

    Raises InvalidConfiguration for a service that does not exist, and for a prefix with which this line would
    have rights over another one.
    """
    services = services_of(topics)
    _check_names(names, services)
    return [
        ServiceRights(service, names.principal(service), tuple(_rights(topics, names, service)))
        for service in services
    ]


def backup_rights(topics: Topics, names: LineNames) -> ServiceRights:
    """Return what the user may do who backs the line up and restores it: everything with its topics.

    Raises InvalidConfiguration as ``line_rights`` does.
    """
    _check_names(names, services_of(topics))
    found = [Acl("topic", topic.name, "literal", _RESTORES) for topic in topics]
    found += [Acl("group", names.group(worker), "literal", ("Describe", "Read")) for worker in WORKERS]
    found.append(Acl("transactionalId", restoring_id(names.prefix), "literal", ("Describe", "Write")))
    found.append(Acl("cluster", "kafka-cluster", "literal", ("IdempotentWrite",)))
    return ServiceRights(BACKUP, names.principal(BACKUP), tuple(found))


def restoring_id(prefix: str) -> str:
    """Return the transactional id of a restoration: one at a time, and of no other line."""
    return f"{prefix}.{BACKUP}"


def _rights(topics: Topics, names: LineNames, service: str) -> Sequence[Acl]:
    found = [*_topic_rights(topics, names, service)]
    if service in WORKERS:
        group = names.group(service)
        found.append(Acl("group", group, "literal", ("Describe", "Read")))
        # The id of a transaction is that of the group and of the process, see ``KafkaWorker``.
        found.append(Acl("transactionalId", f"{group}.", "prefix", ("Describe", "Write")))
    if service in MEASURES_SCORERS:
        found.append(Acl("group", names.group("scorer"), "literal", ("Describe",)))
    if any(service in topic.writers for topic in topics):
        # Kafka itself has asked for it up to 2.7; other authorizers still do.
        found.append(Acl("cluster", "kafka-cluster", "literal", ("IdempotentWrite",)))
    return found


def _topic_rights(topics: Topics, names: LineNames, service: str) -> Sequence[Acl]:
    looks: tuple[Operation, ...] = ("Describe", "DescribeConfigs") if service in COMPARES else ("Describe",)
    makes: tuple[Operation, ...] = ("Create", "Alter", "AlterConfigs") if service == OPERATOR else ()
    found = []
    for topic in topics:
        uses: list[Operation] = []
        if service in topic.readers:
            uses.append("Read")
        if service in topic.writers:
            uses.append("Write")
        if uses or makes:
            found.append(Acl("topic", topic.name, "literal", (*looks, *uses, *makes)))
    if service == OPERATOR:
        own: tuple[Operation, ...] = (*looks, "Read", "Write", "Create")
        found.append(Acl("topic", doctor_topic(names.prefix), "literal", own))
        found += [Acl("topic", name, "literal", ("Describe",)) for name in INTERNAL]
    return found


def _check_names(names: LineNames, services: Sequence[str]) -> None:
    users = (*services, BACKUP)
    for option, given, known in (("--user", names.users, users), ("--group", names.groups, WORKERS)):
        for service in given:
            if service not in known:
                raise InvalidConfiguration(f"{option} {service}=…: there are {', '.join(known)}")
    for service, group in names.groups.items():
        if group == "*" or f"{names.prefix}.".startswith(f"{group}."):
            raise InvalidConfiguration(
                f"--group {service}={group}: its transactional ids would begin as those of every part of the "
                f"line {names.prefix}, or of other lines: choose a group that begins with {names.prefix}."
            )
    if (problem := shadowed_prefix(names.prefix)) is not None:
        raise InvalidConfiguration(f"topics.prefix {names.prefix}: {problem}")
