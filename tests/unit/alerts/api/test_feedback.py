"""Labels over the API: published first, kept, shown; and their topic."""

import json

import pytest

from alerts.feedback_publisher import TopicOfLabels
from steadyline.contracts.feedback import Feedback
from steadyline.contracts.topics import line_topics
from steadyline.errors import BrokerUnavailable
from steadyline.kafka.memory.broker import MemoryBroker
from tests.support.alerts_api import BEGIN, ApiUnderTest, reason_of

AT = "/api/v1/feedback"
FRAME = "east-1/1767225600000000000/7"


def test_a_label_is_published_and_kept_with_who_said_it(api: ApiUnderTest) -> None:
    region = {"x": 0.1, "y": 0.2, "width": 0.3, "height": 0.3}
    body = {"frame": FRAME, "label": "defect", "region": region, "note": "a crack"}
    answer = api.client.post(AT, json=body, headers=api.as_("operator"))
    assert answer.status_code == 201
    label = api.labels.published[0]
    assert (label.camera, label.product, label.who, label.at) == ("east-1", "cell", "the operator", BEGIN)
    shown = api.client.get(f"{AT}?label=defect&camera=east-1", headers=api.as_("viewer")).json()["items"]
    assert shown == [answer.json()] == [label.model_dump(mode="json")]


def test_the_newest_label_of_a_frame_is_the_one_that_is_shown(api: ApiUnderTest) -> None:
    operator = api.as_("operator")
    for label in ("defect", "good"):
        api.client.post(AT, json={"frame": FRAME, "label": label}, headers=operator)
    shown = api.client.get(AT, headers=operator).json()["items"]
    assert [one["label"] for one in shown] == ["good"]
    assert [one.label for one in api.labels.published] == ["defect", "good"]


def test_a_label_that_the_broker_does_not_have_is_not_kept(api: ApiUnderTest) -> None:
    operator = api.as_("operator", Idempotency_Key="l-1")
    body = {"frame": FRAME, "label": "good"}
    api.labels.is_away = True
    answer = api.client.post(AT, json=body, headers=operator)
    assert (answer.status_code, reason_of(answer)) == (503, "unavailable")
    assert answer.headers["retry-after"]
    assert api.client.get(AT, headers=operator).json()["items"] == []
    api.labels.is_away = False
    for _ in range(2):
        assert api.client.post(AT, json=body, headers=operator).status_code == 201
    assert len(api.labels.published) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"frame": "east-1/1", "label": "good"}, "invalid_request"),
        ({"frame": "north-9/1/1", "label": "good"}, "unknown_camera"),
        ({"frame": FRAME, "label": "good", "product": "panel"}, "unknown_product"),
        ({"frame": FRAME, "label": "fine"}, "invalid_request"),
        ({"frame": FRAME, "label": "good", "who": "the boss"}, "invalid_request"),
        ({"frame": FRAME, "label": "good", "note": "a\0b"}, "invalid_request"),
        ({"frame": FRAME, "label": "good", "note": "\ud800"}, "invalid_request"),
        (
            {"frame": FRAME, "label": "defect", "region": {"x": 0.9, "y": 0, "width": 0.5, "height": 1}},
            "invalid_request",
        ),
    ],
)
def test_a_label_that_does_not_fit_is_refused(
    api: ApiUnderTest, body: dict[str, object], reason: str
) -> None:
    headers = api.as_("operator", Content_Type="application/json")
    answer = api.client.post(AT, content=json.dumps(body), headers=headers)
    assert (answer.status_code, reason_of(answer)) == (422, reason)
    assert api.labels.published == []


def a_label() -> Feedback:
    return Feedback(frame=FRAME, camera="east-1", product="cell", label="good", who="ines", at=BEGIN)


def test_a_label_is_on_its_topic_under_its_frame() -> None:
    broker, topic = MemoryBroker(), line_topics("plant", 4).feedback
    broker.create_topics([topic])
    labels = TopicOfLabels(broker, topic, "line-1", "alerts")
    labels.publish(a_label())
    labels.close()
    [record] = broker.reader("test").read(topic.name)
    assert (record.key, Feedback.decode(record.value)) == (FRAME.encode(), a_label())


def test_without_a_broker_a_label_is_refused_and_taken_later() -> None:
    broker, topic = MemoryBroker(), line_topics("plant", 4).feedback
    broker.create_topics([topic])
    labels = TopicOfLabels(broker, topic, "line-1", "alerts")
    broker.set_away(True)
    with pytest.raises(BrokerUnavailable):
        labels.publish(a_label())
    broker.set_away(False)
    labels.publish(a_label())
    assert len(list(broker.reader("test").read(topic.name))) == 1
