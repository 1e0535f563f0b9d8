"""Which of the last parts of a camera were anomalous: a part is when any of its frames is."""

from collections.abc import Sequence

from alerts.incidents.anomaly_facts import facts_of, together
from steadyline.alert_rules import PartCount
from steadyline.contracts.alert import AnomalyFacts
from steadyline.contracts.frame import FrameId
from steadyline.contracts.message import Part
from steadyline.contracts.score import Score


class SeenPart(Part):
    """A part that was before the camera, and its anomalous frames taken together, if it has any."""

    name: str
    facts: AnomalyFacts | None = None


SeenParts = tuple[SeenPart, ...]


def after_frame(parts: SeenParts, score: Score, rule: PartCount | None) -> SeenParts:
    """Return the last parts, in the order they came, after one more frame; a part that comes back keeps its
    place among them. A frame that names no part changes nothing.
    """
    if rule is None:
        return ()
    if score.part is None:
        return parts
    before = next((one for one in parts if one.name == score.part), None)
    now = before or SeenPart(name=score.part)
    if score.verdict == "anomalous":
        facts = facts_of(score)
        now = SeenPart(name=score.part, facts=together((now.facts, facts)) if now.facts else facts)
    if before is None:
        return (*parts, now)[-rule.of :]
    return parts if now is before else tuple(now if one is before else one for one in parts)


def anomalous_parts(parts: Sequence[SeenPart]) -> list[AnomalyFacts]:
    """Return the facts of each part that was anomalous, by its first anomalous frame."""
    return sorted((one.facts for one in parts if one.facts is not None), key=_began)


def _began(facts: AnomalyFacts) -> tuple[int, int]:
    frame = FrameId.parse(facts.first_frame)
    return frame.epoch, frame.sequence
