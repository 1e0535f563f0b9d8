"""The rights of a line in the forms that others read: Strimzi's resources, Kafka's own command, JSON."""

import json
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from steadyline.kafka.acls import Acl, ServiceRights

_PROGRAM = '"${KAFKA_ACLS:-kafka-acls.sh}"'  # packages of Kafka call it kafka-acls
_FLAGS = {"topic": "--topic", "group": "--group", "transactionalId": "--transactional-id"}


def as_json(rights: Sequence[ServiceRights]) -> list[dict[str, Any]]:
    """Return service, principal and rights as JSON values, the rights as Strimzi writes them."""
    return [
        {"service": item.service, "principal": item.principal, "authorization": _authorization(item)}
        for item in rights
    ]


def as_text(rights: Sequence[ServiceRights]) -> Iterator[str]:
    """Yield lines for people."""
    for item in rights:
        yield f"{item.service} ({item.principal})"
        for acl in item.acls:
            many = "*" if acl.pattern == "prefix" else ""
            yield f"  {acl.resource} {acl.name}{many}: {', '.join(acl.operations)}"


def as_commands(rights: Sequence[ServiceRights]) -> Iterator[str]:
    """Yield one call of ``kafka-acls.sh`` for each right; ``KAFKA_ACLS`` says what it is called here."""
    connect = '--bootstrap-server "$KAFKA_BOOTSTRAP_SERVERS" --command-config "$ADMIN_PROPERTIES"'
    for item in rights:
        for acl in item.acls:
            operations = " ".join(f"--operation {operation}" for operation in acl.operations)
            principal = shlex.quote(item.principal)
            yield f"{_PROGRAM} {connect} --add --allow-principal {principal} {operations} {_where(acl)}"


def as_strimzi(rights: Sequence[ServiceRights]) -> Iterator[str]:
    """Yield YAML: service → the ``authorization`` of its KafkaUser, one right a line."""
    for item in rights:
        whole = _authorization(item)
        yield f"{item.service}:"
        yield f"  type: {whole['type']}"
        yield "  acls:"
        for acl in whole["acls"]:
            yield f"    - {json.dumps(acl)}"  # JSON is YAML, and needs no thought about quotes


def _authorization(item: ServiceRights) -> dict[str, Any]:
    return {"type": "simple", "acls": [_strimzi(acl) for acl in item.acls]}


def _strimzi(acl: Acl) -> dict[str, Any]:
    resource: dict[str, str] = {"type": acl.resource}
    if acl.resource != "cluster":  # of which there is one
        resource |= {"name": acl.name, "patternType": acl.pattern}
    return {"resource": resource, "operations": list(acl.operations)}


def _where(acl: Acl) -> str:
    if acl.resource == "cluster":
        return "--cluster"
    prefixed = " --resource-pattern-type prefixed" if acl.pattern == "prefix" else ""
    return f"{_FLAGS[acl.resource]} {shlex.quote(acl.name)}{prefixed}"
