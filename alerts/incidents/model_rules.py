"""What the trainer says of a product's models: refused, promoted, rolled back, blind."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import AwareDatetime

from alerts.incidents.change import Opening, Subject, of_kinds, opened, resolved
from alerts.incidents.incident import Incident, IncidentChange
from steadyline.contracts.alert import IncidentKind, Severity
from steadyline.contracts.message import Part
from steadyline.contracts.model_event import Change, ModelEvent

_ORDER_REFUSED = "refused: "  # how the trainer's note on a refused order begins
_DECISIONS: tuple[IncidentKind, ...] = ("model_refused", "model_rolled_back")


class ModelMemory(Part):
    """What is remembered of the last event of one product."""

    at: AwareDatetime
    sequence: int
    fencing_token: int
    changes: tuple[str, ...]  # a digest of each change that it listed
    blind: int | None = None  # the version that was called blind


@dataclass(frozen=True, slots=True)
class ModelStep:
    """What an event makes of the memory, and why it was passed over if it was: a fixed word."""

    memory: ModelMemory
    changes: tuple[IncidentChange, ...] = ()
    ignored: str | None = None


def observe_event(
    memory: ModelMemory | None, incidents: Sequence[Incident], event: ModelEvent, line: str
) -> ModelStep:
    """Take one event in; it lists all recent changes, of which those are told that are new.

    The topic is compacted: before the first event that is seen there were others, whose changes nobody can
    wait for any more. Of the first one only what that very event announced is told.
    """
    if memory is not None and _is_outdated(memory, event):
        return ModelStep(memory, ignored="outdated")
    subject = Subject(line, event.product)
    standing = {one.id: one for one in incidents}
    changes: list[IncidentChange] = []
    for change in _news(memory, event):
        more = _decided(subject, list(standing.values()), change)
        changes += more
        standing.update((one.incident.id, one.incident) for one in more)
    changes += _health(memory, list(standing.values()), event, subject)
    after = ModelMemory(
        at=event.at,
        sequence=event.sequence,
        fencing_token=event.fencing_token,
        changes=tuple(_digest(change) for change in event.changes),
        blind=_blind(memory, event),
    )
    return ModelStep(after, tuple(changes))


def _is_outdated(memory: ModelMemory, event: ModelEvent) -> bool:
    if event.fencing_token != memory.fencing_token:
        return event.fencing_token < memory.fencing_token
    if event.sequence and memory.sequence:
        return event.sequence <= memory.sequence
    return event.at < memory.at


def _news(memory: ModelMemory | None, event: ModelEvent) -> list[Change]:
    if memory is None:
        return [change for change in event.changes if change.at == event.at]
    known = frozenset(memory.changes)
    return [change for change in event.changes if _digest(change) not in known]


def _digest(change: Change) -> str:
    return hashlib.sha256(_name(change).encode()).hexdigest()[:16]


def _name(change: Change) -> str:
    return f"{change.at.isoformat()}/{change.version}/{change.before}/{change.after}/{change.reason}"


def _decided(subject: Subject, incidents: Sequence[Incident], change: Change) -> list[IncidentChange]:
    """Tell of a version that was refused or went live; either ends what was said of the one before.

    A note on a version leaves its state as it was; a refused order may name a version that nobody knows.
    """
    if change.after not in ("live", "rejected") or change.before == change.after:
        return []
    if change.before is None and change.reason.startswith(_ORDER_REFUSED):
        return []
    over = f"version {change.version} of {subject.product} is {change.after} since: {change.reason}"
    ended = [resolved(one, change.at, over) for one in of_kinds(incidents, _DECISIONS)]
    if change.after == "rejected":
        return [*ended, _told(subject, change, "model_refused", "was refused")]
    if change.before == "retired":
        return [*ended, _told(subject, change, "model_rolled_back", "is live again")]
    promoted = _told(subject, change, "model_promoted", "went live")
    # Nothing is left to do about it: its end is no news.
    return [*ended, promoted, resolved(promoted.incident, change.at, "a version in service", notify=False)]


def _told(subject: Subject, change: Change, kind: IncidentKind, what: str) -> IncidentChange:
    severity: Severity = "info" if kind == "model_promoted" else "warning"
    text = f"Version {change.version} of {subject.product} {what}: {change.reason}"[:2_000]
    why = f"{change.before or 'new'} → {change.after}: {change.reason}"
    return opened(subject, Opening(kind, severity, change.at, _name(change), text, why))


def _health(
    memory: ModelMemory | None, incidents: Sequence[Incident], event: ModelEvent, subject: Subject
) -> list[IncidentChange]:
    """Tell of a live model that has gone blind, and of one that sees again or is no longer in service."""
    before, now, health = memory.blind if memory is not None else None, _blind(memory, event), event.health
    known = of_kinds(incidents, ("model_blind",))
    if now == before or (memory is None and known):
        return []
    if now is None or health is None:
        at = event.at if health is None else health.at
        why = f"version {before} is no longer in service" if health is None else f"it sees: {health.reason}"
        return [resolved(one, at, why) for one in known]
    opening = Opening(
        "model_blind",
        "critical",
        health.at,
        f"{now}/{health.at.isoformat()}",
        f"Version {now} of {subject.product} has gone blind: {health.reason}"[:2_000],
        f"the monitor's round at {health.at:%F %T %Z}: {health.reason}",
    )
    ended = [resolved(one, health.at, f"version {before} is no longer in service") for one in known]
    return [*ended, opened(subject, opening)]


def _blind(memory: ModelMemory | None, event: ModelEvent) -> int | None:
    """Return the version that is blind now; what was found holds until the next round or another version."""
    if event.health is not None:
        return event.health.version if event.health.state == "blind" else None
    return memory.blind if memory is not None and memory.blind == event.live_version else None
