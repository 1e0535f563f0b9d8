"""How often subscribers are notified: cooldowns and a rate cap, with a count of what is held back."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Literal

from pydantic import AwareDatetime, Field

from alerts.incidents.incident import SEVERITIES, Incident, IncidentChange
from steadyline.contracts.alert import Severity
from steadyline.contracts.message import Part
from steadyline.line import Line

# Why nobody is notified of a change: its kind is quiet in the line file, or its rule wants none; it is older
# than what is still told, or a maintenance window holds it; a cooldown or the cap; or it ends an incident
# that nobody was notified of.
HeldBy = Literal["quiet", "rule", "old", "window", "cooldown", "cap", "unknown_before"]
LIMIT_WORDS: tuple[HeldBy, ...] = ("cooldown", "cap", "unknown_before")  # those of the limit itself


class Notified(Part):
    """The last notification of one kind of incident of one camera or product, or of the line."""

    at: AwareDatetime
    severity: Severity


class LimitState(Part):
    """What the limit remembers; its size is bounded by the line's cameras and its open incidents."""

    last: Notified | None = None
    by_source: dict[str, Notified] = Field(default_factory=dict)
    recent: tuple[AwareDatetime, ...] = ()  # the last new incidents that were notified
    suppressed: int = 0  # held back since the last one that was not
    known: tuple[str, ...] = ()  # incidents that are not over and that somebody was notified of


def admit(
    rules: Line, state: LimitState, change: IncidentChange, held_already: HeldBy | None = None
) -> tuple[LimitState, HeldBy | None, int]:
    """Return the state after ``change``, what holds it back, if anything, and how many were held before it.

    What a person has done always notifies, and so does the end of an incident that somebody was notified of:
    no on-call tool is to keep it open. A rise of severity does unless it is ``held_already``: by a
    maintenance window, or because it is old. That, and what its rule does not want notified, counts nowhere.
    All other changes obey the cooldowns, unless they are more serious than what was notified last, and the
    cap. Times are those of the changes: a clock that is wrong counts apart from the others.
    """
    incident = change.incident
    uncounted = _held_uncounted(rules, state, change, held_already)
    if uncounted is not None:
        return _without(state, incident) if incident.is_over else state, uncounted, 0
    if change.who is not None:
        return _after_notifying(state, incident), None, state.suppressed
    if change.change == "risen":
        return _noted(rules, _after_notifying(state, incident), incident), None, state.suppressed
    held_by = _held_by_limit(rules, state, change)
    if held_by is not None:
        return state.model_copy(update={"suppressed": state.suppressed + 1}), held_by, 0
    after = _after_notifying(state, incident)
    if change.change != "resolved":
        recent = (*state.recent, incident.changed_at)[-rules.alerts.notifications.most :]
        after = _noted(rules, after, incident).model_copy(update={"recent": recent})
    return after, None, state.suppressed


def told_later(state: LimitState, incidents: Iterable[str]) -> LimitState:
    """Return the state once somebody was told of incidents that are not over: their end is told too."""
    new = tuple(one for one in incidents if one not in state.known)
    return state.model_copy(update={"known": (*state.known, *new)}) if new else state


def _held_uncounted(
    rules: Line, state: LimitState, change: IncidentChange, held_already: HeldBy | None
) -> HeldBy | None:
    if change.is_silent or not change.notify:
        return "quiet" if change.incident.kind in rules.alerts.quiet else "rule"
    ends = change.change == "resolved" and change.incident.id in state.known
    return None if ends or change.who is not None else held_already


def _held_by_limit(rules: Line, state: LimitState, change: IncidentChange) -> HeldBy | None:
    incident, limit = change.incident, rules.alerts.notifications
    if change.change == "resolved":
        return None if incident.id in state.known else "unknown_before"
    of_source = state.by_source.get(_source(incident))
    if _is_cooling(state.last, incident, limit.cooldown):
        return "cooldown"
    if _is_cooling(of_source, incident, _cooldown(rules, incident)):
        return "cooldown"
    recent = sum(abs(incident.changed_at - one) < limit.within for one in state.recent)
    return "cap" if recent >= limit.most else None


def _is_cooling(last: Notified | None, incident: Incident, cooldown: timedelta) -> bool:
    if last is None or abs(incident.changed_at - last.at) >= cooldown:
        return False
    return SEVERITIES.index(incident.severity) <= SEVERITIES.index(last.severity)


def _noted(rules: Line, state: LimitState, incident: Incident) -> LimitState:
    """Return the state in which the cooldowns begin anew with this notification."""
    notified = Notified(at=incident.changed_at, severity=incident.severity)
    longest = max(product.alerts.cooldown for product in rules.products.values())
    in_force = {source: one for source, one in state.by_source.items() if abs(notified.at - one.at) < longest}
    by_source = {**in_force, _source(incident): notified}
    return state.model_copy(update={"last": notified, "by_source": by_source})


def _cooldown(rules: Line, incident: Incident) -> timedelta:
    product = rules.products.get(incident.product or "")
    return product.alerts.cooldown if product is not None else rules.alerts.notifications.cooldown


def _source(incident: Incident) -> str:
    return f"{incident.kind} {incident.camera or ''} {incident.product or ''}"


def _after_notifying(state: LimitState, incident: Incident) -> LimitState:
    state = _without(state, incident)
    known = state.known if incident.is_over else (*state.known, incident.id)
    return state.model_copy(update={"suppressed": 0, "known": known})


def _without(state: LimitState, incident: Incident) -> LimitState:
    known = tuple(one for one in state.known if one != incident.id)
    return state if known == state.known else state.model_copy(update={"known": known})
