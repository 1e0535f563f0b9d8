"""What is known of anomalous frames, of one and of several together."""

from collections.abc import Iterable
from functools import reduce

from alerts.incidents.severity import is_worse
from steadyline.contracts.alert import AnomalyFacts, Region
from steadyline.contracts.score import Score


def facts_of(score: Score) -> AnomalyFacts:
    """Return the facts of one anomalous frame."""
    # Releases whose models have no certified part write neither field.
    proven = score.certified_verdict == "anomalous"
    return AnomalyFacts(
        first_frame=score.frame,
        last_frame=score.frame,
        frames=1,
        worst_frame=score.frame,
        score=score.score,
        threshold=score.threshold,
        p_value=score.p_value,
        model_version=score.model_version,
        region=Region(x=score.peak.x, y=score.peak.y),
        picture_uri=score.picture_uri,
        map_uri=score.map_uri,
        certified_margin=score.certified_margin if proven else None,
        part=score.part,
        area=score.area,
    )


def together(parts: Iterable[AnomalyFacts]) -> AnomalyFacts:
    """Return the facts of all these frames, in their order: the figures are those of the worst."""
    return reduce(_both, parts)


def _both(before: AnomalyFacts, after: AnomalyFacts) -> AnomalyFacts:
    worst = after if is_worse(after, before) else before
    return worst.model_copy(
        update={
            "first_frame": before.first_frame,
            "last_frame": after.last_frame,
            "frames": before.frames + after.frames,
        }
    )


def figures(facts: AnomalyFacts) -> str:
    """Return the figures of the worst frame in words."""
    found = f"score {facts.score:.4g} over the threshold {facts.threshold:.4g} (p {facts.p_value:.3g})"
    found += f" on {facts.area:.2%} of the map" if facts.area is not None else ""
    return found + (f", part {facts.part}" if facts.part is not None else "")
