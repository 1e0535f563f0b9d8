"""Packages that are made by hand for a line, without a training, and orders that put them in service."""

from datetime import UTC, datetime

from steadyline.contracts.model_command import ModelCommand
from steadyline.contracts.model_event import Model, ModelEvent, ModelState
from steadyline.kafka.broker import Message
from steadyline.kafka.model_events import EventSeal
from steadyline.kafka.model_orders import EventSource, newest_events
from steadyline.package import CARD, MODEL, WEIGHTS, Card, Packages, write_card
from tests.support.models import Contrast
from tests.support.scorer_line import ScorerLine


def packed(floor: ScorerLine, version: int, state: ModelState) -> Model:
    """Write a package by hand and return the model as events carry it."""
    contrast = Contrast(gain=version)
    said = contrast.event_model(version).model_copy(update={"state": state})
    card = Card(
        product=floor.product, version=version, detector=said.detector, profile="cpu", seed=0,
        trained_at=said.trained_at, size=said.size, channels=said.channels, recipe={}, false_alarm_rate=0.01,
        calibrations=said.calibrations, probes=said.probes, figures={}, acceptance={}, lineage={},
    )  # fmt: skip
    files = {
        MODEL: contrast.onnx(),
        CARD: write_card(card),
        WEIGHTS: b"none: the model has no weights",
    }
    package = Packages(floor.store, floor.line.line).write(floor.product, version, files)
    return said.model_copy(update={"package": package})


def order(floor: ScorerLine, version: int) -> None:
    """Ask the trainer to put a version in service."""
    now = datetime.now(UTC)
    command = ModelCommand(
        product=floor.product, action="promote", version=version, who="test", at=now, why=""
    )
    headers = command.headers("test", floor.product, now)
    topic = floor.topics.model_commands.name
    floor.write(Message(topic, floor.product.encode(), command.encode(), headers))


def newest(floor: ScorerLine) -> ModelEvent:
    """Return what is known of the product's models."""
    return newest_events(EventSource(floor.broker, floor.topics.model_events, EventSeal(floor.line.line)))[
        floor.product
    ]
