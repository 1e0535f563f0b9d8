"""Cameras, their small pictures and their accounts over the API, and the products."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alerts.database.last_seen import note_seen
from alerts.database.tables import RuleStateRow
from alerts.incidents.camera_rules import CameraMemory
from alerts.incidents.observation import ScoreSeen, StatusSeen
from alerts.incidents.rules import RuleState
from steadyline.contracts.camera_status import CameraStatus
from steadyline.picture import encode_jpeg, encode_png
from tests.support.alerts_api import BEGIN, LINE, ApiUnderTest, reason_of
from tests.support.alerts_bench import a_score, a_status

KEY = f"evidence/line-1/{LINE.kafka_topics().frames.name}/topic-id/0/7/"


def score(api: ApiUnderTest, *sequences: int, **fields: Any) -> None:
    """Let the intake have taken scores of east-1."""
    with api.database.transaction() as session:
        note_seen(session, [ScoreSeen(a_score(n, **fields), None) for n in sequences])


def say(api: ApiUnderTest, status: CameraStatus) -> None:
    with api.database.transaction() as session:
        note_seen(session, [StatusSeen(status)])


def keep_picture(api: ApiUnderTest, data: bytes, name: str = "picture.jpg", sequence: int = 1) -> None:
    score(api, sequence, picture_uri=api.evidence.put(KEY + name, data))


def noise(height: int, width: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    return np.random.default_rng(7).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_a_camera_that_nobody_has_heard_of_is_shown_as_such(api: ApiUnderTest) -> None:
    cameras = api.client.get("/api/v1/cameras", headers=api.as_("viewer")).json()
    assert [(one["id"], one["product"], one["state"], one["score"]) for one in cameras] == [
        ("east-1", "cell", None, None),
        ("west-1", "panel", None, None),
    ]


def test_a_camera_has_its_state_its_newest_score_and_what_is_the_matter(api: ApiUnderTest) -> None:
    incident = api.open_incident()
    say(api, a_status("east-1", 9, "dark"))
    score(api, 1, 2, 3)
    memory = CameraMemory(
        camera="east-1", product="cell", epoch=7, at=BEGIN, state="dark", since=BEGIN, is_silent=True
    )
    with api.database.transaction() as session:
        content = RuleState(camera=memory).model_dump_json()
        session.add(RuleStateRow(scope="status/east-1", content=content, topic="t", partition=0))
    camera = api.client.get("/api/v1/cameras", headers=api.as_("viewer")).json()[0]
    assert (camera["state"], camera["is_silent"]) == ("dark", True)
    assert camera["since"].startswith("2026-01-01T00:00:00")
    assert camera["status_at"].startswith("2026-01-01T00:00:09")
    assert (camera["score"]["frame"], camera["score"]["p_value"]) == ("east-1/7/3", 0.7)
    assert [one["id"] for one in camera["incidents"]] == [incident.id]
    assert camera["last_picture"] is None


@pytest.mark.parametrize(("name", "encode"), [("picture.jpg", encode_jpeg), ("picture.png", encode_png)])
def test_a_small_picture_is_made_of_the_last_kept_frame(api: ApiUnderTest, name: str, encode: Any) -> None:
    keep_picture(api, encode(noise(900, 1200)), name)
    viewer = api.as_("viewer")
    path = api.client.get("/api/v1/cameras", headers=viewer).json()[0]["last_picture"]
    answer = api.client.get(path, headers=viewer)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(answer.content)).size == (160, 120)
    assert len(answer.content) < 20_000
    assert answer.headers["cache-control"] == "private, no-cache"
    again = api.client.get(path, headers=viewer | {"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_small_picture_changes_with_the_next_kept_frame(api: ApiUnderTest) -> None:
    keep_picture(api, encode_jpeg(noise(200, 200)))
    viewer, path = api.as_("viewer"), "/api/v1/cameras/east-1/thumbnail"
    first = api.client.get(path, headers=viewer)
    keep_picture(api, encode_png(noise(100, 300)), "picture.png", sequence=2)
    second = api.client.get(path, headers=viewer | {"If-None-Match": first.headers["etag"]})
    assert second.status_code == 200
    assert Image.open(io.BytesIO(second.content)).size == (160, 53)


def test_where_no_picture_is_there_is_none(api: ApiUnderTest) -> None:
    viewer, path = api.as_("viewer"), "/api/v1/cameras/east-1/thumbnail"
    assert reason_of(api.client.get(path, headers=viewer)) == "no_evidence"
    keep_picture(api, b"\xff\xd8\xff no picture")
    assert reason_of(api.client.get(path, headers=viewer)) == "no_evidence"
    score(api, 5, picture_uri="file:///etc/passwd")
    assert reason_of(api.client.get(path, headers=viewer)) == "no_evidence"
    other = api.client.get("/api/v1/cameras/other/thumbnail", headers=viewer)
    assert (other.status_code, reason_of(other)) == (404, "no_such_camera")


def test_the_account_says_where_each_frame_went_and_how_many_are_missing(api: ApiUnderTest) -> None:
    counts = {"sequence": 20, "captured": 20, "published": 12, "pending": 3, "dropped": {"too_old": 4}}
    say(api, a_status("east-1", 9).model_copy(update=counts))
    score(api, 1, 2, 3)
    found = api.client.get("/api/v1/accounting", headers=api.as_("viewer")).json()
    assert [one["camera"] for one in found["cameras"]] == ["east-1"]
    account = found["cameras"][0]
    assert (account["captured"], account["published"], account["pending"]) == (20, 12, 3)
    assert (account["dropped"], account["missing"]) == ({"too_old": 4}, 1)
    assert (account["scored"], account["unscored"]) == (3, 9)
    assert (found["captured"], found["missing"], found["unscored"]) == (20, 1, 9)


def test_scores_of_a_run_before_are_not_counted_for_this_one(api: ApiUnderTest) -> None:
    score(api, 1, 2)
    say(api, a_status("east-1", 9).model_copy(update={"epoch": 8}))
    account = api.client.get("/api/v1/accounting", headers=api.as_("viewer")).json()["cameras"][0]
    assert (account["epoch"], account["scored"], account["unscored"]) == ("8", 0, 0)


def test_scores_that_come_before_any_status_are_counted(api: ApiUnderTest) -> None:
    score(api, 1, 2)
    account = api.client.get("/api/v1/accounting", headers=api.as_("viewer")).json()["cameras"][0]
    assert (account["captured"], account["scored"], account["missing"]) == (None, 2, None)


def test_a_product_has_its_promised_rate_and_its_rules(api: ApiUnderTest) -> None:
    products = api.client.get("/api/v1/products", headers=api.as_("viewer")).json()
    assert [(one["name"], one["false_alarm_rate"], one["cameras"]) for one in products] == [
        ("cell", 0.01, ["east-1"]),
        ("panel", 0.01, ["west-1"]),
    ]
    assert products[0]["rules"]["open_frames"] == {"anomalous": 3, "of": 5}
