"""``docs/asyncapi.yaml``: the same contracts as one AsyncAPI 3.0 document, complete in itself."""

import json
from collections.abc import Iterator
from typing import Any

import yaml
from typing_extensions import override

from steadyline.contracts.catalogue import KINDS, MessageKind
from steadyline.contracts.dead_letter import DeadLetter
from steadyline.contracts.frame import Frame
from steadyline.contracts.topics import Topic
from steadyline.line import TopicSection
from steadyline.settings import KafkaSettings
from tools.docs.contracts import order_of
from tools.docs.markdown import prose
from tools.docs.messages import JSON_KINDS, examples_of, field_of, schema_name, topic_of
from tools.docs.schema import model_schema
from tools.docs.wire_headers import headers_of
from tools.packages import is_built
from tools.setup.command import ROOT

VERSION = "3.0.0"
BINDING = "0.5.0"  # of AsyncAPI's Kafka bindings
_SCHEMAS = "#/components/schemas/{model}"

Node = dict[str, Any]


def page() -> str:
    """Return the document as YAML; raises Undescribed."""
    text = yaml.dump(document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return f"# Made from the code by `make docs`. Change the code, not this file.\n{text}"


def document() -> Node:
    """Return the document."""
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Steadyline",
            "version": "1.0.0",
            "description": "Topics of one line. Every message is a CloudEvent 1.0 in binary mode: the value "
            "is the payload, the rest is in Kafka headers.",
        },
        "defaultContentType": "application/json",
        "servers": {"kafka": _server()},
        "channels": {field_of(kind): _channel(kind) for kind in KINDS},
        "operations": dict(_operations()),
        "components": {"messages": {kind.name: _message(kind) for kind in KINDS}, "schemas": _schemas()},
    }


def services_of(topic: Topic) -> Iterator[tuple[str, str]]:
    """Yield (service, action) of what is built: writers send, readers receive."""
    yield from ((writer, "send") for writer in topic.writers if is_built(writer))
    yield from ((reader, "receive") for reader in topic.readers if is_built(reader))


def _server() -> Node:
    field = KafkaSettings.model_fields["bootstrap_servers"]
    variable = {"default": field.default, "description": f"{field.description} KAFKA_BOOTSTRAP_SERVERS."}
    return {"host": "{bootstrap}", "protocol": "kafka", "variables": {"bootstrap": variable}}


def _channel(kind: MessageKind) -> Node:
    topic = topic_of(kind)
    prefix = TopicSection.model_fields["prefix"]
    address = topic.name.replace(f"{prefix.default}.", "{prefix}.", 1)
    configuration: Node = {"cleanup.policy": [topic.clean_up], "max.message.bytes": topic.max_message_bytes}
    if topic.clean_up == "delete":
        configuration["retention.ms"] = topic.retention_ms
    return {
        "address": address,
        "description": f"Key: {topic.key}. Order: {order_of(topic)}.",
        "parameters": {"prefix": {"default": prefix.default, "description": prefix.description}},
        "messages": {kind.name: {"$ref": f"#/components/messages/{kind.name}"}},
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": configuration,
                "bindingVersion": BINDING,
            }
        },
    }


def _operations() -> Iterator[tuple[str, Node]]:
    for kind in KINDS:
        for service, action in services_of(topic_of(kind)):
            yield (
                f"{service}-{action}-{kind.name}",
                {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{field_of(kind)}"},
                    "summary": f"{service} {'writes' if action == 'send' else 'reads'} {kind.name} messages.",
                    "tags": [{"name": service}],
                    "messages": [{"$ref": f"#/channels/{field_of(kind)}/messages/{kind.name}"}],
                },
            )


def _message(kind: MessageKind) -> Node:
    headers = headers_of(kind)
    model = kind.model or (Frame if kind.name == "frame" else DeadLetter)
    node: Node = {
        "name": kind.name,
        "title": model.__name__,
        "summary": prose(model.__doc__ or "").split("\n")[0],
        "contentType": _content_type(kind),
        "headers": {
            "type": "object",
            "required": [header.name for header in headers if header.required],
            "properties": {
                header.name: {**header.schema, "description": header.description} for header in headers
            },
        },
        "payload": _payload(kind),
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": topic_of(kind).key},
                "bindingVersion": BINDING,
            }
        },
    }
    if kind.model is not None:
        node["description"] = f"The value's JSON Schema of draft 2020-12: schemas/{schema_name(kind.name)}."
        node["examples"] = [
            {
                "name": example.name,
                "headers": example.headers,
                "payload": json.loads((ROOT / example.value).read_text(encoding="utf-8")),
            }
            for example in examples_of(kind.name)
        ]
    return node


def _content_type(kind: MessageKind) -> str:
    if kind.model is not None:
        return "application/json"
    return "image/*" if kind.name == "frame" else "application/octet-stream"


def _payload(kind: MessageKind) -> Node:
    if kind.model is not None:
        return {"$ref": _SCHEMAS.format(model=kind.model.__name__)}
    what = "The encoded picture." if kind.name == "frame" else "The refused bytes, untouched."
    return {"type": "string", "format": "binary", "description": what}


def _schemas() -> Node:
    """Return every model's schema in the dialect of AsyncAPI 3.0, which is draft 07's."""
    found: Node = {}
    for kind in JSON_KINDS:
        schema = model_schema(kind.model, _SCHEMAS)
        found |= schema.pop("$defs", {})
        found[kind.model.__name__] = schema
    return {name: _as_draft_07(found[name]) for name in sorted(found)}


def _as_draft_07(node: Any) -> Any:
    """Tuples are spelt otherwise there; nothing else that our schemas use is."""
    if isinstance(node, list):
        return [_as_draft_07(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _as_draft_07(value) for key, value in node.items()}
    if "prefixItems" in made:
        made["items"] = made.pop("prefixItems")
    return made


class _Dumper(yaml.SafeDumper):
    """Writes no anchors: a reader should not have to know YAML that well."""

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True
