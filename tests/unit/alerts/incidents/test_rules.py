"""What time alone changes, how serious an anomaly is, and rules of a line file that contradict themselves."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from alerts.incidents import acts
from alerts.incidents.incident import Incident
from alerts.incidents.rules import IncidentRules
from alerts.incidents.severity import severity_of
from steadyline.alert_rules import SeverityLimits
from steadyline.contracts.alert import AnomalyFacts, Region
from tests.support.incidents import DAY, RuleRun, a_line, a_verdict

HOUR = timedelta(hours=1)


def opened() -> tuple[RuleRun, Incident]:
    """Return a run with one open incident, whose acknowledgement would lapse after two hours."""
    going = RuleRun(a_line(product={"at_once": 2, "close_frames": 2, "acknowledge_lapse": "2h"}))
    (incident,) = going.observe(a_verdict(1, "x")).standing
    return going, incident


def some_facts(p_value: float, margin: int | None = None, area: float | None = None) -> AnomalyFacts:
    return AnomalyFacts(
        first_frame="c1/7/1",
        last_frame="c1/7/1",
        frames=1,
        worst_frame="c1/7/1",
        score=3,
        threshold=2,
        p_value=p_value,
        model_version=3,
        region=Region(x=0, y=0),
        certified_margin=margin,
        area=area,
    )


def test_an_acknowledgement_lapses_and_is_told_again() -> None:
    going, incident = opened()
    going.act(acts.acknowledge(incident, "ada", DAY))
    going.elapse(DAY + HOUR)
    assert going.told[-1] == ("anomaly", "acknowledged")
    going.elapse(DAY + 2 * HOUR).elapse(DAY + 3 * HOUR)
    assert going.told[-2:] == [("anomaly", "acknowledged"), ("anomaly", "lapsed")]
    assert [one.state for one in going.standing] == ["open"]
    assert "acknowledge_lapse" in going.changes[-1].why


def test_an_acknowledgement_holds_until_the_condition_clears() -> None:
    going, incident = opened()
    going.act(acts.acknowledge(incident, "ada", DAY))
    going.observe(a_verdict(2, "g"), a_verdict(3, "g")).elapse(DAY + 9 * HOUR)
    assert [change for _, change in going.told] == ["opened", "acknowledged", "resolved"]


def test_a_snooze_ends_when_it_said_it_would() -> None:
    going, incident = opened()
    going.act(acts.snooze(incident, "ada", DAY, DAY + HOUR))
    going.elapse(DAY + HOUR / 2)
    assert [one.state for one in going.standing] == ["snoozed"]
    going.elapse(DAY + HOUR).elapse(DAY + 2 * HOUR)
    assert [change for _, change in going.told] == ["opened", "snoozed", "woken"]
    assert [(one.state, one.snoozed_until) for one in going.standing] == [("open", None)]


def test_an_incident_of_a_product_that_is_gone_lapses_all_the_same() -> None:
    _, incident = opened()
    taken = acts.acknowledge(incident.with_changes(product="door"), "ada", DAY).incident
    outcome = IncidentRules(a_line()).elapsed(None, [taken], DAY + 9 * HOUR)
    assert [change.change for change in outcome.changes] == ["lapsed"]


@pytest.mark.parametrize(
    ("p_value", "margin", "severity"),
    [
        (0.5, None, "info"),
        (0.02, None, "warning"),
        (0.002, None, "critical"),
        (0.5, 3, "info"),
        (0.5, 4, "critical"),
        (0.001, 0, "critical"),
    ],
)
def test_severity_follows_from_p_value_and_certified_margin(
    p_value: float, margin: int | None, severity: str
) -> None:
    found, why = severity_of(SeverityLimits(critical_margin=4), some_facts(p_value, margin))
    assert found == severity
    assert why.startswith(severity)


@pytest.mark.parametrize(
    ("p_value", "area", "severity"),
    [
        (0.5, None, "info"),
        (0.5, 0.09, "info"),
        (0.5, 0.1, "warning"),
        (0.02, 0.1, "warning"),
        (0.02, 0.3, "critical"),
        (0.001, 0.0, "critical"),
    ],
)
def test_severity_follows_from_the_area_where_a_limit_is_set(
    p_value: float, area: float | None, severity: str
) -> None:
    found, why = severity_of(
        SeverityLimits(warning_area=0.1, critical_area=0.3), some_facts(p_value, 0, area)
    )
    assert found == severity
    assert why.startswith(severity)
    assert severity_of(SeverityLimits(), some_facts(0.5, 0, area))[0] == "info"


def test_a_margin_decides_nothing_where_no_limit_is_set() -> None:
    assert severity_of(SeverityLimits(), some_facts(0.5, 255))[0] == "info"


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ({"open_frames": {"anomalous": 6, "of": 5}}, "6 anomalous frames are never among 5"),
        ({"severity": {"critical_p_value": 0.5}}, "critical_p_value is above warning_p_value"),
        ({"at_once": 1}, "greater than 1"),
        ({"acknowledge_lapse": "0s"}, "alerts.acknowledge_lapse"),
        ({"open_pieces": {}}, "Extra inputs"),
        ({"open_parts": {"anomalous": 3, "of": 2}}, "3 anomalous parts are never among 2"),
        ({"severity": {"warning_area": 0.2, "critical_area": 0.1}}, "warning_area is above critical_area"),
    ],
)
def test_rules_that_can_never_hold_are_refused(rules: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        a_line(product=rules)
