"""The rules as one: an observation, or time, and what is remembered go in; changes come out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from alerts.incidents.camera_rules import CameraMemory, SeenStatus, observe_status, silence
from alerts.incidents.change import Subject, lapsed, woken
from alerts.incidents.incident import Incident, IncidentChange
from alerts.incidents.line_rules import LineMemory, observe_line
from alerts.incidents.model_rules import ModelMemory, observe_event
from alerts.incidents.observation import LineSeen, ModelSeen, Observation, ScoreSeen, StatusSeen
from alerts.incidents.score_rules import ScoreMemory, SeenScore, observe_score
from steadyline.alert_rules import ProductAlerts
from steadyline.contracts.message import Part
from steadyline.line import Line


class RuleState(Part):
    """What the rules remember of one scope; one of the four."""

    scores: ScoreMemory | None = None
    camera: CameraMemory | None = None
    model: ModelMemory | None = None
    line: LineMemory | None = None


@dataclass(frozen=True, slots=True)
class RulesOutcome:
    """What an observation, or time, makes of a scope.

    ``ignored`` is the fixed word why an observation was passed over: ``late``, ``repeated``, ``outdated``,
    ``unknown_camera``, ``unknown_product``, ``foreign_frame`` or ``not_finite``. Nothing has changed then.
    """

    state: RuleState
    changes: tuple[IncidentChange, ...] = ()
    ignored: str | None = None


class IncidentRules:
    """The rules of one line: no clock, no memory of their own; the same in gives the same out."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._cameras = frozenset(camera.id for camera in line.cameras)
        self._quiet = frozenset(line.alerts.quiet)

    def observe(
        self, state: RuleState | None, open_incidents: Sequence[Incident], observation: Observation
    ) -> RulesOutcome:
        """Take one observation in.

        ``open_incidents`` are those of its scope that are not resolved. The changes are in order, and each
        incident in them is as its change left it. What people have done to an incident since is respected.
        """
        state = state or RuleState()
        unknown = self._unknown(observation)
        if unknown is not None:
            return RulesOutcome(state, ignored=unknown)
        outcome = self._step(state, open_incidents, observation)
        return replace(outcome, changes=self._audible(outcome.changes))

    def elapsed(
        self, state: RuleState | None, open_incidents: Sequence[Incident], now: datetime
    ) -> RulesOutcome:
        """Let time pass up to ``now``, by our clock; only once the topic of the scope is read to its end.

        Snoozes end, acknowledgements lapse, and a camera that says nothing counts as down.
        """
        state = state or RuleState()
        changes = [change for incident in open_incidents if (change := self._due(incident, now)) is not None]
        if state.camera is not None:
            memory, more = silence(self._line, state.camera, open_incidents, now)
            state = state.model_copy(update={"camera": memory})
            changes += more
        return RulesOutcome(state, self._audible(changes))

    def _step(
        self, state: RuleState, open_incidents: Sequence[Incident], observation: Observation
    ) -> RulesOutcome:
        match observation:
            case ScoreSeen(score=score, traceparent=trace):
                subject = Subject(self._line.line, score.product, score.camera)
                seen = SeenScore(score, subject, self._line.products[score.product], trace)
                step = observe_score(state.scores or ScoreMemory(), open_incidents, seen)
                return RulesOutcome(RuleState(scores=step.memory), step.changes, step.ignored)
            case StatusSeen(status=status):
                told = SeenStatus(status, self._line.line, self._line.alerts.camera_states)
                camera = observe_status(state.camera, open_incidents, told)
                return RulesOutcome(RuleState(camera=camera.memory), camera.changes, camera.ignored)
            case ModelSeen(event=event):
                model = observe_event(state.model, open_incidents, event, self._line.line)
                return RulesOutcome(RuleState(model=model.memory), model.changes, model.ignored)
            case LineSeen():
                line = observe_line(state.line, open_incidents, observation, self._line.alerts)
                return RulesOutcome(RuleState(line=line.memory), line.changes)
            case _:
                assert_never(observation)

    def _unknown(self, observation: Observation) -> str | None:
        match observation:
            case ScoreSeen(score=about) | StatusSeen(status=about):
                if self._cameras and about.camera not in self._cameras:
                    return "unknown_camera"
                return None if about.product in self._line.products else "unknown_product"
            case ModelSeen(event=event):
                return None if event.product in self._line.products else "unknown_product"
            case LineSeen():
                return None

    def _lapse(self, incident: Incident) -> timedelta:
        """Return how long an acknowledgement holds; the product may be gone from the line file since."""
        product = self._line.products.get(incident.product or "")
        return (product.alerts if product is not None else ProductAlerts()).acknowledge_lapse

    def _due(self, incident: Incident, now: datetime) -> IncidentChange | None:
        if incident.state == "snoozed" and incident.snoozed_until is not None:
            over = now >= incident.snoozed_until
            return woken(incident, now, "the snooze is over and the incident still stands") if over else None
        if incident.state == "acknowledged" and incident.acknowledged_at is not None:
            why = f"acknowledged at {incident.acknowledged_at:%F %T} and not over since (acknowledge_lapse)"
            return (
                lapsed(incident, now, why)
                if now >= incident.acknowledged_at + self._lapse(incident)
                else None
            )
        return None

    def _audible(self, changes: Iterable[IncidentChange]) -> tuple[IncidentChange, ...]:
        """Return the changes, those of the line's quiet kinds without a notification."""
        return tuple(
            replace(change, notify=False) if change.incident.kind in self._quiet else change
            for change in changes
        )
