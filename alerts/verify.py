"""Check what the service needs before it begins."""

from steadyline.contracts.topics import MAKE_TOPICS, Topics
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.broker import Broker


def verify_topics(broker: Broker, topics: Topics) -> None:
    """Raise InvalidConfiguration when a topic is missing, or when letters would find no partition.

    A dead letter has the number of the partition that its message came from.
    """
    read = [topics.scores.name, topics.camera_status.name, topics.model_events.name]
    letters = topics.dead_letters.name
    names = [*read, letters, topics.alerts.name, topics.feedback.name, topics.frames.name]
    found = broker.describe_topics(names)
    missing = [name for name in names if name not in found]
    if missing:
        raise InvalidConfiguration(f"topic {', '.join(missing)} is missing: {MAKE_TOPICS}")
    for name in read:
        if found[name][0] > found[letters][0]:
            raise InvalidConfiguration(
                f"{name} has {found[name][0]} partitions and {letters} only {found[letters][0]}: "
                "run `steadyline topics create`"
            )
