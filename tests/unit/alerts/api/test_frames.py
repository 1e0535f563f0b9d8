"""Why a frame opened an incident, through the API."""

from datetime import timedelta

import pytest
from httpx2 import Response

from alerts.simulation.reading import ReadingBounds
from tests.support.alerts_api import LINE, ApiUnderTest, reason_of
from tests.support.written_scores import write, written_scores


def ask(api: ApiUnderTest, frame: str, **query: str) -> Response:
    """Ask why a frame opened an incident."""
    url = f"/api/v1/frames/{frame}/why"
    answer: Response = api.client.get(url, params=query, headers=api.as_("engineer"))
    return answer


def test_a_frame_that_opened_an_incident_says_which_and_by_which_rule(api: ApiUnderTest) -> None:
    write(api.broker, *written_scores(LINE, "west-1", "xxx"), *written_scores(LINE, "east-1", "gaaagg"))
    found = ask(api, "east-1/7/4").json()
    assert (found["why"]["effect"], found["why"]["anomalous"], found["why"]["of"]) == ("opened", 3, 4)
    assert "(open_frames: 3)" in found["why"]["text"][1]
    assert found["recorded"] is False
    assert found["topic"]["messages"] == 7
    api.open_incident(id=found["why"]["incident"])
    assert ask(api, "east-1/7/4").json()["recorded"] is True
    before = ask(api, "east-1/7/3").json()
    assert (before["why"]["effect"], before["why"]["needed"], before["recorded"]) == ("counted", 3, None)


def test_the_search_begins_where_it_is_told_to(api: ApiUnderTest) -> None:
    for message in written_scores(LINE, "east-1", "aaa"):
        write(api.broker, message)
        api.clock.advance(timedelta(minutes=1))
    later = (api.clock.now() - timedelta(minutes=1)).isoformat()
    assert ask(api, "east-1/7/3").json()["why"]["effect"] == "opened"
    assert ask(api, "east-1/7/3", since=later).json()["why"]["effect"] == "counted"


def test_a_frame_without_a_score_is_named_with_how_far_was_read(api: ApiUnderTest) -> None:
    write(api.broker, *written_scores(LINE, "east-1", "ggg"))
    answer = ask(api, "east-1/7/9")
    assert reason_of(answer) == "no_such_frame"
    assert "among the 3 that the topic has since 1970-01-01" in answer.json()["detail"]


def test_a_search_that_was_cut_says_so(api: ApiUnderTest) -> None:
    write(api.broker, *written_scores(LINE, "east-1", "ggg"))
    api.simulator.bounds = ReadingBounds(messages=2)
    assert "only the first were read (messages)" in ask(api, "east-1/7/3").json()["detail"]


@pytest.mark.parametrize("frame", ["East/7/1", "east-1/0/1", "east-1/7/-1", f"east-1/7/{1 << 63}"])
def test_what_is_no_frame_id_is_refused(api: ApiUnderTest, frame: str) -> None:
    assert reason_of(ask(api, frame)) == "invalid_request"


def test_an_operator_may_not_read_the_topics_again(api: ApiUnderTest) -> None:
    answer = api.client.get("/api/v1/frames/east-1/7/1/why", headers=api.as_("operator"))
    assert reason_of(answer) == "role_too_low"
