"""The life of a product's models as pure steps: each takes the newest event and returns the next one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from steadyline.contracts.message import MOST_EXACT, MOST_VERSION
from steadyline.contracts.model_event import (
    PRODUCT_WIDE,
    Change,
    Health,
    Model,
    ModelEvent,
    ModelState,
    TrainingOrder,
)
from steadyline.contracts.station import Station
from steadyline.errors import Transient

REFUSED = "refused: "  # start of the reason of a change that records a refused command
MOST_CHANGES = 200
FOLLOWING = "following: "  # likewise of a threshold that has followed the stream, or may not
MOST_REFUSED = 50  # of them: whoever may only give orders cannot push the history of the versions out
MOST_FOLLOWING = 50  # likewise whoever may only write scores
MOST_REASON = 1_000  # characters, what servers have answered included
MOST_MODELS = 8  # versions listed with their figures; the changes still name older ones


class NoVersionLeft(Transient):
    """Somebody has announced the greatest version that there is, so that none can follow."""

    reason = "no_version_left"


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one version."""

    version: int
    after: ModelState
    reason: str
    at: datetime


def nothing_yet(product: str, at: datetime) -> ModelEvent:
    """Return the event of a product that has no model."""
    return ModelEvent(product=product, at=at, live_version=None, models=[], changes=[])


def add(event: ModelEvent, model: Model, at: datetime) -> ModelEvent:
    """Return the event with a new version in it."""
    change = Change(
        at=at,
        version=model.version,
        before=None,
        after=model.state,
        reason=model.reason[:MOST_REASON],
        figures=model.figures,
    )
    others = [known for known in event.models if known.version != model.version]
    return _next(event, at, models=[*others, model], changes=[*event.changes, change])


def ordered(event: ModelEvent, order: TrainingOrder, at: datetime) -> ModelEvent:
    """Return the event with a training open; it stands until its version is live or rejected."""
    return _next(event, at, order=order)


def reject(event: ModelEvent, step: Step, figures: dict[str, float]) -> ModelEvent:
    """Return the event with a candidate rejected; ``figures`` are the gate's."""
    change = _change(event, step, figures)
    models = [_in_state(known, step) if known.version == step.version else known for known in event.models]
    changes = [*event.changes, change]
    return _next(event, step.at, models=models, changes=changes, order=_still_open(event, step.version))


def go_live(event: ModelEvent, step: Step, figures: dict[str, float]) -> ModelEvent:
    """Return the event with ``step.version`` in service and the one before it retired."""
    retired = [
        Step(known.version, "retired", f"replaced by version {step.version}", step.at)
        for known in event.models
        if known.state == "live" and known.version != step.version
    ]
    changes = [_change(event, one, {}) for one in retired] + [_change(event, step, figures)]
    steps = {one.version: one for one in [*retired, step]}
    models = [
        _in_state(known, steps[known.version]) if known.version in steps else known for known in event.models
    ]
    changes = [*event.changes, *changes]
    live, order = step.version, _still_open(event, step.version)
    return _next(event, step.at, models=models, changes=changes, live_version=live, health=None, order=order)


def refresh(event: ModelEvent, model: Model) -> ModelEvent:
    """Return the event with a version as in its card: old ones have lost their camera calibrations.

    What a card does not know stays: state and reason, stations, and the version of the thresholds with them.
    """
    kept = ("state", "reason", "stations", "ordered_since", "threshold_version")
    return event.model_copy(
        update={
            "models": [
                model.model_copy(update={field: getattr(known, field) for field in kept})
                if known.version == model.version
                else known
                for known in event.models
            ]
        }
    )


def note(event: ModelEvent, version: int, reason: str, at: datetime) -> ModelEvent:
    """Return the event with a note on a version whose state stays, for example for a refused command."""
    model = find(event, version)
    state: ModelState = model.state if model is not None else "rejected"
    change = Change(
        at=at,
        version=version,
        before=state if model is not None else None,
        after=state,
        reason=reason[:MOST_REASON],
    )
    return _next(event, at, changes=[*event.changes, change])


def with_station(event: ModelEvent, camera: str, station: Station | None, step: Step) -> ModelEvent:
    """Return the event in which version ``step.version`` has this calibration of a camera's station, or none,
    by an order.

    Its thresholds are a new version of themselves: what was learnt of the camera's scores no longer counts.
    """
    known = find(event, step.version)
    assert known is not None, "the version is listed"
    stations = {name: one for name, one in known.stations.items() if name != camera}
    if station is not None:
        stations[camera] = station
    since = {**known.ordered_since, camera: _next_threshold(known)}
    after = _with_stations(event, known, {"stations": stations, "ordered_since": since})
    return note(after, step.version, step.reason, step.at)


def with_followed(
    event: ModelEvent, version: int, stations: Mapping[str, Station], notes: Sequence[str], at: datetime
) -> ModelEvent:
    """Return the event in which these cameras' thresholds have followed the stream, as one new version of the
    thresholds; with none of them there are only the notes.
    """
    known = find(event, version)
    assert known is not None, "the version is listed"
    if stations:
        event = _with_stations(event, known, {"stations": {**known.stations, **stations}})
    for reason in notes:
        event = note(event, version, f"{FOLLOWING}{reason}", at)
    return event


def with_health(event: ModelEvent, health: Health) -> ModelEvent:
    """Return the event with the monitor's finding."""
    return _next(event, health.at, health=health)


@dataclass(frozen=True, slots=True)
class CommandsRead:
    """Up to where commands are answered: ``until`` is an offset of the topic with this id."""

    topic: str
    until: int


def answered(event: ModelEvent, read: CommandsRead, at: datetime) -> ModelEvent:
    """Return the event in which all commands before ``read`` are answered."""
    until = max(answered_until(event, read.topic), read.until)
    return _next(event, at, commands_topic=read.topic, commands_until=until)


def answered_until(event: ModelEvent, topic: str) -> int:
    """Return the offset before which the commands on the topic with the id ``topic`` are answered.

    On a topic that was made anew none is, whatever the offset that is known of the former one.
    """
    return event.commands_until if event.commands_topic in ("", topic) else 0


def banks_of(event: ModelEvent) -> dict[str, str]:
    """Return the banks that the listed models were made with: digest of the bank → digest of its normals."""
    rows = [model.lineage for model in event.models]
    return {row["bank"]: row["data"] for row in rows if "bank" in row and "data" in row}


def next_sequence(event: ModelEvent, now: datetime) -> int:
    """Return the number of the next event: the time in milliseconds, or one more where that is not greater.

    A topic that was made anew thus begins with greater numbers than the one before ended with. Behind the
    greatest number, which only a stranger writes, all are the same, and readers take the last one.
    """
    return min(max(event.sequence + 1, int(now.timestamp() * 1000)), MOST_EXACT)


def find(event: ModelEvent, version: int) -> Model | None:
    """Return a version that the event still lists, or None."""
    return next((model for model in event.models if model.version == version), None)


def before_live(event: ModelEvent) -> int | None:
    """Return the version that was live before the present one, or None when it cannot be rolled back to.

    When the changes that are kept do not say, it is the newest of those that were live once.
    """
    for change in reversed(event.changes):
        model = find(event, change.version)
        if change.after == "retired" and model is not None and model.state == "retired":
            return change.version
    return max((model.version for model in event.models if model.state == "retired"), default=None)


def fitted(event: ModelEvent, most_bytes: int) -> ModelEvent:
    """Return the event without what can best be done without, as far as ``most_bytes`` make that necessary.

    First go older changes, then what the versions out of service can read from their packages again, then
    versions that were not accepted, and at last the live version's calibrations of single cameras: their
    frames are then judged by the product's.
    """
    for lighten in (_with_few_changes, _with_live_whole, _with_versions_in_use, _with_product_wide):
        if len(event.encode()) <= most_bytes:
            break
        event = lighten(event)
    return event


def next_version(event: ModelEvent) -> int:
    """Return a version number that the product has never used; raises NoVersionLeft."""
    given = [change.version for change in event.changes if not change.reason.startswith(REFUSED)]
    version = max([*given, *(model.version for model in event.models)], default=0) + 1
    if version > MOST_VERSION:
        raise NoVersionLeft(f"{event.product} has a version {version - 1}, which no trainer gave it")
    return version


def _next_threshold(model: Model) -> int:
    return min(model.threshold_version + 1, MOST_VERSION)


def _with_stations(event: ModelEvent, known: Model, update: dict[str, object]) -> ModelEvent:
    update = {**update, "threshold_version": _next_threshold(known)}
    models = [one.model_copy(update=update) if one is known else one for one in event.models]
    return event.model_copy(update={"models": models})


def _still_open(event: ModelEvent, decided: int) -> TrainingOrder | None:
    """Return the open order, unless it is the one of the version that was decided on."""
    return None if event.order is not None and event.order.version == decided else event.order


def _change(event: ModelEvent, step: Step, figures: dict[str, float]) -> Change:
    model = find(event, step.version)
    return Change(
        at=step.at,
        version=step.version,
        before=model.state if model is not None else None,
        after=step.after,
        reason=step.reason[:MOST_REASON],
        figures=figures,
    )


def _in_state(model: Model, step: Step) -> Model:
    return model.model_copy(update={"state": step.after, "reason": step.reason[:MOST_REASON]})


def _next(event: ModelEvent, at: datetime, **update: object) -> ModelEvent:
    after = event.model_copy(update={"at": at, **update})
    return after.model_copy(update={"models": _kept(after), "changes": _kept_changes(after.changes)})


def _kept_changes(changes: Sequence[Change]) -> list[Change]:
    """Keep the newest changes, and only the newest few of refused commands and of steps after the stream."""
    left_out: set[int] = set()
    for word, most in ((REFUSED, MOST_REFUSED), (FOLLOWING, MOST_FOLLOWING)):
        left_out.update([at for at, change in enumerate(changes) if change.reason.startswith(word)][:-most])
    kept = [change for index, change in enumerate(changes) if index not in left_out]
    return [
        change.model_copy(update={"reason": change.reason[:MOST_REASON]}) for change in kept[-MOST_CHANGES:]
    ]


def _kept(event: ModelEvent) -> list[Model]:
    """Keep the newest versions and those in use, ascending; the others lose their scores per camera.

    The event must fit into a Kafka message, and 2000 scores per camera are 24 KB, times cameras and versions.
    """
    ordered = sorted(event.models, key=lambda model: model.version)
    in_use = _in_use(event)
    newest = {model.version for model in ordered[-MOST_MODELS:]}
    return [
        model if model.version in in_use or model.state == "candidate" else _slim(model)
        for model in ordered
        if model.version in newest | in_use
    ]


def _in_use(event: ModelEvent) -> set[int | None]:
    return {event.live_version, before_live(event)}


def _with_few_changes(event: ModelEvent) -> ModelEvent:
    return event.model_copy(update={"changes": event.changes[-MOST_CHANGES // 10 :]})


def _with_live_whole(event: ModelEvent) -> ModelEvent:
    models = [model if model.version == event.live_version else _slim(model) for model in event.models]
    return event.model_copy(update={"models": models})


def _with_versions_in_use(event: ModelEvent) -> ModelEvent:
    in_use = _in_use(event)
    models = [model for model in event.models if model.version in in_use or model.state == "candidate"]
    return event.model_copy(update={"models": models})


def _with_product_wide(event: ModelEvent) -> ModelEvent:
    return event.model_copy(update={"models": [_slim(model) for model in event.models]})


def _slim(model: Model) -> Model:
    update = {
        field: {camera: one for camera, one in found.items() if camera == PRODUCT_WIDE}
        for field, found in (
            ("calibrations", model.calibrations),
            ("certified_calibrations", model.certified_calibrations),
            ("references", model.references),
        )
    }
    return model.model_copy(update=update)
