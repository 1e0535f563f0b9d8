"""How serious an anomaly is, and which of two frames is the worse one."""

from collections.abc import Iterable

from alerts.incidents.incident import SEVERITIES
from steadyline.alert_rules import SeverityLimits
from steadyline.contracts.alert import AnomalyFacts, Severity


def severity_of(limits: SeverityLimits, facts: AnomalyFacts) -> tuple[Severity, str]:
    """Return the severity of a frame's figures, and the rule that gives it."""
    margin, area = facts.certified_margin, facts.area
    if limits.critical_margin is not None and margin is not None and margin >= limits.critical_margin:
        return "critical", f"critical: the certified margin {margin}/255 reaches {limits.critical_margin}/255"
    if facts.p_value <= limits.critical_p_value:
        return "critical", f"critical: p {facts.p_value:.3g} is not above {limits.critical_p_value:g}"
    if limits.critical_area is not None and area is not None and area >= limits.critical_area:
        return "critical", f"critical: the area {area:.2%} of the map reaches {limits.critical_area:.2%}"
    if facts.p_value <= limits.warning_p_value:
        return "warning", f"warning: p {facts.p_value:.3g} is not above {limits.warning_p_value:g}"
    if limits.warning_area is not None and area is not None and area >= limits.warning_area:
        return "warning", f"warning: the area {area:.2%} of the map reaches {limits.warning_area:.2%}"
    return "info", f"info: p {facts.p_value:.3g} is above {limits.warning_p_value:g}"


def most_serious(limits: SeverityLimits, frames: Iterable[AnomalyFacts]) -> tuple[Severity, str]:
    """Return the severity of these frames, of which there is one at least: that of the most serious one.

    It need not be the worst frame: another may show less unlikely figures over more of the map.
    """
    return max((severity_of(limits, facts) for facts in frames), key=lambda one: SEVERITIES.index(one[0]))


def is_rise(before: Severity, after: Severity) -> bool:
    """Return True when ``after`` is more serious than ``before``."""
    return SEVERITIES.index(after) > SEVERITIES.index(before)


def excess(facts: AnomalyFacts) -> float:
    """Return how far the score is beyond the threshold, in thresholds; 0 where the threshold is 0."""
    return (facts.score - facts.threshold) / abs(facts.threshold) if facts.threshold else 0.0


def is_worse(frame: AnomalyFacts, than: AnomalyFacts) -> bool:
    """Return True when ``frame`` is the worse one: less likely normal, or as likely and further beyond.

    Scores of two versions of a model are on two scales, so that they are compared by their thresholds.
    """
    return (-frame.p_value, excess(frame)) > (-than.p_value, excess(than))
