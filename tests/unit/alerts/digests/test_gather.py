"""What of the collected alerts a digest tells."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.digests.gather import gather, title_of
from alerts.incidents.incident import SEVERITIES
from steadyline.clock import ManualClock
from steadyline.contracts.alert import Alert
from steadyline.contracts.alert_digest import MOST_ALERTS
from tests.support.alert_outbox import an_alert, incident_of

BEGIN = ManualClock().now()


@st.composite
def a_change(draw: st.DrawFn) -> Alert:
    state = draw(st.sampled_from(["open", "resolved"]))
    return an_alert(
        incident=incident_of(draw(st.integers(1, 400))),
        sequence=draw(st.integers(1, 5)),
        at=BEGIN + timedelta(minutes=draw(st.integers(0, 600))),
        severity=draw(st.sampled_from(SEVERITIES)),
        change="resolved" if state == "resolved" else "opened",
        state=state,
    )


@given(st.lists(a_change(), max_size=500))
@settings(max_examples=40, deadline=None)
def test_each_incident_is_told_once_by_its_newest_change_or_counted(collected: list[Alert]) -> None:
    gathered = gather(collected)
    newest: dict[str, int] = {}
    for alert in collected:
        newest[alert.incident] = max(newest.get(alert.incident, 0), alert.sequence)
    told = [alert.incident for alert in gathered.alerts]
    assert len(told) == len(set(told)) == min(len(newest), MOST_ALERTS)
    assert len(told) + gathered.left_out == len(newest)
    assert all(alert.sequence == newest[alert.incident] for alert in gathered.alerts)
    assert [alert.at for alert in gathered.alerts] == sorted(alert.at for alert in gathered.alerts)


def test_what_is_left_out_is_over_or_less_serious_than_what_is_told() -> None:
    small = [an_alert(incident=incident_of(n), severity="info") for n in range(MOST_ALERTS)]
    serious = an_alert(incident=incident_of(900), severity="critical", at=BEGIN - timedelta(days=1))
    over = an_alert(incident=incident_of(901), severity="critical", change="resolved", state="resolved")
    gathered = gather([serious, over, *small])
    assert gathered.left_out == 2
    assert serious in gathered.alerts
    assert over not in gathered.alerts


def test_the_title_says_how_many_stand() -> None:
    stands, over = an_alert(), an_alert(incident=incident_of(2), change="resolved", state="resolved")
    assert title_of(gather([stands, over])) == "2 incidents, of which stand: 1 warning"
    assert title_of(gather([over])) == "1 incident, none of them stands"
