"""The model slots: following the events, probing before use, the canary."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from scorer.model_slot import ModelSlot, empty_slots
from scorer.model_updater import ModelUpdater, ModelUpdaterPolicy
from steadyline.clock import ManualClock
from steadyline.contracts.model_event import Model
from steadyline.inference import ModelRef
from steadyline.kafka.broker import Partition, Record
from steadyline.telemetry.health import ServiceHealth
from tests.support.inference import MemoryInference, constant
from tests.support.models import Contrast, model_event

POLICY = ModelUpdaterPolicy(canary_seconds=5, retry_seconds=0.2, retry_longest_seconds=4)


@dataclass
class KeptModels:
    """A keeper of one product, on a clock moved by hand."""

    clock: ManualClock = field(default_factory=ManualClock)
    inference: MemoryInference = field(default_factory=MemoryInference)

    def __post_init__(self) -> None:
        self.slots = empty_slots(["part"])
        self.health = ServiceHealth(self.clock)
        self.updater = ModelUpdater(self.slots, self.inference, POLICY, self.health, self.clock)

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
        self.hear_bytes(model_event(product, models, live).encode())

    def hear_bytes(self, value: bytes) -> None:
        self.note(value)
        self.updater.turn()

    def note(self, value: bytes) -> None:
        """Take a record from the topic, without a turn."""
        record = Record(Partition("model-events", 0), 0, b"part", value, (), 0)
        self.updater.subscription("model-events").deliver(record)

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        self.updater.turn()


@pytest.fixture
def kept() -> KeptModels:
    return KeptModels()


def test_a_product_without_a_model_is_not_ready_and_says_so(kept: KeptModels) -> None:
    kept.pass_time(1)
    assert kept.version is None
    assert kept.waiting_for == {"model:part": "no_live_model"}


def test_a_live_version_is_used_once_it_gives_its_known_answers(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    assert kept.version == 1
    assert kept.waiting_for == {}
    assert kept.inference.asked == [(ModelRef("part", 1), 2)]


def test_only_the_newest_of_several_events_counts(kept: KeptModels) -> None:
    first, second = kept.serve(1), kept.serve(2)
    events = [model_event("part", [first], 1), model_event("part", [first, second], 2)]
    for event in events:
        kept.note(event.encode())
    kept.updater.turn()
    assert kept.version == 2
    assert kept.inference.asked == [(ModelRef("part", 2), 2)]


def test_a_version_with_wrong_answers_changes_nothing_and_is_tried_again(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    wrong = Contrast(gain=3).event_model(2)
    kept.inference.serve("part", 2, constant(0.0))
    kept.hear([wrong], live=2)
    assert kept.version == 1
    assert kept.waiting_for == {}
    kept.inference.serve("part", 2, Contrast(gain=3).answer)
    kept.pass_time(5)
    assert kept.version == 2


def test_a_version_that_cannot_be_asked_yet_is_tried_again_further_and_further_apart(
    kept: KeptModels,
) -> None:
    kept.hear([Contrast().event_model(1)], live=1)
    for _ in range(200):
        kept.pass_time(0.1)
    assert kept.version is None
    assert kept.waiting_for == {"model:part": "inference_unavailable"}
    assert 5 <= len(kept.inference.asked) <= 20
    kept.serve(1)
    kept.pass_time(4)
    assert kept.version == 1


def test_new_thresholds_of_the_same_version_are_taken_over(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    kept.hear([Contrast().event_model(1, threshold=0.3, threshold_version=2)], live=1)
    assert kept.slot.known is not None
    assert kept.slot.known.threshold_version == 2


def test_an_event_that_changes_nothing_probes_nothing(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    kept.hear([Contrast().event_model(1)], live=1)
    assert len(kept.inference.asked) == 1


def test_a_product_whose_model_is_withdrawn_holds(kept: KeptModels) -> None:
    model = kept.serve(1)
    kept.hear([model], live=1)
    kept.hear([model], live=None)
    assert kept.version is None
    assert kept.waiting_for == {"model:part": "no_live_model"}


@pytest.mark.parametrize("value", [b"", b"{", b'{"product": "part"}', b"\xff\xfe"])
def test_an_event_that_does_not_fit_the_contract_is_ignored(kept: KeptModels, value: bytes) -> None:
    kept.hear([kept.serve(1)], live=1)
    kept.hear_bytes(value)
    assert kept.version == 1


def test_an_event_of_another_product_is_ignored(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1, product="other")
    assert kept.version is None


def test_the_canary_is_asked_every_so_often(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    for _ in range(20):
        kept.pass_time(1)
    assert len(kept.inference.asked) == 1 + 4


def test_a_server_that_stops_answering_makes_the_scorer_not_ready_until_it_is_back(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    kept.inference.is_away = True
    kept.pass_time(5)
    assert kept.waiting_for == {"model:part": "inference_unavailable"}
    assert kept.version == 1  # frames are held by their own failures, and go on the moment it answers
    kept.inference.is_away = False
    kept.pass_time(5)
    assert kept.waiting_for == {}


def test_wrong_answers_of_the_model_in_use_hold_frames_until_they_are_right_again(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    kept.inference.serve("part", 1, constant(0.0))
    kept.pass_time(5)
    assert kept.version is None
    assert kept.slot.held_reason == "wrong_answer"
    assert kept.waiting_for == {"model:part": "wrong_answer"}
    kept.serve(1)
    kept.pass_time(5)
    assert kept.version == 1
    assert kept.waiting_for == {}


def test_the_model_in_use_is_watched_while_its_successor_is_refused(kept: KeptModels) -> None:
    kept.hear([kept.serve(1)], live=1)
    kept.inference.serve("part", 2, constant(0.0))
    kept.hear([Contrast(gain=3).event_model(2)], live=2)
    kept.inference.retire("part", 1)
    kept.pass_time(5)
    assert kept.waiting_for == {"model:part": "inference_unavailable"}


@pytest.mark.parametrize(
    "change",
    [
        {"probes": []},
        {"calibrations": {}},
        {"probes": [Contrast().event_model(1).probes[0].model_copy(update={"picture_png": "!"})]},
        {"probes": [Contrast(size=64).event_model(1).probes[0]]},
        {"probes": [Contrast().event_model(1).probes[0].model_copy(update={"score": 9.0})]},
    ],
)
def test_an_unusable_model_is_never_used(kept: KeptModels, change: dict[str, object]) -> None:
    kept.hear([kept.serve(1).model_copy(update=change)], live=1)
    assert kept.version is None
    assert kept.waiting_for == {"model:part": "wrong_answer"}
