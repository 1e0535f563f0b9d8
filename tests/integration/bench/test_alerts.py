"""What the bench of deliveries counts: what came, twice, out of order; and what it holds that against."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from bench.alerts.deliveries import DeliveryFigures, EndpointFigures
from bench.alerts.endpoints import Arrival, BenchEndpoint, endpoint, five_endpoints
from bench.alerts.report import delivery_section, takeover_section
from bench.alerts.takeover import TakeoverFigures, first_after
from tests.support.alert_outbox import an_alert, incident_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def arrival(incident: int, sequence: int, second: float = 0.0, **changes: object) -> Arrival:
    alert = an_alert(incident=incident_of(incident), sequence=sequence, **changes)
    return Arrival(f"{incident}/{sequence}", NOON + timedelta(seconds=second), alert)


def an_endpoint(*arrivals: Arrival) -> BenchEndpoint:
    return BenchEndpoint("one", "http://127.0.0.1:1/", arrivals=list(arrivals))


def test_what_comes_twice_is_counted_and_is_no_disorder() -> None:
    one = an_endpoint(arrival(1, 1), arrival(2, 1), arrival(1, 1), arrival(1, 2))
    assert (one.doubled(), one.out_of_order(), len(one.changes())) == (1, 0, 3)


def test_what_comes_after_a_later_change_of_its_incident_is_out_of_order() -> None:
    assert an_endpoint(arrival(1, 2), arrival(2, 1), arrival(1, 1)).out_of_order() == 1


@pytest.fixture
def endpoints() -> Iterator[list[BenchEndpoint]]:
    with five_endpoints() as made:
        yield made


def test_of_five_endpoints_one_is_dead_and_the_others_keep_what_they_took(
    endpoints: list[BenchEndpoint],
) -> None:
    assert [one.is_live for one in endpoints] == [True, True, True, True, False]
    with pytest.raises(httpx.ConnectError):
        httpx.post(endpoints[-1].url, json={})
    body = {"data": an_alert().model_dump(mode="json")}
    answer = httpx.post(endpoints[2].url, json=body, headers={"webhook-id": "x"}, timeout=30)
    assert answer.status_code == 204
    assert [(one.id, one.alert) for one in endpoints[2].arrivals] == [("x", an_alert())]


def test_what_an_endpoint_refused_it_has_not_got() -> None:
    with endpoint("away", lambda: 503) as one:
        body = {"data": an_alert().model_dump(mode="json")}
        assert httpx.post(one.url, json=body, headers={"webhook-id": "x"}, timeout=30).status_code == 503
    assert (one.arrivals, one.refused) == ([], 1)


def figures(is_live: bool = True, got: int = 10, out_of_order: int = 0) -> EndpointFigures:
    return EndpointFigures("one", is_live, 10, got, 2, out_of_order, 0, 3.0 if got == 10 else None)


def test_a_live_endpoint_is_promised_everything_in_order_and_a_dead_one_nothing() -> None:
    assert figures().is_as_promised
    assert figures(is_live=False, got=0).is_as_promised
    assert not figures(got=9).is_as_promised
    assert not figures(out_of_order=1).is_as_promised
    whole = DeliveryFigures(10, 5.0, 3, [figures(), figures(is_live=False, got=0)])
    assert (whole.is_as_promised, whole.per_second) == (True, 2.0)
    section = delivery_section("sqlite", whole)
    assert [row[-1] for row in section.rows] == ["3 s", "never"]
    assert "as promised" in section.note


def test_a_takeover_counts_from_the_kill_to_the_first_new_incident_of_each_camera() -> None:
    before = arrival(1, 1, 9.0, at=NOON - timedelta(seconds=1))
    later = [
        arrival(n, 1, s, at=NOON + timedelta(seconds=1), camera=c)
        for n, s, c in ((2, 7.0, "a"), (3, 8.0, "a"), (4, 2.0, "b"))
    ]
    found = TakeoverFigures(first_after(an_endpoint(before, *later), NOON))
    assert found.seconds == {"a": 7.0, "b": 2.0}
    assert (found.longest, found.is_as_promised) == (7.0, True)
    assert not TakeoverFigures({"a": 10.1}).is_as_promised
    assert [row[0] for row in takeover_section("sqlite", found).rows] == ["a", "b"]
