"""What people say of frames, and incidents, as the topics bring them."""

from datetime import UTC, datetime, timedelta

from steadyline.contracts.alert import Alert, AnomalyFacts, IncidentKind, Region
from steadyline.contracts.feedback import Feedback, FrameLabel
from steadyline.contracts.frame import FrameId
from trainer.data.labels import Label
from trainer.data.reservoir import Reservoir

SAID = datetime(2026, 3, 1, tzinfo=UTC)


def a_feedback(frame: str, label: FrameLabel = "defect", product: str = "cell") -> Feedback:
    """Return the message by which somebody labels a frame."""
    camera = frame.split("/")[0]
    return Feedback(frame=frame, camera=camera, product=product, label=label, who="ann", at=SAID)


def say(reservoir: Reservoir, frame: str, label: FrameLabel, at: float = 0) -> None:
    """Let the reservoir read a label that the broker wrote in the second ``at``."""
    reservoir.label(Label.of(a_feedback(frame, label), SAID + timedelta(seconds=at)))


def an_alert(first: str, last: str, kind: IncidentKind = "anomaly", incident: str = "a" * 32) -> Alert:
    """Return a change of an incident that reaches from one frame of a camera to another."""
    facts = AnomalyFacts(
        first_frame=first,
        last_frame=last,
        frames=2,
        worst_frame=first,
        score=3.0,
        threshold=2.0,
        p_value=0.01,
        model_version=1,
        region=Region(x=0, y=0),
    )
    return Alert(
        incident=incident,
        sequence=1,
        change="opened",
        at=SAID,
        why="3 of 5 frames",
        notify=True,
        kind=kind,
        severity="warning",
        state="open",
        summary="anomalous frames",
        camera=first.split("/")[0],
        product="cell",
        opened_at=SAID,
        anomaly=facts if kind == "anomaly" else None,
    )


def an_incident(reservoir: Reservoir, first: str, last: str) -> None:
    """Let the reservoir read of an incident."""
    reservoir.incident(FrameId.parse(first), FrameId.parse(last))
