"""Check what a scorer needs before it begins: topics, and a store that can be written."""

from steadyline.contracts.topics import MAKE_TOPICS, Topics
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.broker import Broker
from steadyline.store import Store


def verify_topics(broker: Broker, topics: Topics) -> None:
    """Raise InvalidConfiguration when a topic is missing or the partition counts do not fit together.

    Frames, scores and dead letters share one count, because partition n of one follows partition n of
    another.
    """
    names = [topics.frames.name, topics.scores.name, topics.dead_letters.name, topics.model_events.name]
    found = broker.describe_topics(names)
    missing = [name for name in names if name not in found]
    if missing:
        raise InvalidConfiguration(f"topic {', '.join(missing)} is missing: {MAKE_TOPICS}")
    counts = {name: found[name][0] for name in names[:3]}
    if len(set(counts.values())) != 1:
        listed = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise InvalidConfiguration(
            f"frames, scores and dead letters must have the same number of partitions: {listed}"
        )


def verify_store(store: Store, line: str, instance: str) -> None:
    """Raise StoreUnavailable when the store cannot be written, read back and cleaned up."""
    key = f"scorer/{line}/started/{instance}"
    store.put(key, b"", "text/plain")
    store.get(key)
    store.delete(key)
