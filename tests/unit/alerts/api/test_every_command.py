"""``steadyline alerts`` does all that the API does: each command over a real connection."""

import json
from pathlib import Path

import pytest

from steadyline.ops.alerts_client import AlertsClient, AlertsRefused
from steadyline.service import EXIT_USAGE
from tests.support.alerts_api import LINE, ApiUnderTest
from tests.support.served_api import Say
from tests.support.written_scores import write, written_scores

ESCAPE = "\x1b]0;owned\x07"


def test_an_incident_is_assigned_and_commented_on_and_the_audit_tells_it(api: ApiUnderTest, say: Say) -> None:
    incident = api.open_incident()
    assert "is open, assigned to bob" in say("assign", incident.id, "bob", "--comment", "yours")
    assert "is open" in say("comment", incident.id, f"seen{ESCAPE}")
    story = say("show", incident.id)
    assert "seen·]0;owned·" in story
    assert "\x1b" not in story
    acts = json.loads(say("audit", "--target", f"incident/{incident.id}", "--json"))
    assert [one["act"] for one in acts] == ["incident.comment", "incident.assign"]
    assert "incident.assign" in say("audit", "--act", "incident.assign", "--who", "the admin")
    assert "no duration" not in say("audit", "--since", "1d")


def test_a_subscription_is_shown_replaced_and_told_again(api: ApiUnderTest, say: Say, tmp_path: Path) -> None:
    file = tmp_path / "hook.json"
    wish = {"name": "night", "channel": {"kind": "webhook", "url": "https://example.org/hook"}}
    file.write_text(json.dumps(wish), encoding="utf-8")
    own = json.loads(say("subscriptions", "create", str(file)))["subscription"]["id"]
    assert "name: night" in say("subscriptions", "show", own)
    file.write_text(json.dumps({**wish, "name": "day", "enabled": False}), encoding="utf-8")
    assert json.loads(say("subscriptions", "replace", own, str(file)))["name"] == "day"
    assert json.loads(say("subscriptions", "show", own, "--json"))["enabled"] is False
    assert "0 deliveries are sent again" in say("subscriptions", "replay", own, "--since", "1d")
    row = api.add_delivery(1, own)
    shown = json.loads(say("deliveries", "show", row.id, "--json"))
    assert (shown["id"], shown["answer_head"]) == (row.id, "thanks")
    assert row.id in say("deliveries", "list", "--incident", row.incident, "--json")
    file.write_text("{", encoding="utf-8")
    assert "no JSON" in say("subscriptions", "replace", own, str(file), status=EXIT_USAGE)
    assert "--until 'x'" in say(
        "subscriptions", "replay", own, "--since", "1d", "--until", "x", status=EXIT_USAGE
    )


def test_a_frame_is_labelled(api: ApiUnderTest, say: Say) -> None:
    assert "east-1/7/1 is labelled defect" in say(
        "feedback", "label", "east-1/7/1", "defect", "--note", "crack"
    )
    (label,) = json.loads(say("feedback", "list", "--camera", "east-1", "--json"))
    assert (label["label"], label["note"], label["who"]) == ("defect", "crack", "the admin")
    assert len(api.labels.published) == 1
    assert "defect" in say("feedback", "list")


def test_evidence_is_written_to_a_file(api: ApiUnderTest, say: Say, tmp_path: Path) -> None:
    picture, out = b"\x89PNG\r\n\x1a\n" + bytes(range(92)), tmp_path / "worst.png"
    frames = LINE.kafka_topics().frames.name
    uri = api.evidence.put(f"evidence/line-1/{frames}/topic-id/0/7/picture.png", picture)
    incident = api.open_incident()
    anomaly = incident.anomaly
    assert anomaly is not None
    shown = api.open_incident(2, anomaly=anomaly.model_copy(update={"picture_uri": uri}))
    assert "image/png" in say("evidence", shown.id, "picture", "--out", str(out))
    assert out.read_bytes() == picture
    assert "(no_evidence)" in say("evidence", shown.id, "map", "--out", str(out), status=EXIT_USAGE)
    nowhere = str(tmp_path / "no" / "folder")
    assert "cannot be written" in say("evidence", shown.id, "picture", "--out", nowhere, status=EXIT_USAGE)


def test_the_stream_prints_each_change_and_ends_after_as_many_as_wanted(api: ApiUnderTest, say: Say) -> None:
    first, second = api.open_incident(1), api.open_incident(2, summary=f"bad{ESCAPE}")
    lines = say("events", "--after", "0", "--count", "2").splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2"]
    assert first.id in lines[0]
    assert "bad·]0;owned·" in lines[1]
    (only,) = say("events", "--after", "1", "--count", "1", "--json").splitlines()
    assert (json.loads(only)["id"], json.loads(only)["incident"]) == (2, second.id)


def test_a_stream_that_was_cut_goes_on_behind_its_last_change(api: ApiUnderTest, address: str) -> None:
    first = api.open_incident(1)
    told: list[str] = []

    def on_cut(problem: str) -> None:
        told.append(problem)
        api.open_incident(2)
        api.stop.clear()

    changes = AlertsClient(address, api.secret("viewer", days=400)).follow(0, on_cut)
    assert next(changes).alert["incident"] == first.id
    api.stop.set()
    assert next(changes).id == 2
    assert told == ["the service has ended it"]
    changes.close()  # type: ignore[attr-defined]


def test_a_stream_that_nobody_may_read_is_refused_at_once(address: str) -> None:
    with pytest.raises(AlertsRefused):
        next(AlertsClient(address, "sl_stolen").follow(None, lambda _: None))


def test_rules_are_shown_and_simulated(api: ApiUnderTest, say: Say, tmp_path: Path) -> None:
    write(api.broker, *written_scores(LINE, "east-1", "ggaagggggggggggg"))
    assert json.loads(say("rules", "show"))["products"]["cell"]["alerts"]["close_frames"] == 10
    file = tmp_path / "new.yaml"
    file.write_text(
        "products:\n  cell:\n    alerts:\n      open_frames: {anomalous: 2, of: 3}\n", encoding="utf-8"
    )
    told = say("simulate", "--since", "3650d", "--rules", str(file))
    assert "incidents: 0 in force, 1 proposed" in told
    assert "new" in told
    assert "scores: 16 messages, up to" in told
    whole = json.loads(say("simulate", "--since", "3650d", "--rules", str(file), "--json"))
    assert whole["comparison"]["proposed"]["incidents"] == 1
    file.write_text(say("rules", "show"), encoding="utf-8")  # JSON is YAML, and what is printed is a file
    assert "nothing differs" in say("simulate", "--since", "3650d", "--rules", str(file))


def test_wrong_rules_are_refused_as_a_wrong_line_file_is(say: Say, tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    file.write_text(
        "alerts:\n  notifications:\n    within: soon\nproducts:\n  cell:\n    alerts:\n      open: 3\n",
        encoding="utf-8",
    )
    told = say("simulate", "--since", "7d", "--rules", str(file), status=EXIT_USAGE)
    assert f"{file}:3: alerts.notifications.within: no duration" in told
    assert f"{file}:7: products.cell.alerts.open: unknown field" in told
    file.write_text("alerts: {", encoding="utf-8")
    assert "no valid YAML" in say("simulate", "--since", "7d", "--rules", str(file), status=EXIT_USAGE)
    file.write_text("", encoding="utf-8")
    assert "nothing differs" in say("simulate", "--since", "7d", "--rules", str(file))


def test_a_frame_tells_why_it_opened_no_incident(api: ApiUnderTest, say: Say) -> None:
    write(api.broker, *written_scores(LINE, "east-1", "gaa"))
    told = say("why-frame", "east-1/7/3")
    assert "2 of the last 3 frames of the camera are anomalous, 3 of 5 are needed (open_frames)" in told
    assert json.loads(say("why-frame", "east-1/7/3", "--json"))["why"]["effect"] == "counted"
    assert "no frame id" in say("why-frame", "east-1", status=EXIT_USAGE)
    assert "(no_such_frame)" in say("why-frame", "east-1/7/9", status=EXIT_USAGE)


def test_the_line_and_who_asks_are_shown(say: Say) -> None:
    assert "role: admin" in say("tokens", "self")
    assert "east-1" in say("cameras", "list")
    assert [one["name"] for one in json.loads(say("products", "--json"))] == ["cell", "panel"]
    assert "cell" in say("products")
