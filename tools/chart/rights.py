"""The rights of the services, as the chart's KafkaUsers carry them."""

from typing import Any

from steadyline.contracts.topics import line_topics
from steadyline.kafka.acl_forms import as_json
from steadyline.kafka.acls import LineNames, line_rights

# Stands for the prefix of a line, which is known to the chart only; no line can be called so by chance.
PREFIX = "prefix-of-the-line"


def rights_of_services() -> dict[str, Any]:
    """Return service → the ``authorization`` of its KafkaUser, for a line whose prefix is ``PREFIX``."""
    rights = line_rights(line_topics(PREFIX, 8), LineNames(PREFIX, {}, {}))
    return {item["service"]: item["authorization"] for item in as_json(rights)}
