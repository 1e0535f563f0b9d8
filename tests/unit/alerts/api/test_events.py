"""The stream of changes: it begins where it is told to, goes on, and ends."""

import asyncio
import json
from datetime import timedelta

import pytest

from alerts.api.dependencies import ApiSettings
from alerts.api.routes.events import ChangeStream
from tests.support.alerts_api import ApiUnderTest, an_api, reason_of


def lines(text: str, name: str) -> list[str]:
    """Return the values of one field of the events of a stream."""
    return [line.split(": ", 1)[1] for line in text.splitlines() if line.startswith(f"{name}: ")]


def read(api: ApiUnderTest, secret: str, position: int, enough: int) -> str:
    """Read a stream until it has so many pieces, or ends."""

    async def collect() -> str:
        pieces: list[str] = []
        async for piece in ChangeStream(api.api, secret, position).run():
            pieces.append(piece)
            if len(pieces) == enough:
                api.stop.set()
        return "".join(pieces)

    return asyncio.run(asyncio.wait_for(collect(), 30))


def test_a_stream_goes_on_behind_the_last_event_that_was_received(api: ApiUnderTest) -> None:
    made = [api.open_incident(number).id for number in range(1, 6)]
    text = read(api, api.secret("viewer"), 2, 4)
    assert lines(text, "id") == ["3", "4", "5"]
    told = [json.loads(data) for data in lines(text, "data")]
    assert [one["incident"] for one in told] == made[2:]
    assert "picture_uri" not in text


def test_more_changes_than_one_reading_takes_come_in_order_and_once(api: ApiUnderTest) -> None:
    for number in range(1, 231):
        api.open_incident(number)
    text = read(api, api.secret("viewer"), 0, 231)
    assert lines(text, "id") == [str(number) for number in range(1, 231)]


def test_a_stream_ends_when_the_service_stops(api: ApiUnderTest) -> None:
    api.open_incident()
    api.stop.set()
    answer = api.client.get("/api/v1/events", headers=api.as_("viewer", Last_Event_ID="0"))
    assert (answer.status_code, answer.text) == (200, "retry: 3000\n\n")
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_a_stream_that_has_ended_makes_room_for_another(tmp_path: object) -> None:
    with an_api(tmp_path, settings=ApiSettings(most_streams=1)) as api:  # type: ignore[arg-type]
        api.stop.set()
        for _ in range(3):
            assert api.client.get("/api/v1/events", headers=api.as_("viewer")).status_code == 200
        limits = api.app.state.limits
        assert limits.streams.acquire(blocking=False)
        answer = api.client.get("/api/v1/events", headers=api.as_("viewer"))
        assert (answer.status_code, reason_of(answer)) == (429, "too_many_streams")


def test_a_silent_stream_says_that_it_is_alive(api: ApiUnderTest) -> None:
    async def collect() -> list[str]:
        pieces: list[str] = []
        async for piece in ChangeStream(api.api, api.secret("viewer"), 0).run():
            pieces.append(piece)
            api.clock.advance(timedelta(seconds=15))
            if len(pieces) == 3:
                api.stop.set()
        return pieces

    assert asyncio.run(asyncio.wait_for(collect(), 30))[1:] == [": still here\n\n"] * 2


def test_the_stream_of_a_token_that_has_expired_ends(api: ApiUnderTest) -> None:
    secret = api.secret("viewer")

    async def collect() -> int:
        count = 0
        async for _ in ChangeStream(api.api, secret, 0).run():
            count += 1
            api.clock.advance(timedelta(hours=25))
        return count

    assert asyncio.run(asyncio.wait_for(collect(), 30)) == 1


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 19, "1\u0661"])
def test_a_last_event_id_that_is_none_is_a_problem(api: ApiUnderTest, last: str) -> None:
    headers = {
        name.encode(): value.encode() for name, value in {**api.as_("viewer"), "Last-Event-ID": last}.items()
    }
    answer = api.client.get("/api/v1/events", headers=headers)
    assert (answer.status_code, reason_of(answer)) == (422, "invalid_request")
