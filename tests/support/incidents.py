"""Incidents, scores and a line whose rules are small, so that few frames open and close one."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from alerts.incidents.incident import Incident, IncidentChange, incident_id
from alerts.incidents.observation import Observation, ScoreSeen
from alerts.incidents.rules import IncidentRules, RuleState
from steadyline.contracts.alert import AlertChange, Severity
from steadyline.contracts.score import Peak, Score
from steadyline.line import Line

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def a_line(alerts: dict[str, Any] | None = None, product: dict[str, Any] | None = None) -> Line:
    """Return a line of two cameras; ``alerts`` and ``product`` are their rules."""
    return Line.model_validate(
        {
            "line": "line-1",
            "products": {"cell": {"alerts": product or {}}},
            "cameras": [
                {"id": name, "product": "cell", "source": "synthetic:cells"} for name in ("c1", "c2")
            ],
            "alerts": alerts or {},
        }
    )


def an_incident(began: str = "c1/7/1", severity: Severity = "warning", camera: str = "c1") -> Incident:
    """Return an open incident of the kind ``anomaly``, as its first change left it."""
    return Incident(
        id=incident_id("line-1", "anomaly", f"camera/{camera}", began),
        kind="anomaly",
        severity=severity,
        state="open",
        summary=f"Defect on {camera}",
        sequence=1,
        opened_at=DAY,
        changed_at=DAY,
        camera=camera,
        product="cell",
    )


def a_change(incident: Incident, change: AlertChange = "opened", seconds: float = 0) -> IncidentChange:
    """Return a change that a rule has made of an incident, so many seconds into the day."""
    state = "resolved" if change == "resolved" else incident.state
    at = DAY + timedelta(seconds=seconds)
    return IncidentChange(incident.with_changes(changed_at=at, state=state), change, "because")


def a_scored_frame(sequence: int, p_value: float = 0.7, score: float = 1.0, epoch: int = 7) -> Score:
    """Return a score of the camera c1, a second after the frame before; beyond 2 it is anomalous."""
    return Score(
        frame=f"c1/{epoch}/{sequence}",
        camera="c1",
        product="cell",
        captured_at=DAY + timedelta(seconds=sequence),
        scored_at=DAY + timedelta(seconds=sequence, milliseconds=20),
        model_version=3,
        score=score,
        p_value=p_value,
        threshold=2.0,
        threshold_version=1,
        verdict="anomalous" if score > 2 else "normal",
        peak=Peak(x=0.25, y=0.75, value=score),
        source_partition=0,
        source_offset=sequence,
        picture_uri=f"memory://s/{sequence}/picture.jpg",
        map_uri=f"memory://s/{sequence}/map.png",
    )


def a_verdict(sequence: int, letter: str, epoch: int = 7) -> ScoreSeen:
    """Return a frame by a letter: g good, d doubtful, a anomalous, w worse, x far beyond the threshold."""
    p_value, score = {"g": (0.7, 1), "d": (0.03, 1.9), "a": (0.01, 2.5), "w": (0.001, 3), "x": (0.01, 9)}[
        letter
    ]
    return ScoreSeen(
        a_scored_frame(sequence, p_value, score, epoch), "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    )


class RuleRun:
    """Lets the rules observe one scope as the service does: what is remembered goes through JSON."""

    def __init__(self, line: Line) -> None:
        self.rules = IncidentRules(line)
        self.state: RuleState | None = None
        self.incidents: dict[str, Incident] = {}
        self.changes: list[IncidentChange] = []  # those that are not silent
        self.ignored: list[str | None] = []

    @property
    def standing(self) -> list[Incident]:
        """The incidents that are not resolved."""
        return [incident for incident in self.incidents.values() if not incident.is_over]

    @property
    def told(self) -> list[tuple[str, str]]:
        """The kind and the change of all that was told, in order."""
        return [(change.incident.kind, change.change or "") for change in self.changes]

    def observe(self, *observations: Observation) -> "RuleRun":
        """Observe these one after another."""
        for observation in observations:
            outcome = self.rules.observe(self.state, self.standing, observation)
            self.ignored.append(outcome.ignored)
            self._take(outcome.state, outcome.changes)
        return self

    def elapse(self, now: datetime) -> "RuleRun":
        """Let time pass."""
        outcome = self.rules.elapsed(self.state, self.standing, now)
        self._take(outcome.state, outcome.changes)
        return self

    def act(self, change: IncidentChange) -> "RuleRun":
        """Write what a person has done."""
        assert self.state is not None
        self._take(self.state, (change,))
        return self

    def _take(self, state: RuleState, changes: Iterable[IncidentChange]) -> None:
        self.state = RuleState.read(state.model_dump_json().encode())
        for change in changes:
            before = self.incidents.get(change.incident.id)
            sequence = before.sequence if before is not None else 0
            assert before is None or not before.is_over or change.change == "commented"
            assert change.incident.sequence == sequence + (not change.is_silent)
            assert change.why
            self.incidents[change.incident.id] = Incident.read(change.incident.model_dump_json().encode())
            if not change.is_silent:
                change.alert(notify=change.notify).encode()
                self.changes.append(change)
