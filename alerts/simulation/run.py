"""One set of rules over observations that come one after another: pure, and it keeps no observation."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter

from alerts.incidents.incident import Incident, IncidentChange
from alerts.incidents.limit import LIMIT_WORDS, LimitState, admit
from alerts.incidents.observation import Observation, scope_of
from alerts.incidents.rules import IncidentRules, RulesOutcome, RuleState
from steadyline.line import Line

_Place = tuple[datetime, str, int]


@dataclass(slots=True)
class SimulatedScope:
    """What the rules remember of one scope, and its incidents that are not over."""

    state: RuleState | None = None
    standing: dict[str, Incident] = field(default_factory=dict)
    reached: datetime | None = None  # the latest moment of its changes
    told: int = 0  # changes that are not silent

    def take(self, state: RuleState, changes: Iterable[IncidentChange]) -> None:
        """Go on from what one step has made."""
        self.state = state
        for change in changes:
            if change.incident.is_over:
                self.standing.pop(change.incident.id, None)
            else:
                self.standing[change.incident.id] = change.incident

    def place(self, name: str, change: IncidentChange) -> _Place:
        """Return where a change stands among those of all scopes: by its moment, and in its scope's order."""
        at = change.incident.changed_at
        self.reached = at if self.reached is None else max(self.reached, at)
        self.told += 1
        return self.reached, name, self.told


@dataclass(slots=True)
class SimulatedCourse:
    """One incident from its opening to its last change."""

    first: IncidentChange
    last: Incident
    notified: int = 0
    held_back: int = 0


@dataclass(slots=True)
class SimulatedRun:
    """Shows observations to the rules of ``line``, and keeps what they open and change.

    Scopes do not know of one another, so the observations of each must be in their order and no more. The
    notification limit looks over all of them: it is applied at the end, to the changes in the order of their
    moments.
    """

    line: Line
    rules: IncidentRules = field(init=False)
    scopes: dict[str, SimulatedScope] = field(default_factory=dict)
    changes: list[tuple[_Place, IncidentChange]] = field(default_factory=list)  # those that are not silent
    last: dict[str, Incident] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rules = IncidentRules(self.line)

    def observe(self, observation: Observation) -> RulesOutcome:
        """Take one observation in; returns what the rules make of it."""
        name = scope_of(observation)
        scope = self.scopes.setdefault(name, SimulatedScope())
        step = self.rules.observe(scope.state, list(scope.standing.values()), observation)
        scope.take(step.state, step.changes)
        for change in step.changes:
            self.last[change.incident.id] = change.incident
            if not change.is_silent:
                self.changes.append((scope.place(name, change), change))
        return step

    def courses(self) -> list[SimulatedCourse]:
        """Return every incident by its opening, with how often it notifies and how often it is held back."""
        limit, found = LimitState(), dict[str, SimulatedCourse]()
        for _, change in sorted(self.changes, key=itemgetter(0)):
            id = change.incident.id
            course = found.setdefault(id, SimulatedCourse(change, self.last[id]))
            limit, held_by, _ = admit(self.line, limit, change)
            if held_by is None:
                course.notified += 1
            elif held_by in LIMIT_WORDS:
                course.held_back += 1
        return list(found.values())
