"""The life of a product's models as pure steps: each takes the newest event and returns the next one."""

from dataclasses import dataclass
from datetime import datetime

from steadyline.contracts.model_event import (
    PRODUCT_WIDE,
    Change,
    Health,
    Model,
    ModelEvent,
    ModelState,
)

REFUSED = "refused: "  # start of the reason of a change that records a refused command
MOST_CHANGES = 200
MOST_MODELS = 8  # versions listed with their figures; the changes still name older ones


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
        reason=model.reason,
        figures=model.figures,
    )
    others = [known for known in event.models if known.version != model.version]
    return _next(event, at, models=[*others, model], changes=[*event.changes, change])


def reject(event: ModelEvent, step: Step, figures: dict[str, float]) -> ModelEvent:
    """Return the event with a candidate rejected; ``figures`` are the gate's."""
    change = _change(event, step, figures)
    models = [_in_state(known, step) if known.version == step.version else known for known in event.models]
    return _next(event, step.at, models=models, changes=[*event.changes, change])


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
    return _next(event, step.at, models=models, changes=changes, live_version=step.version, health=None)


def refresh(event: ModelEvent, model: Model) -> ModelEvent:
    """Return the event with a version as in its card: old ones have lost their camera calibrations."""
    return event.model_copy(
        update={
            "models": [
                model.model_copy(update={"state": known.state, "reason": known.reason})
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
        at=at, version=version, before=state if model is not None else None, after=state, reason=reason
    )
    return _next(event, at, changes=[*event.changes, change])


def with_health(event: ModelEvent, health: Health) -> ModelEvent:
    """Return the event with the monitor's finding."""
    return _next(event, health.at, health=health)


def answered(event: ModelEvent, commands_until: int, at: datetime) -> ModelEvent:
    """Return the event in which all commands before the offset ``commands_until`` are answered."""
    return _next(event, at, commands_until=max(event.commands_until, commands_until))


def find(event: ModelEvent, version: int) -> Model | None:
    """Return a version that the event still lists, or None."""
    return next((model for model in event.models if model.version == version), None)


def before_live(event: ModelEvent) -> int | None:
    """Return the version that was live before the present one, or None when it cannot be rolled back to."""
    for change in reversed(event.changes):
        model = find(event, change.version)
        if change.after == "retired" and model is not None and model.state == "retired":
            return change.version
    return None


def next_version(event: ModelEvent) -> int:
    """Return a version number that the product has never used."""
    given = [change.version for change in event.changes if not change.reason.startswith(REFUSED)]
    return max([*given, *(model.version for model in event.models)], default=0) + 1


def _change(event: ModelEvent, step: Step, figures: dict[str, float]) -> Change:
    model = find(event, step.version)
    return Change(
        at=step.at,
        version=step.version,
        before=model.state if model is not None else None,
        after=step.after,
        reason=step.reason,
        figures=figures,
    )


def _in_state(model: Model, step: Step) -> Model:
    return model.model_copy(update={"state": step.after, "reason": step.reason})


def _next(event: ModelEvent, at: datetime, **update: object) -> ModelEvent:
    after = event.model_copy(update={"at": at, **update})
    return after.model_copy(update={"models": _kept(after), "changes": list(after.changes)[-MOST_CHANGES:]})


def _kept(event: ModelEvent) -> list[Model]:
    """Keep the newest versions and those in use, ascending; the others lose their scores per camera.

    The event must fit into a Kafka message, and 2000 scores per camera are 24 KB, times cameras and versions.
    """
    ordered = sorted(event.models, key=lambda model: model.version)
    in_use = {event.live_version, before_live(event)}
    newest = {model.version for model in ordered[-MOST_MODELS:]}
    return [
        model if model.version in in_use or model.state == "candidate" else _slim(model)
        for model in ordered
        if model.version in newest | in_use
    ]


def _slim(model: Model) -> Model:
    product_wide = {PRODUCT_WIDE: model.calibrations[PRODUCT_WIDE]}
    return model.model_copy(update={"calibrations": product_wide})
