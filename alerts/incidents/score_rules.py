"""Scores of one camera: anomalous frames open an incident, later ones merge into it, good ones close it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from alerts.incidents.anomaly_facts import facts_of, figures, together
from alerts.incidents.change import Opening, Subject, merged, of_kinds, opened, resolved, risen
from alerts.incidents.drift import DriftMemory, SeenNormal, observe_drift
from alerts.incidents.false_alarm_budget import BudgetMemory, SeenVerdict, observe_budget
from alerts.incidents.incident import Incident, IncidentChange
from alerts.incidents.part_count import SeenParts, after_frame, anomalous_parts
from alerts.incidents.severity import excess, is_rise, most_serious, severity_of
from steadyline.alert_rules import ProductAlerts
from steadyline.contracts.alert import AnomalyFacts
from steadyline.contracts.frame import FrameId
from steadyline.contracts.message import Part
from steadyline.contracts.score import Score
from steadyline.errors import MalformedHeaders
from steadyline.line import Product

_NOTHING_COUNTED: dict[str, object] = {"recent": (), "parts": (), "good": 0}
MOST_EPOCHS = 4  # a former run's spool may come between the frames of a new one


class SeenAnomaly(Part):
    """An anomalous frame that may still count towards an incident, and its place among the frames taken."""

    place: int
    facts: AnomalyFacts


class ScoreMemory(Part):
    """What is remembered of one camera's scores."""

    epochs: tuple[tuple[int, int], ...] = ()  # the newest epochs, each with its last frame taken; ascending
    taken: int = 0  # frames
    recent: tuple[SeenAnomaly, ...] = ()  # anomalous ones of the last frames, while no incident is open
    parts: SeenParts = ()  # the last ones, while no incident is open; in the order they came
    good: int = 0  # in a row, while one is
    incident: str | None = None  # the one that is open as far as the rules know
    drift: DriftMemory | None = None
    budget: BudgetMemory | None = None


@dataclass(frozen=True, slots=True)
class ScoreStep:
    """What a score makes of the memory, and why it was passed over if it was: a fixed word."""

    memory: ScoreMemory
    changes: tuple[IncidentChange, ...] = ()
    ignored: str | None = None


@dataclass(frozen=True, slots=True)
class SeenScore:
    """A score with what it is judged by."""

    score: Score
    subject: Subject
    product: Product
    traceparent: str | None

    @property
    def rules(self) -> ProductAlerts:
        """The product's rules."""
        return self.product.alerts


def observe_score(memory: ScoreMemory, incidents: Sequence[Incident], seen: SeenScore) -> ScoreStep:
    """Take one score in. One that was taken in before, or is older than what was, changes nothing."""
    score = seen.score
    if not (isfinite(score.score) and isfinite(score.threshold)):
        return ScoreStep(memory, ignored="not_finite")
    frame = _frame(score)
    if frame is None:
        return ScoreStep(memory, ignored="foreign_frame")
    late = _late(memory, frame)
    if late is not None:
        return ScoreStep(memory, ignored=late)
    memory = _with_place(memory, frame)
    incident = next(iter(of_kinds(incidents, ("anomaly",))), None)
    if incident is None and memory.incident is not None:  # a person has closed it: all begins anew
        memory = memory.model_copy(update={"incident": None, **_NOTHING_COUNTED})
    if incident is None and (memory.parts or score.part is not None):
        parts = after_frame(memory.parts, score, seen.rules.open_parts)
        memory = memory.model_copy(update={"parts": parts})
    step = _judged(memory, incidents, incident, seen)
    verdict = SeenVerdict(
        score, seen.subject, seen.rules.false_alarms, seen.product.false_alarm_rate, incident is not None
    )
    budget, changes = observe_budget(step.memory.budget, incidents, verdict)
    return ScoreStep(step.memory.model_copy(update={"budget": budget}), (*step.changes, *changes))


def _judged(
    memory: ScoreMemory, incidents: Sequence[Incident], incident: Incident | None, seen: SeenScore
) -> ScoreStep:
    """Take one score in as its verdict wants; ``incident`` is the anomaly that is open."""
    if seen.score.verdict == "anomalous":
        return _merge(memory, incident, seen) if incident is not None else _count(memory, seen)
    healed = _heal(memory, incident, seen) if incident is not None else ScoreStep(_pruned(memory, seen.rules))
    normal = SeenNormal(seen.score, seen.subject, seen.rules.drift, seen.product.false_alarm_rate)
    drift, changes = observe_drift(memory.drift, incidents, normal)
    return ScoreStep(healed.memory.model_copy(update={"drift": drift}), (*healed.changes, *changes))


def _frame(score: Score) -> FrameId | None:
    """Return the id of the score's frame; None when it is not one of the camera that the score names."""
    try:
        frame = FrameId.parse(score.frame)
    except MalformedHeaders:
        return None
    return frame if frame.camera == score.camera else None


def _late(memory: ScoreMemory, frame: FrameId) -> str | None:
    last = dict(memory.epochs).get(frame.epoch)
    if last is not None:
        return None if frame.sequence > last else "repeated" if frame.sequence == last else "late"
    full = len(memory.epochs) == MOST_EPOCHS
    return "late" if full and frame.epoch < memory.epochs[0][0] else None


def _with_place(memory: ScoreMemory, frame: FrameId) -> ScoreMemory:
    epochs = {**dict(memory.epochs), frame.epoch: frame.sequence}
    newest = tuple(sorted(epochs.items())[-MOST_EPOCHS:])
    return memory.model_copy(update={"epochs": newest, "taken": memory.taken + 1})


def _pruned(memory: ScoreMemory, rules: ProductAlerts) -> ScoreMemory:
    oldest = memory.taken - rules.open_frames.of
    recent = tuple(one for one in memory.recent if one.place > oldest)
    return memory if len(recent) == len(memory.recent) else memory.model_copy(update={"recent": recent})


def _count(memory: ScoreMemory, seen: SeenScore) -> ScoreStep:
    """Count an anomalous frame towards an incident, and open it once the rules say so."""
    facts, rules = facts_of(seen.score), seen.rules
    anomaly = SeenAnomaly(place=memory.taken, facts=facts)
    memory = _pruned(memory.model_copy(update={"recent": (*memory.recent, anomaly)}), rules)
    counted = _enough(memory, facts, rules)
    if counted is None:
        return ScoreStep(memory)
    why, frames = counted
    whole = together(frames).model_copy(update={"last_frame": facts.last_frame})  # parts may overlap
    severity, because = most_serious(rules.severity, frames)
    opening = Opening(
        "anomaly",
        severity,
        seen.score.captured_at,
        facts.last_frame,
        _summary(seen.subject, whole),
        f"frame {facts.last_frame} has {figures(facts)}, and {why}; {because}",
    )
    change = opened(seen.subject, opening, whole, seen.traceparent)
    return ScoreStep(
        memory.model_copy(update={**_NOTHING_COUNTED, "incident": change.incident.id}), (change,)
    )


def _enough(
    memory: ScoreMemory, facts: AnomalyFacts, rules: ProductAlerts
) -> tuple[str, list[AnomalyFacts]] | None:
    """Return which rule opens an incident and what counted towards it; None while none does."""
    frames = [one.facts for one in memory.recent]
    if rules.at_once is not None and excess(facts) > rules.at_once - 1:
        return f"its score is beyond {rules.at_once:g} times the threshold (at_once)", frames
    needed = rules.open_frames
    if len(frames) >= needed.anomalous:
        why = f"{len(frames)} of the last {needed.of} frames are anomalous"
        return f"{why} (open_frames: {needed.anomalous})", frames
    wanted = rules.open_parts
    parts = anomalous_parts(memory.parts)
    if wanted is not None and facts.part is not None and len(parts) >= wanted.anomalous:
        why = f"{len(parts)} of the last {wanted.of} parts are anomalous"
        return f"{why} (open_parts: {wanted.anomalous})", parts
    return None


def _merge(memory: ScoreMemory, incident: Incident, seen: SeenScore) -> ScoreStep:
    """Add an anomalous frame to the open incident."""
    facts, at = facts_of(seen.score), seen.score.captured_at
    whole = facts if incident.anomaly is None else together((incident.anomaly, facts))
    after = incident.with_changes(anomaly=whole, summary=_summary(seen.subject, whole))
    severity, because = severity_of(seen.rules.severity, facts)
    why = f"frame {facts.last_frame} has {figures(facts)}"
    if is_rise(incident.severity, severity):
        change = risen(after, severity, at, f"{why}; {because}")
    else:
        change = merged(after, at, why)
    update = {**_NOTHING_COUNTED, "incident": incident.id}
    return ScoreStep(memory.model_copy(update=update), (change,))


def _heal(memory: ScoreMemory, incident: Incident, seen: SeenScore) -> ScoreStep:
    """Count a good frame towards the end of the incident; a doubtful one counts for nothing."""
    rules, score = seen.rules, seen.score
    good = memory.good + (score.p_value >= rules.close_p_value)
    if good < rules.close_frames:
        return ScoreStep(memory.model_copy(update={"good": good, "incident": incident.id}))
    why = (
        f"{good} good frames in a row, up to {score.frame} "
        f"(close_frames: {rules.close_frames}, each with p {rules.close_p_value:g} or more)"
    )
    after = memory.model_copy(update={"good": 0, "incident": None})
    return ScoreStep(after, (resolved(incident, score.captured_at, why),))


def _summary(subject: Subject, facts: AnomalyFacts) -> str:
    frames = "1 anomalous frame" if facts.frames == 1 else f"{facts.frames} anomalous frames"
    return f"Camera {subject.camera}, {subject.product}: {frames}; the worst has {figures(facts)}"
