"""A model updater with everything real but Kafka and Triton, and records as the topic has them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from scorer.model_slot import ModelSlot, empty_slots
from scorer.model_updater import ModelUpdater, ModelUpdaterPolicy
from steadyline.clock import ManualClock
from steadyline.contracts.headers import Headers
from steadyline.contracts.model_event import Model, ModelEvent
from steadyline.kafka.broker import Partition, Record
from steadyline.kafka.model_events import EventSeal
from steadyline.telemetry.health import ServiceHealth
from tests.support.inference import MemoryInference
from tests.support.models import Contrast, model_event

SEAL = EventSeal("line-1")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
POLICY = ModelUpdaterPolicy(canary_seconds=5, retry_seconds=0.2, retry_longest_seconds=4)


def a_record(value: bytes, key: bytes = b"part", headers: Headers | None = None) -> Record:
    """Return a record of the topic, with the headers of an honest event unless given."""
    if headers is None:
        headers = ModelEvent(product="part", at=NOW, live_version=None, models=[], changes=[]).headers(
            "line-1", key.decode(), NOW
        )
    return Record(Partition("model-events", 0), 0, key, value, headers, 0)


@dataclass
class KeptModels:
    """A keeper of one product, on a clock moved by hand."""

    clock: ManualClock = field(default_factory=ManualClock)
    inference: MemoryInference = field(default_factory=MemoryInference)
    seal: EventSeal = SEAL
    has_history: bool = True

    def __post_init__(self) -> None:
        self.slots = empty_slots(["part"])
        self.health = ServiceHealth(self.clock)
        self.updater = ModelUpdater(self.slots, self.inference, POLICY, self.health, self.clock)
        self.subscription = self.updater.subscription("model-events", self.seal)
        if self.has_history:
            self.updater.history_is_read()

    @property
    def slot(self) -> ModelSlot:
        return self.slots["part"]

    @property
    def version(self) -> int | None:
        """The version that a batch would be asked of."""
        return self.slot.current.ref.version if self.slot.current else None

    @property
    def waiting_for(self) -> dict[str, str]:
        """What the process says it waits for."""
        waiting: dict[str, str] = self.health.ready()[1]["waiting_for"]
        return waiting

    def serve(self, version: int, gain: float = 1.0) -> Model:
        """Serve a version and return what the event says of it."""
        model = Contrast(gain=gain)
        self.inference.serve("part", version, model.answer)
        return model.event_model(version)

    def hear(self, models: Sequence[Model], live: int | None, product: str = "part") -> None:
        """Hear one event and take a turn."""
        self.deliver(a_record(model_event(product, models, live).encode(), product.encode()))
        self.updater.turn()

    def hear_bytes(self, value: bytes) -> None:
        self.note(value)
        self.updater.turn()

    def note(self, value: bytes) -> None:
        """Take a record from the topic, without a turn."""
        self.deliver(a_record(value))

    def deliver(self, record: Record) -> None:
        """Take a record as the topic has it, without a turn."""
        self.subscription.deliver(record)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        self.updater.turn()
