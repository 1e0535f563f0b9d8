"""Why a frame opened an incident, or why it did not: its camera's scores replayed up to it, told in words."""

from collections import deque
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from alerts.incidents.incident import IncidentChange
from alerts.incidents.observation import ScoreSeen
from alerts.simulation.run import SimulatedRun
from steadyline.alert_rules import ProductAlerts
from steadyline.contracts.message import AwareDatetime, Part
from steadyline.contracts.score import Score, Verdict
from steadyline.line import Line

FrameEffect = Literal["opened", "merged", "risen", "resolved", "counted", "none", "passed_over"]

# Why the rules passed a score over: the fixed words of RulesOutcome.
_IGNORED = {
    "late": "it came after newer frames of its camera",
    "repeated": "it had been taken before",
    "unknown_camera": "the line file has no such camera",
    "unknown_product": "the line file has no such product",
    "foreign_frame": "it is not of the camera that it names",
    "not_finite": "its score is no finite number",
}


class FrameWhy(Part):
    """What the rules in force make of one frame, its camera's scores before it taken into account."""

    frame: str
    camera: str
    product: str
    captured_at: AwareDatetime
    verdict: Verdict
    score: float
    threshold: float
    p_value: float
    model_version: int
    effect: FrameEffect = Field(
        description="opened, merged into, raised or resolved an incident; counted towards one that was not "
        "opened; none; or passed_over."
    )
    incident: str | None = Field(description="The incident that it opened, merged into, raised or resolved.")
    anomalous: int = Field(
        description="Anomalous frames among the last ones of the camera, this one included."
    )
    of: int = Field(description="How many last frames those are (open_frames.of, or fewer at the beginning).")
    needed: int = Field(description="How many of them must be anomalous (open_frames.anomalous).")
    replayed: int = Field(description="Scores of the camera that were replayed, this one included.")
    text: list[str] = Field(description="All of it in sentences.")


def why_frame(line: Line, scores: Iterable[ScoreSeen], frame: str) -> FrameWhy | None:
    """Return why; None when the frame is not among ``scores``, which are one camera's in their order.

    What people have done meanwhile is not replayed: an incident that somebody closed stands here until good
    frames end it.
    """
    run, replayed = SimulatedRun(line), 0
    recent: dict[str, deque[bool]] = {}  # by product: the verdicts that may count
    for seen in scores:
        score, replayed = seen.score, replayed + 1
        product = line.products.get(score.product)
        rules = product.alerts if product is not None else ProductAlerts()
        last = recent.setdefault(score.product, deque(maxlen=rules.open_frames.of))
        outcome = run.observe(seen)
        if outcome.ignored is None:
            last.append(score.verdict == "anomalous")
        changes = [one for one in outcome.changes if one.incident.kind == "anomaly"]
        if score.frame == frame:
            counted = _Counted(sum(last), len(last), rules)
            return _told(score, outcome.ignored, changes, (counted, replayed))
        if any(change.incident.is_over for change in changes):
            last.clear()  # what led to an incident that is over counts towards no other
    return None


class _Counted:
    """How many of the last frames are anomalous, and by which rules that is judged."""

    def __init__(self, anomalous: int, of: int, rules: ProductAlerts) -> None:
        self.anomalous, self.of, self.rules = anomalous, of, rules


def _told(
    score: Score, ignored: str | None, changes: list[IncidentChange], known: tuple[_Counted, int]
) -> FrameWhy:
    counted, replayed = known
    change = changes[-1] if changes else None
    effect = _effect(score, ignored, change)
    return FrameWhy(
        frame=score.frame,
        camera=score.camera,
        product=score.product,
        captured_at=score.captured_at,
        verdict=score.verdict,
        score=score.score,
        threshold=score.threshold,
        p_value=score.p_value,
        model_version=score.model_version,
        effect=effect,
        incident=change.incident.id if change is not None else None,
        anomalous=counted.anomalous,
        of=counted.of,
        needed=counted.rules.open_frames.anomalous,
        replayed=replayed,
        text=[_judged(score), *_because(effect, ignored, change, counted)],
    )


def _effect(score: Score, ignored: str | None, change: IncidentChange | None) -> FrameEffect:
    if ignored is not None:
        return "passed_over"
    if change is None:
        return "counted" if score.verdict == "anomalous" else "none"
    match change.change:
        case "opened" | "risen" | "resolved":
            return change.change
        case _:
            return "merged"


def _judged(score: Score) -> str:
    side = "over" if score.score > score.threshold else "not over"
    return (
        f"Frame {score.frame} was judged {score.verdict} by version {score.model_version} of "
        f"{score.product}: its score {score.score:.4g} is {side} the threshold {score.threshold:.4g} "
        f"(p {score.p_value:.3g})."
    )


def _because(
    effect: FrameEffect, ignored: str | None, change: IncidentChange | None, counted: _Counted
) -> list[str]:
    rules, needed = counted.rules, counted.rules.open_frames
    shares = f"{counted.anomalous} of the last {counted.of} frames of the camera are anomalous"
    if ignored is not None:
        return [f"The rules passed it over: {_IGNORED.get(ignored, ignored.replace('_', ' '))} ({ignored})."]
    if change is not None:
        did = {
            "opened": "It opened the incident",
            "risen": "It raised the severity of the incident",
            "resolved": "It ended the incident",
        }.get(effect, "It merged into the incident")
        return [f"{did} {change.incident.id}: {change.why}."]
    if effect == "none":
        return ["A frame that is judged normal opens no incident.", f"{shares[0].upper()}{shares[1:]}."]
    at_once = (
        "no single frame opens an incident (at_once is null)"
        if rules.at_once is None
        else f"its score is not beyond {rules.at_once:g} times the threshold (at_once)"
    )
    return [
        f"It counts towards an incident and opened none: {shares}, {needed.anomalous} of {needed.of} are "
        f"needed (open_frames), and {at_once}."
    ]
