"""What strangers cannot do: ask without end, send without end, learn how we are made."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alerts.api.dependencies import ApiSettings
from alerts.api.rate import MOST_KEYS, RateLimiter, RequestRate, address_key
from steadyline.clock import ManualClock
from steadyline.settings import TelemetrySettings
from steadyline.telemetry.logs import configure_logs
from tests.support.alerts_api import ApiUnderTest, an_api, reason_of

FEW = RequestRate(per_second=1, burst=3)


def test_a_bucket_refills_with_time() -> None:
    clock = ManualClock()
    limiter = RateLimiter(FEW, clock)
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 1]
    assert limiter.take("b") == 0
    clock.advance(timedelta(seconds=1))
    assert [limiter.take("a"), limiter.take("a")] == [0, 1]


def test_a_flood_of_keys_takes_no_memory_without_end() -> None:
    limiter = RateLimiter(FEW, ManualClock())
    for number in range(MOST_KEYS + 50):
        limiter.take(str(number))
    assert len(limiter._buckets) == MOST_KEYS


def test_one_host_of_ipv6_is_one_address() -> None:
    assert address_key("2001:db8::1") == address_key("2001:db8::ffff:2")
    assert address_key("2001:db8::1") != address_key("2001:db8:0:1::1")
    assert address_key("10.0.0.1") != address_key("10.0.0.2")


def test_a_token_that_asks_too_often_is_told_when_to_ask_again(tmp_path: Path) -> None:
    with an_api(tmp_path, settings=ApiSettings(per_token=FEW)) as api:
        viewer, other = api.as_("viewer"), api.as_("viewer")
        answers = [api.client.get("/api/v1/tokens/self", headers=viewer) for _ in range(4)]
        assert [one.status_code for one in answers] == [200, 200, 200, 429]
        assert (reason_of(answers[-1]), answers[-1].headers["retry-after"]) == ("too_many_requests", "1")
        assert api.client.get("/api/v1/tokens/self", headers=other).status_code == 200
        api.clock.advance(timedelta(seconds=1))
        assert api.client.get("/api/v1/tokens/self", headers=viewer).status_code == 200


def test_an_address_that_asks_too_often_is_refused_whatever_it_asks(tmp_path: Path) -> None:
    with an_api(tmp_path, settings=ApiSettings(per_address=FEW)) as api:
        answers = [api.client.get("/nothing") for _ in range(4)]
        assert [reason_of(one) for one in answers] == ["not_found"] * 3 + ["too_many_requests"]


def test_who_tries_tokens_is_slowed_down(tmp_path: Path) -> None:
    with an_api(tmp_path, settings=ApiSettings(failures_per_address=FEW)) as api:
        tried = [
            api.client.get("/api/v1/incidents", headers={"Authorization": f"Bearer sl_{number}"})
            for number in range(4)
        ]
        assert [one.status_code for one in tried] == [401, 401, 401, 429]


def test_a_body_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with an_api(tmp_path, settings=replace(ApiSettings(), most_body_bytes=1000)) as api:
        operator = api.as_("operator", Content_Type="application/json")
        said = api.client.post("/api/v1/feedback", content=b" " * 1001, headers=operator)
        unsaid = api.client.post("/api/v1/feedback", content=iter([b" " * 600] * 2), headers=operator)
        for answer in (said, unsaid):
            assert (answer.status_code, reason_of(answer)) == (413, "body_too_large")


@pytest.mark.parametrize("path", ["/api/v1/tokens/self", "/nothing", "/api/v1/incidents"])
def test_every_answer_has_the_headers_of_security_and_an_id(api: ApiUnderTest, path: str) -> None:
    answer = api.client.get(path, headers=api.as_("viewer", X_Request_Id="line-7.42"))
    assert answer.headers["x-request-id"] == "line-7.42"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers
    forged = api.client.get(path, headers=api.as_("viewer", X_Request_Id="a b"))
    assert forged.headers["x-request-id"] != "a b"


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [("get", "/nothing", "not_found"), ("patch", "/api/v1/incidents", "method_not_allowed")],
)
def test_what_is_not_there_is_a_problem_too(api: ApiUnderTest, method: str, path: str, reason: str) -> None:
    assert reason_of(api.client.request(method, path, headers=api.as_("admin"))) == reason


@pytest.mark.parametrize("body", [b"{", b"\xff", b'"x"', b"[]", b"null", b"NaN", b"[" * 50_000])
def test_a_body_that_cannot_be_read_is_a_problem(api: ApiUnderTest, body: bytes) -> None:
    headers = api.as_("operator", Content_Type="application/json")
    answer = api.client.post("/api/v1/feedback", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert reason_of(answer) in ("invalid_request", "malformed_request")


def test_what_is_wrong_is_named_and_not_repeated(api: ApiUnderTest) -> None:
    answer = api.client.post(
        "/api/v1/feedback", json={"frame": "x" * 200, "label": "hidden-word"}, headers=api.as_("operator")
    )
    assert {one["where"] for one in answer.json()["errors"]} == {"body.frame", "body.label"}
    assert "hidden-word" not in answer.text


def test_a_bug_is_a_problem_that_tells_nothing(api: ApiUnderTest) -> None:
    configure_logs(
        "alerts", TelemetrySettings()
    )  # by default a stack is drawn in colour, which takes a minute
    incident, operator = api.open_incident(), api.as_("operator")
    api.changes.write = None  # type: ignore[assignment]
    answer = api.client.post(f"/api/v1/incidents/{incident.id}/acknowledge", headers=operator)
    assert (answer.status_code, reason_of(answer)) == (500, "bug")
    assert "NoneType" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_requests_are_counted_by_the_route_and_never_by_what_was_sent(api: ApiUnderTest) -> None:
    api.client.get(f"/api/v1/incidents/{'a' * 32}", headers=api.as_("viewer"))
    api.client.get("/made/up")
    counted = [(one.method, one.route, one.status, one.reason) for one in api.answered]
    assert counted == [
        ("GET", "/incidents/{incident}", 404, "no_such_incident"),
        ("GET", "none", 404, "not_found"),
    ]
