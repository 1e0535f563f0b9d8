"""Evidence over the API: whole or in part, of this line alone, and never an address."""

import pytest
from httpx2 import Response

from steadyline.contracts.alert import AnomalyFacts
from tests.support.alerts_api import LINE, ApiUnderTest, an_incident, reason_of

FRAMES = LINE.kafka_topics().frames.name
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(92))


def keep(api: ApiUnderTest, key: str | None = None, uri: str | None = None) -> str:
    """Write an incident with a picture, and return the path of the picture in the API."""
    key = key or f"evidence/line-1/{FRAMES}/topic-id/0/7/picture.png"
    address = api.evidence.put(key, PICTURE)
    anomaly = an_incident().anomaly
    assert isinstance(anomaly, AnomalyFacts)
    facts = anomaly.model_copy(update={"picture_uri": uri or address, "map_uri": None})
    return f"/api/v1/incidents/{api.open_incident(anomaly=facts).id}/picture"


def part(api: ApiUnderTest, path: str, **headers: str) -> Response:
    answer = api.client.get(path, headers=api.as_("viewer", **headers))
    assert isinstance(answer, Response)
    return answer


def test_the_picture_comes_whole_with_a_type_and_an_etag(api: ApiUnderTest) -> None:
    path = keep(api)
    answer = part(api, path)
    assert (answer.status_code, answer.content) == (200, PICTURE)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, no-cache"
    again = part(api, path, If_None_Match=answer.headers["etag"])
    assert (again.status_code, again.content, again.headers["cache-control"]) == (
        304,
        b"",
        "private, no-cache",
    )


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-9", 0, 9), ("bytes=90-", 90, 99), ("bytes=-5", 95, 99), ("bytes=50-5000", 50, 99)],
)
def test_a_range_is_cut_out(api: ApiUnderTest, asked: str, first: int, last: int) -> None:
    answer = part(api, keep(api), Range=asked)
    assert (answer.status_code, answer.content) == (206, PICTURE[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/100"


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=-0", "bytes=999999999999999999-"])
def test_a_range_outside_is_a_problem(api: ApiUnderTest, asked: str) -> None:
    answer = part(api, keep(api), Range=asked)
    assert (answer.status_code, reason_of(answer)) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */100"


@pytest.mark.parametrize("asked", ["bytes=-", "bytes=9-1", "bytes=0-1,5-6", "lines=1-2", "x"])
def test_a_range_that_is_none_gives_the_whole(api: ApiUnderTest, asked: str) -> None:
    assert part(api, keep(api), Range=asked).content == PICTURE


def test_a_range_of_another_state_gives_the_whole(api: ApiUnderTest) -> None:
    assert part(api, keep(api), Range="bytes=0-9", If_Range='"other"').status_code == 200


@pytest.mark.parametrize(
    "key",
    [
        f"evidence/line-2/{FRAMES}/topic-id/0/7/picture.png",
        "evidence/line-1/other.frames.v1/topic-id/0/7/picture.png",
        "models/line-1/cell/2/model.onnx",
        f"evidence/line-1/{FRAMES}/topic-id/0/7/secret.txt",
    ],
)
def test_nothing_but_evidence_of_this_line_is_shown(api: ApiUnderTest, key: str) -> None:
    answer = part(api, keep(api, key))
    assert (answer.status_code, reason_of(answer)) == (404, "no_evidence")


@pytest.mark.parametrize(
    "uri", ["file:///etc/passwd", "s3://other/evidence", "evidence/../../etc/passwd", "/etc/passwd"]
)
def test_an_address_elsewhere_is_never_read(api: ApiUnderTest, uri: str) -> None:
    assert reason_of(part(api, keep(api, uri=uri))) == "no_evidence"


def test_what_was_not_kept_or_is_gone_is_not_there(api: ApiUnderTest) -> None:
    path = keep(api)
    assert reason_of(part(api, path.replace("/picture", "/map"))) == "no_evidence"
    api.evidence.delete("evidence")
    assert reason_of(part(api, path)) == "no_evidence"


def test_no_answer_tells_an_address_of_the_store(api: ApiUnderTest) -> None:
    path = keep(api)
    incident, operator = path.removesuffix("/picture"), api.as_("operator")
    answers = [
        api.client.get("/api/v1/incidents", headers=operator),
        api.client.get(incident, headers=operator),
        api.client.post(f"{incident}/acknowledge", headers=operator),
        api.client.get(f"{incident}/story", headers=operator),
        api.client.get("/api/v1/cameras", headers=operator),
    ]
    api.evidence.delete("evidence")
    answers.append(api.client.get(path, headers=operator))
    for answer in answers:
        assert "file:" not in answer.text
        assert "evidence/line-1" not in answer.text
        assert "_uri" not in answer.text
        assert "hidden" not in answer.text
    assert answers[1].json()["anomaly"]["picture"] == path
    assert answers[1].json()["anomaly"]["map"] is None
