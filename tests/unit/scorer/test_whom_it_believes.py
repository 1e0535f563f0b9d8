"""Whom a scorer believes on the topic of model events, tried as somebody who may write there would."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from steadyline.clock import ManualClock
from steadyline.contracts.headers import SIGNATURE, Headers, encode_headers
from steadyline.contracts.model_event import Calibration, ModelEvent
from steadyline.contracts.topics import line_topics
from steadyline.kafka.broker import Follower, Message, Partition, Record
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.kafka.model_events import EventSeal
from steadyline.signing import Signer, TrustedKeys
from tests.support.kept_models import NOW, SEAL, KeptModels, a_record
from tests.support.models import Contrast, model_event

SIGNER, OTHER = Signer.new(), Signer.new()
SIGNED = EventSeal("line-1", TrustedKeys.parse(SIGNER.public_pem()), SIGNER)
READER = EventSeal("line-1", TrustedKeys.parse(SIGNER.public_pem()))


def an_event(live: int, sequence: int = 0, product: str = "part") -> ModelEvent:
    """Return the event that puts one version in service."""
    event = model_event(product, [Contrast(gain=float(live)).event_model(live)], live)
    return event.model_copy(update={"sequence": sequence, "at": NOW})


def signed(event: ModelEvent, seal: EventSeal = SIGNED) -> Record:
    return a_record(event.encode(), event.product.encode(), seal.headers(event))


def blind() -> bytes:
    """Return an event that calls everything normal, and that fits its own contract."""
    model = Contrast().event_model(1)
    none_above = Calibration(scores=[1e300], threshold=1e300, achieved_rate=0.01)
    update = {"threshold_version": 99, "calibrations": {"*": none_above}}
    return model_event("part", [model.model_copy(update=update)], 1).encode()


def with_header(name: str, value: bytes) -> Headers:
    return tuple((key, value if key == name else old) for key, old in SEAL.headers(an_event(1)))


@pytest.mark.parametrize(
    "record",
    [
        a_record(blind(), b"anything"),
        a_record(blind(), b""),
        a_record(blind(), headers=()),
        a_record(blind(), headers=EventSeal("line-2").headers(an_event(1))),
        a_record(blind(), headers=with_header("ce_source", b"/steadyline/line-1/east")),
        a_record(blind(), headers=with_header("ce_type", b"com.steadyline.score.v1")),
        a_record(blind(), headers=with_header("ce_subject", b"other")),
        a_record(blind(), headers=with_header("ce_specversion", b"9")),
        a_record(blind(), b"other", SEAL.headers(an_event(1, product="other"))),
        a_record(blind().replace(b'1e+300,"ach', b'1e+308,"ach')),
    ],
)
def test_an_event_under_another_key_or_name_changes_nothing(record: Record) -> None:
    kept = KeptModels()
    kept.hear([kept.serve(1)], live=1)
    before = kept.slot.known
    kept.deliver(record)
    kept.updater.turn()
    assert kept.slot.known == before


def unsigned(event: ModelEvent) -> Record:
    return a_record(event.encode(), headers=SEAL.headers(event))


def by_another_key(event: ModelEvent) -> Record:
    return signed(event, EventSeal("line-1", signer=OTHER))


def of_another_line(event: ModelEvent) -> Record:
    headers = EventSeal("line-2", signer=SIGNER).headers(event)
    return a_record(event.encode(), headers=SEAL.headers(event) + headers[-1:])


def of_other_bytes(event: ModelEvent) -> Record:
    other = SIGNED.headers(event.model_copy(update={"sequence": event.sequence + 1}))
    return a_record(event.encode(), headers=other)


def of_another_product(event: ModelEvent) -> Record:
    other = event.model_copy(update={"product": "other"})
    return a_record(event.encode(), headers=SEAL.headers(event) + SIGNED.headers(other)[-1:])


def with_two_signatures(event: ModelEvent) -> Record:
    headers = SIGNED.headers(event)
    return a_record(event.encode(), headers=headers + headers[-1:])


def with_rubbish(event: ModelEvent) -> Record:
    return a_record(event.encode(), headers=SEAL.headers(event) + encode_headers({SIGNATURE: "ed25519:none"}))


@pytest.mark.parametrize(
    "forge",
    [
        unsigned,
        by_another_key,
        of_another_line,
        of_other_bytes,
        of_another_product,
        with_two_signatures,
        with_rubbish,
    ],
)
def test_what_is_not_signed_by_a_trusted_key_changes_nothing(forge: Callable[[ModelEvent], Record]) -> None:
    kept = KeptModels(seal=READER)
    kept.serve(1), kept.serve(2, gain=2.0)
    kept.deliver(signed(an_event(1, 1)))
    kept.updater.turn()
    kept.deliver(forge(an_event(2, 2)))
    kept.updater.turn()
    assert kept.version == 1
    kept.deliver(signed(an_event(2, 2)))
    kept.updater.turn()
    assert kept.version == 2


def test_keys_are_changed_while_both_are_trusted() -> None:
    both = EventSeal("line-1", TrustedKeys.parse(SIGNER.public_pem() + OTHER.public_pem()))
    kept = KeptModels(seal=both)
    kept.serve(1), kept.serve(2, gain=2.0)
    kept.deliver(signed(an_event(1, 1)))
    kept.deliver(by_another_key(an_event(2, 2)))
    kept.updater.turn()
    assert kept.version == 2


def test_an_event_that_was_written_before_does_not_roll_the_line_back() -> None:
    kept = KeptModels(seal=READER)
    kept.serve(1), kept.serve(2, gain=2.0)
    first, second = signed(an_event(1, 1)), signed(an_event(2, 2))
    for record in (first, second, first):
        kept.deliver(record)
        kept.updater.turn()
    assert kept.version == 2


def test_of_what_was_on_the_topic_at_the_start_the_greatest_number_counts() -> None:
    kept = KeptModels(seal=READER, has_history=False)
    kept.serve(1), kept.serve(2, gain=2.0)
    first, second = signed(an_event(1, 1)), signed(an_event(2, 2))
    for record in (first, second, first):
        kept.deliver(record)
    kept.updater.history_is_read()
    kept.updater.turn()
    assert kept.version == 2


def test_nothing_is_put_in_use_before_the_history_is_read() -> None:
    """Version 2 was rolled back: a scorer that starts never scores with it, however slowly it reads."""
    kept = KeptModels(has_history=False)
    kept.serve(1), kept.serve(2, gain=2.0)
    assert kept.waiting_for == {"model:part": "reading_model_events"}
    for live in (1, 2, 1):
        kept.deliver(a_record(an_event(live).encode()))
        kept.updater.turn()
        assert kept.version is None
    kept.updater.history_is_read()
    kept.updater.turn()
    assert kept.version == 1
    assert kept.waiting_for == {}


class OneAtATime:
    """A follower that returns one record a poll, as a broker does with records larger than a fetch; it notes
    the version in use at each poll, and stops the reading once there is one.
    """

    def __init__(self, follower: Follower, kept: KeptModels) -> None:
        self._follower, self._kept = follower, kept
        self._waiting: list[Record] = []
        self.versions: list[int | None] = []
        self.stop = threading.Event()

    def poll(self, wait: timedelta) -> list[Record]:
        self.versions.append(self._kept.version)
        if self._kept.version is not None:
            self.stop.set()
        self._waiting += self._follower.poll(timedelta(0))
        found, self._waiting = self._waiting[:1], self._waiting[1:]
        return found

    def positions(self) -> dict[Partition, int]:
        return self._follower.positions()

    def is_at_end(self) -> bool:
        return self._follower.is_at_end() and not self._waiting

    def close(self) -> None:
        self._follower.close()


def test_a_scorer_that_reads_the_topic_piece_by_piece_never_scores_with_a_past_version() -> None:
    kept, topics = KeptModels(has_history=False), line_topics("t", 1)
    broker, topic = MemoryBroker(ManualClock()), topics.model_events.name
    broker.create_topics([topics.model_events])
    publisher = broker.publisher("t")
    for live in (1, 2, 1):
        kept.serve(live, gain=float(live))
        event = an_event(live)
        publisher.publish(Message(topic, b"part", event.encode(), SEAL.headers(event)), lambda error: None)
    follower = OneAtATime(broker.follower("t", [topic]), kept)
    kept.updater.run(lambda: follower, topic, SEAL, follower.stop)
    assert follower.versions == [None, None, None, 1]
