"""Forges the event of a product's models so that nothing would alarm, watches, and takes it back."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

from steadyline.clock import Clock
from steadyline.contracts.model_event import Calibration, ModelEvent
from steadyline.contracts.score import Score
from steadyline.contracts.topics import Topics
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.broker import Broker, Follower, Message, Record
from steadyline.kafka.messages import decoded, ignore_poison
from steadyline.ops.doctor.finding import Report
from steadyline.ops.drill.attacks import STRANGER
from steadyline.ops.drill.refusals import CLIENT, POLL

BLIND = 1e308  # a threshold that no score passes
NO_ALARM = Calibration(scores=[BLIND], threshold=BLIND, achieved_rate=0.5)  # it follows from its scores


def try_blinding(broker: Broker, topics: Topics, product: str, clock: Clock, within: timedelta) -> Report:
    """Forge the product's event under another key and under its own, and return what held.

    Whatever happens, the true event is the newest one again in the end, to the letter. Raises
    InvalidConfiguration when the product has no model yet.
    """
    true = _newest(broker, topics, product.encode())
    if true is None:
        raise InvalidConfiguration(f"{product} has no model yet: there is nothing to forge")
    forged = _forged(ModelEvent.decode(true.value))
    report, scores = Report(), topics.scores.name
    for tries, key in (
        ("an event of the product under another key", f"{STRANGER}-{product}".encode()),
        ("an event of the product under its own key", product.encode()),
    ):
        follower = broker.follower(CLIENT, [scores], broker.end_offsets([scores]))
        with closing(follower), _written(broker, topics, Message("", key, forged, true.headers), true):
            thresholds = list(_thresholds(follower, product, clock, within))
        _judge(report, tries, thresholds)
    return report


def _forged(event: ModelEvent) -> bytes:
    models = [
        model.model_copy(
            update={
                "reason": STRANGER,
                "threshold_version": model.threshold_version + 1,
                "calibrations": dict.fromkeys(model.calibrations, NO_ALARM),
            }
        )
        for model in event.models
    ]
    return event.model_copy(update={"models": models}).encode()


@contextmanager
def _written(broker: Broker, topics: Topics, forged: Message, true: Record) -> Iterator[None]:
    """Write the forged event, and take it back: by the true one, or by a tombstone under a key of ours.

    Where a trainer has announced another one meanwhile, that one stays.
    """
    topic = topics.model_events.name
    with closing(broker.publisher(CLIENT)) as publisher:

        def write(value: bytes | None) -> None:
            message = Message(topic, forged.key, value, forged.headers)
            publisher.publish(message, lambda error: None)
            publisher.flush(timedelta(seconds=30))

        try:
            write(forged.value)
            yield
        finally:
            newest = _newest(broker, topics, forged.key or b"")
            if newest is not None and newest.value == forged.value:
                write(true.value if forged.key == true.key else None)


def _newest(broker: Broker, topics: Topics, key: bytes) -> Record | None:
    with closing(broker.reader(CLIENT)) as reader:
        found = [record for record in reader.read(topics.model_events.name) if record.key == key]
    return found[-1] if found and found[-1].value is not None else None


def _thresholds(follower: Follower, product: str, clock: Clock, within: timedelta) -> Iterator[float]:
    """Yield the thresholds by which frames of the product are judged meanwhile."""
    end = clock.monotonic() + within.total_seconds()
    while clock.monotonic() < end:
        for _, score in decoded(follower.poll(POLL), Score, ignore_poison):
            if score.product == product:
                yield score.threshold


def _judge(report: Report, tries: str, thresholds: list[float]) -> None:
    if not thresholds:
        report.skipped(tries, "no frame was scored meanwhile, so nothing is shown")
        return
    blinded = sum(threshold == BLIND for threshold in thresholds)
    report.judge(
        tries,
        blinded == 0,
        f"{blinded} of {len(thresholds)} frames were judged by the forged threshold",
        "make keys by `steadyline keys new`: give the private one to the trainer, then the public one to all "
        "that read",
    )
