"""Dead letters over the API: listed as plain text, and sent back by admins, once."""

from typing import Any

from alerts.database.audit_store import AuditFilter
from steadyline.contracts.dead_letter import DeadLetter
from steadyline.contracts.headers import Headers
from steadyline.kafka.broker import Message
from tests.support.alerts_api import LINE, ApiUnderTest, reason_of

TOPICS = LINE.kafka_topics()
LETTERS = "/api/v1/dead-letters"
FRAME: Headers = (("ce_id", b"east-1/7/5"),)


def refuse(
    api: ApiUnderTest, value: bytes = b"\xff\xd8\x00frame", topic: str | None = None, reason: str = "too_old"
) -> None:
    """Write a letter to partition 2, of the frame at 2/5."""
    letter = DeadLetter(value, FRAME, reason, "was\x1b[31m refused", topic or TOPICS.frames.name, 2, 5)
    message = Message(TOPICS.dead_letters.name, b"east-1", value, letter.encode_headers(), 2)
    api.broker.publisher("test").publish(message, lambda _: None)


def frames(api: ApiUnderTest) -> list[tuple[int, bytes | None]]:
    records = api.broker.reader("test").read(TOPICS.frames.name)
    return [(record.partition.number, record.value) for record in records]


def test_a_letter_is_listed_and_no_byte_of_it_is_shown_as_it_is(api: ApiUnderTest) -> None:
    refuse(api)
    page = api.client.get(LETTERS, headers=api.as_("engineer")).json()
    assert page["next"] is None
    (letter,) = page["items"]
    assert (letter["partition"], letter["offset"], letter["source"], letter["bytes"]) == (2, 0, "2/5", 8)
    assert (letter["frame"], letter["camera"], letter["reason"]) == ("east-1/7/5", "east-1", "too_old")
    assert letter["head"] == "\\xff\\xd8\\x00frame"
    assert letter["error"] == "was\ufffd[31m refused"


def test_letters_are_filtered_and_come_a_page_at_a_time(api: ApiUnderTest) -> None:
    engineer = api.as_("engineer")
    for n in range(7):
        refuse(api, reason="too_old" if n % 2 else "other")
    seen: list[int] = []
    cursor = None
    while True:
        query: dict[str, Any] = {"limit": 2, "reason": "other"} | ({"cursor": cursor} if cursor else {})
        page = api.client.get(LETTERS, params=query, headers=engineer).json()
        seen += [one["offset"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [6, 4, 2, 0]
    assert api.client.get(f"{LETTERS}?topic=x", headers=engineer).json()["items"] == []
    answer = api.client.get(f"{LETTERS}?cursor=x", headers=engineer)
    assert (answer.status_code, reason_of(answer)) == (422, "invalid_cursor")


def test_a_letter_is_sent_back_once_and_leaves_an_audit_row(api: ApiUnderTest) -> None:
    refuse(api)
    admin, path = api.as_("admin"), f"{LETTERS}/2/0"
    before = api.client.get(path, headers=admin).json()
    assert (before["replay"], before["refusal"]) == (None, None)
    assert before["letter"]["head"] == "\\xff\\xd8\\x00frame"
    answer = api.client.post(f"{path}/replay", headers=admin)
    assert (answer.status_code, answer.json()["frame"]) == (202, "east-1/7/5")
    assert frames(api) == [(2, b"\xff\xd8\x00frame")]
    with api.database.transaction() as session:
        (act,) = api.api.stores.audit.page(session, AuditFilter(), None, 10)
    assert (act.who, act.act, act.target) == ("the admin", "letter.replay", "letter/2/0")
    again = api.client.post(f"{path}/replay", headers=admin)
    assert (again.status_code, reason_of(again)) == (409, "replay_refused")
    assert "waits at 2/0" in again.json()["detail"]
    assert "waits at 2/0" in api.client.get(path, headers=admin).json()["replay"]
    wanted = api.client.post(f"{path}/replay", json={"again": True}, headers=admin)
    assert wanted.status_code == 202
    assert len(frames(api)) == 2


def test_a_replay_whose_answer_was_lost_is_not_done_again(api: ApiUnderTest) -> None:
    refuse(api)
    admin = api.as_("admin", Idempotency_Key="k")
    first = api.client.post(f"{LETTERS}/2/0/replay", headers=admin)
    second = api.client.post(f"{LETTERS}/2/0/replay", headers=admin)
    assert (second.status_code, second.json()) == (202, first.json())
    assert len(frames(api)) == 1


def test_what_is_no_frame_is_not_sent_back(api: ApiUnderTest) -> None:
    refuse(api, topic=TOPICS.scores.name)
    admin = api.as_("admin")
    for body in (None, {"again": True}):
        answer = api.client.post(f"{LETTERS}/2/0/replay", json=body, headers=admin)
        assert (answer.status_code, reason_of(answer)) == (409, "replay_refused")
    assert frames(api) == []


def test_a_letter_that_is_not_there_is_a_problem(api: ApiUnderTest) -> None:
    admin = api.as_("admin")
    for path in (f"{LETTERS}/2/0", f"{LETTERS}/99/0", f"{LETTERS}/0/{(1 << 63) - 2}"):
        assert reason_of(api.client.get(path, headers=admin)) == "no_such_letter"
        assert reason_of(api.client.post(f"{path}/replay", headers=admin)) == "no_such_letter"


def test_only_admins_send_back_and_only_engineers_look(api: ApiUnderTest) -> None:
    refuse(api)
    assert reason_of(api.client.get(LETTERS, headers=api.as_("operator"))) == "role_too_low"
    answer = api.client.post(f"{LETTERS}/2/0/replay", headers=api.as_("engineer"))
    assert reason_of(answer) == "role_too_low"
    assert frames(api) == []


def test_more_readers_than_there_are_places_come_again_later(api: ApiUnderTest) -> None:
    places = api.api.control.letters.places
    while places.acquire(blocking=False):
        pass
    engineer = api.as_("engineer")
    answer = api.client.get(LETTERS, headers=engineer)
    assert (answer.status_code, reason_of(answer)) == (429, "too_many_requests")
    assert answer.headers["retry-after"] == "2"
    places.release()
    for _ in range(3):
        assert api.client.get(LETTERS, headers=engineer).status_code == 200


def test_a_broker_that_is_away_costs_the_letters_alone(api: ApiUnderTest) -> None:
    api.broker.set_away(True)
    answer = api.client.get(LETTERS, headers=api.as_("engineer"))
    assert (answer.status_code, reason_of(answer)) == (503, "unavailable")
    assert api.client.get("/api/v1/cameras", headers=api.as_("viewer")).status_code == 200
