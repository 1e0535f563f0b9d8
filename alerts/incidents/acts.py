"""What people do to an incident. Each act gives the change that it makes, or raises ActRefused."""

from datetime import datetime, timedelta

from alerts.incidents.incident import Incident, IncidentChange
from steadyline.contracts.alert import AlertChange
from steadyline.errors import SteadylineError

LONGEST_SNOOZE = timedelta(days=31)
MOST_TEXT = 2_000  # characters of a comment, as the contract of alerts has it
MOST_NAME = 200


class ActRefused(SteadylineError):
    """The incident does not take this act as it stands; nothing has changed."""

    reason = "act_refused"


class AlreadyResolved(ActRefused):
    """The incident is over: all that can still be done is to comment on it."""

    reason = "already_resolved"


class AlreadyAcknowledged(ActRefused):
    """Somebody has acknowledged the incident before, and it still holds."""

    reason = "already_acknowledged"


class AlreadyAssigned(ActRefused):
    """The incident is assigned to that very person, or to nobody as wanted."""

    reason = "already_assigned"


class SnoozeOutOfBounds(ActRefused):
    """A snooze ends in the future, and within a month."""

    reason = "snooze_out_of_bounds"


class TextOutOfBounds(ActRefused):
    """A comment or a name is empty, or longer than an alert can carry."""

    reason = "text_out_of_bounds"


def acknowledge(incident: Incident, who: str, at: datetime, comment: str | None = None) -> IncidentChange:
    """Take the incident: it is known, and somebody sees to it. Ends a snooze."""
    _require_not_over(incident)
    if incident.state == "acknowledged":
        raise AlreadyAcknowledged(f"incident {incident.id} is acknowledged already")
    after = incident.with_changes(state="acknowledged", acknowledged_at=at, snoozed_until=None)
    return _change(after, "acknowledged", (who, at), comment)


def resolve(incident: Incident, who: str, at: datetime, comment: str | None = None) -> IncidentChange:
    """End the incident. What it was about opens a new one when it begins anew."""
    _require_not_over(incident)
    after = incident.with_changes(state="resolved", resolved_at=at, snoozed_until=None)
    return _change(after, "resolved", (who, at), comment)


def snooze(
    incident: Incident, who: str, at: datetime, until: datetime, comment: str | None = None
) -> IncidentChange:
    """Put the incident off until a moment of the next 31 days; it is open again then, if it still stands."""
    _require_not_over(incident)
    if not at < until <= at + LONGEST_SNOOZE:
        raise SnoozeOutOfBounds(f"a snooze ends after {at:%F %T} and within {LONGEST_SNOOZE.days} days")
    after = incident.with_changes(state="snoozed", snoozed_until=until, acknowledged_at=None)
    return _change(after, "snoozed", (who, at), comment)


def assign(
    incident: Incident, who: str, at: datetime, to: str | None, comment: str | None = None
) -> IncidentChange:
    """Give the incident to a person, or to nobody; its state stays."""
    _require_not_over(incident)
    if to is not None:
        _require_text(to, MOST_NAME, "name of the person")
    if incident.assigned_to == to:
        raise AlreadyAssigned(f"incident {incident.id} is assigned to {to or 'nobody'} already")
    return _change(incident.with_changes(assigned_to=to), "assigned", (who, at), comment)


def comment(incident: Incident, who: str, at: datetime, text: str) -> IncidentChange:
    """Say something about the incident, also when it is over; its state stays."""
    return _change(incident, "commented", (who, at), text)


def _require_not_over(incident: Incident) -> None:
    if incident.is_over:
        raise AlreadyResolved(f"incident {incident.id} is resolved already")


def _require_text(text: str, most: int, what: str) -> None:
    if not text.strip() or len(text) > most:
        raise TextOutOfBounds(f"the {what} has 1 to {most} characters")


def _change(
    after: Incident, change: AlertChange, by: tuple[str, datetime], comment: str | None
) -> IncidentChange:
    who, at = by
    _require_text(who, MOST_NAME, "name of who acts")
    if comment is not None:
        _require_text(comment, MOST_TEXT, "comment")
    counted = after.with_changes(sequence=after.sequence + 1, changed_at=at)
    return IncidentChange(counted, change, _why(counted, change, who), who=who, comment=comment)


def _why(incident: Incident, change: AlertChange, who: str) -> str:
    match change:
        case "snoozed" if incident.snoozed_until is not None:
            return f"{who} has snoozed it until {incident.snoozed_until:%F %T %Z}"
        case "assigned":
            return f"{who} has assigned it to {incident.assigned_to or 'nobody'}"
        case "commented":
            return f"{who} has commented on it"
        case _:
            return f"{who} has {change} it"
