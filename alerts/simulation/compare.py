"""What two sets of rules make of the same observations, and in what that differs: pure."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from pydantic import AwareDatetime, Field

from alerts.incidents.observation import Observation
from alerts.simulation.run import SimulatedCourse, SimulatedRun
from steadyline.contracts.alert import IncidentKind, Severity
from steadyline.contracts.message import Part
from steadyline.line import Line

_NEVER = datetime(9999, 1, 1, tzinfo=UTC)  # the end of what is not over
_Source = tuple[str, str, str]


class SimulatedIncident(Part):
    """One incident as a set of rules would have made it."""

    id: str
    kind: IncidentKind
    camera: str | None
    product: str | None
    severity: Severity = Field(description="The highest that it reached.")
    opened_at: AwareDatetime
    resolved_at: AwareDatetime | None = Field(description="Null: it still stood at the end.")
    frames: int | None = Field(description="Its anomalous frames, where it is about frames.")
    notified: int = Field(description="Its changes that would have been notified.")
    held_back: int = Field(description="Its changes that a cooldown or the cap would have held back.")
    why: str = Field(description="Why it would have been opened.")


class IncidentDifference(Part):
    """One incident that both sets of rules make, and that is not the same under both."""

    now: SimulatedIncident
    proposed: SimulatedIncident
    opened_later_seconds: float = Field(
        description="How much later the proposed rules open it; negative: how much earlier."
    )
    resolved_later_seconds: float | None = Field(
        description="How much later they end it; null where one of the two still stood."
    )


class SimulatedTotals(Part):
    """What a set of rules makes of it all."""

    incidents: int
    by_kind: dict[str, int]
    by_severity: dict[str, int]
    notifications: int = Field(description="Changes that would have been notified.")
    held_back: int = Field(description="Changes that a cooldown or the cap would have held back.")


class RuleComparison(Part):
    """What would have differed; each list is by the time of opening."""

    now: SimulatedTotals = Field(description="What the rules in force make of it.")
    proposed: SimulatedTotals = Field(description="What the proposed rules make of it.")
    only_now: list[SimulatedIncident] = Field(description="Incidents that the proposed rules do not open.")
    only_proposed: list[SimulatedIncident] = Field(description="Incidents that only the proposed rules open.")
    changed: list[IncidentDifference] = Field(description="Incidents that both open, with a difference.")
    left_off: int = Field(description="Entries of the three lists that are not shown, for they are too many.")

    @property
    def is_same(self) -> bool:
        """True when nothing would have differed."""
        return self.now == self.proposed and not (self.only_now or self.only_proposed or self.changed)


def compare(
    observations: Iterable[Observation], line_now: Line, line_proposed: Line, most_shown: int = 500
) -> RuleComparison:
    """Return what would have differed under the rules of ``line_proposed``.

    The observations of one scope are in their order; those of several scopes may come one scope after
    another. Each is looked at once and kept nowhere, so there may be millions. Both sets of rules begin with
    an empty memory: an incident that stood before the first observation is known to neither.
    """
    now, proposed = SimulatedRun(line_now), SimulatedRun(line_proposed)
    for observation in observations:
        now.observe(observation)
        proposed.observe(observation)
    return compare_courses(now.courses(), proposed.courses(), most_shown)


def compare_courses(
    now: Sequence[SimulatedCourse], proposed: Sequence[SimulatedCourse], most_shown: int
) -> RuleComparison:
    """Return the comparison of the incidents of two runs."""
    before, after = [_incident(one) for one in now], [_incident(one) for one in proposed]
    pairs = _pairs(before, after)
    paired_before = {one.id for one, _ in pairs}
    paired_after = {one.id for _, one in pairs}
    only_now = [one for one in before if one.id not in paired_before]
    only_proposed = [one for one in after if one.id not in paired_after]
    changed = [_difference(one, other) for one, other in pairs if not _alike(one, other)]
    sizes = [len(only_now), len(only_proposed), len(changed)]
    return RuleComparison(
        now=_totals(before),
        proposed=_totals(after),
        only_now=only_now[:most_shown],
        only_proposed=only_proposed[:most_shown],
        changed=changed[:most_shown],
        left_off=sum(max(0, size - most_shown) for size in sizes),
    )


def _incident(course: SimulatedCourse) -> SimulatedIncident:
    last = course.last
    return SimulatedIncident(
        id=last.id,
        kind=last.kind,
        camera=last.camera,
        product=last.product,
        severity=last.severity,
        opened_at=last.opened_at,
        resolved_at=last.resolved_at,
        frames=last.anomaly.frames if last.anomaly is not None else None,
        notified=course.notified,
        held_back=course.held_back,
        why=course.first.why,
    )


def _pairs(
    before: Sequence[SimulatedIncident], after: Sequence[SimulatedIncident]
) -> list[tuple[SimulatedIncident, SimulatedIncident]]:
    """Return which incident is which: of one id, or else about the same and standing at the same time."""
    by_id = {one.id: one for one in after}
    pairs = [(one, by_id[one.id]) for one in before if one.id in by_id]
    known = {one.id for one, _ in pairs}
    waiting: dict[_Source, deque[SimulatedIncident]] = defaultdict(deque)
    for other in after:
        if other.id not in known:
            waiting[_source(other)].append(other)
    for one in before:
        candidates = waiting[_source(one)] if one.id not in known else deque()
        while candidates and _end(candidates[0]) < one.opened_at:  # over before this one, or any later one
            candidates.popleft()
        if candidates and candidates[0].opened_at <= _end(one):
            pairs.append((one, candidates.popleft()))
    return sorted(pairs, key=lambda pair: (pair[0].opened_at, pair[0].id))


def _difference(now: SimulatedIncident, proposed: SimulatedIncident) -> IncidentDifference:
    both_over = now.resolved_at is not None and proposed.resolved_at is not None
    return IncidentDifference(
        now=now,
        proposed=proposed,
        opened_later_seconds=(proposed.opened_at - now.opened_at).total_seconds(),
        resolved_later_seconds=(_end(proposed) - _end(now)).total_seconds() if both_over else None,
    )


def _alike(now: SimulatedIncident, proposed: SimulatedIncident) -> bool:
    """Tell whether nothing differs; two sets of rules may word the same reason in two ways."""
    same = {"id": proposed.id, "why": proposed.why}
    return now.model_copy(update=same) == proposed


def _source(one: SimulatedIncident) -> _Source:
    return one.kind, one.camera or "", one.product or ""


def _end(one: SimulatedIncident) -> datetime:
    return one.resolved_at or _NEVER


def _totals(incidents: Sequence[SimulatedIncident]) -> SimulatedTotals:
    return SimulatedTotals(
        incidents=len(incidents),
        by_kind=dict(sorted(Counter(one.kind for one in incidents).items())),
        by_severity=dict(sorted(Counter(one.severity for one in incidents).items())),
        notifications=sum(one.notified for one in incidents),
        held_back=sum(one.held_back for one in incidents),
    )
