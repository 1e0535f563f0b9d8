"""What the verbs of ``steadyline models`` share: the line, its broker, and what is known of its models."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steadyline.contracts.model_event import ModelEvent
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.broker import Broker
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.model_events import read_seal
from steadyline.kafka.model_orders import EventSource, newest_events
from steadyline.line import Line, load_line
from steadyline.settings import KafkaSettings, SigningSettings, read_settings


@contextmanager
def line_broker(path: Path) -> Iterator[tuple[Line, Broker]]:
    """Yield the line of a file and a connection to its broker."""
    line = load_line(path)
    broker = KafkaBroker(read_settings(KafkaSettings), "steadyline-models")
    try:
        yield line, broker
    finally:
        broker.close()


def event_source(config: Line, broker: Broker) -> EventSource:
    """Return where the model events of a line are read, believed by the keys that are set."""
    seal = read_seal(config.line, read_settings(SigningSettings))
    return EventSource(broker, config.kafka_topics().model_events, seal)


def event_of(config: Line, broker: Broker, product: str) -> ModelEvent:
    """Return the newest event of a product; raises InvalidConfiguration when there is none."""
    if product not in config.products:
        raise InvalidConfiguration(f"the line has no product {product!r}")
    event = newest_events(event_source(config, broker)).get(product)
    if event is None:
        raise InvalidConfiguration(f"{product} has no model yet")
    return event
