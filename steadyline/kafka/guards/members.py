"""Who belongs to a consumer group at this moment."""

from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from steadyline.kafka.client.connection import REQUEST_MS, client_options, translated
from steadyline.kafka.client.private_net import opened
from steadyline.settings import KafkaSettings


def group_members(settings: KafkaSettings, client: str, group: str) -> frozenset[str]:
    """Return the ids of a group's members; raises BrokerUnavailable or Fatal."""
    admin: Any = None
    try:
        options = client_options(settings, client)
        admin = opened(KafkaAdminClient, **options, request_timeout_ms=REQUEST_MS)
        described = admin.describe_groups([group])[group]
    except KafkaError as error:
        raise translated(error, f"asking for the members of {group}") from error
    finally:
        if admin is not None:
            admin.close()
    return frozenset(member["member_id"] for member in described["members"])
