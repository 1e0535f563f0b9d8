"""``steadyline alerts`` against a served API, and the stream of changes over a real connection."""

import json
import threading
import urllib.request
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from steadyline.ops.alerts_client import AlertsClient, AlertsUnavailable
from steadyline.service import EXIT_USAGE
from tests.support.alerts_api import ApiUnderTest
from tests.support.served_api import Say


def test_an_incident_is_listed_taken_snoozed_and_closed(api: ApiUnderTest, say: Say) -> None:
    incident = api.open_incident()
    assert incident.id in say("list", "--state", "open", "--camera", "east-1", "--json")
    assert "there is nothing to list" in say("list", "--state", "resolved")
    assert "is acknowledged" in say("ack", incident.id, "--comment", "on my way")
    api.clock.set(api.clock.now() + timedelta(days=300))  # the command line goes by the real clock
    assert "is resolved" in say("resolve", incident.id)
    story = say("show", incident.id)
    assert "on my way" in story
    assert "3 of the last 5 frames" in story
    told = json.loads(say("show", incident.id, "--json"))
    assert [one["change"] for one in told["story"]] == ["opened", "acknowledged", "resolved"]


def test_what_the_api_refuses_is_one_clear_line(api: ApiUnderTest, say: Say) -> None:
    incident = api.open_incident()
    say("resolve", incident.id)
    assert "(already_resolved)" in say("resolve", incident.id, status=EXIT_USAGE)
    assert "(no_such_incident)" in say("show", "0" * 32, status=EXIT_USAGE)
    assert "no duration" in say("snooze", incident.id, "--for", "soon", status=EXIT_USAGE)


def test_subscriptions_deliveries_and_tokens(api: ApiUnderTest, say: Say, tmp_path: Path) -> None:
    file = tmp_path / "hook.json"
    channel = {"kind": "webhook", "url": "https://example.org/hook"}
    file.write_text(json.dumps({"name": "night", "channel": channel}), encoding="utf-8")
    made = json.loads(say("subscriptions", "create", str(file)))
    own = made["subscription"]["id"]
    assert made["secret"]
    assert "night" in say("subscriptions", "list")
    assert '"delivered"' in say("subscriptions", "test", own)
    row = api.add_delivery(1, own)
    assert row.id in say("deliveries", "list", "--state", "delivered", "--json")
    assert "sent again" in say("deliveries", "redeliver", row.id)
    assert "is deleted" in say("subscriptions", "delete", own)
    secret = say("tokens", "create", "press 4", "--role", "viewer").strip()
    assert secret.startswith("sl_")
    tokens = json.loads(say("tokens", "list", "--json"))
    press = next(token["id"] for token in tokens if token["name"] == "press 4")
    assert "is revoked" in say("tokens", "revoke", press)


def test_escalation_chains(api: ApiUnderTest, say: Say, tmp_path: Path) -> None:
    hook, file = tmp_path / "hook.json", tmp_path / "chain.json"
    channel = {"kind": "webhook", "url": "https://example.org/hook"}
    hook.write_text(json.dumps({"name": "on call", "channel": channel}), encoding="utf-8")
    own = json.loads(say("subscriptions", "create", str(hook)))["subscription"]["id"]
    steps = [{"after": "5m", "subscription": own}, {"after": "1h", "subscription": own}]
    file.write_text(json.dumps({"name": "night", "steps": steps}), encoding="utf-8")
    chain = json.loads(say("chains", "add", str(file)))["id"]
    listed = say("chains", "list")
    assert chain in listed
    assert "5m, 1h" in listed
    assert json.loads(say("chains", "show", chain))["steps"] == steps
    incident = api.open_incident()
    assert "next: step 1 of 2 of night at " in say("show", incident.id)
    assert "(in_a_chain)" in say("subscriptions", "delete", own, status=EXIT_USAGE)
    assert "is removed" in say("chains", "remove", chain)
    assert "(no_such_chain)" in say("chains", "show", chain, status=EXIT_USAGE)
    file.write_text("{", encoding="utf-8")
    assert "no JSON" in say("chains", "add", str(file), status=EXIT_USAGE)


def test_a_list_of_many_pages_comes_whole(api: ApiUnderTest, address: str) -> None:
    made = [api.open_incident(number).id for number in range(1, 131)]
    client = AlertsClient(address, api.secret("viewer"))
    assert [one["id"] for one in client.entries("incidents", 1000)] == made[::-1]
    assert len(list(client.entries("incidents", 7))) == 7


def test_a_redirect_does_not_take_the_token_elsewhere() -> None:
    asked: list[str | None] = []

    class RedirectingHandler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Authorization"])
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    server = HTTPServer(("127.0.0.1", 0), RedirectingHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        client = AlertsClient(f"http://127.0.0.1:{server.server_address[1]}", "sl_token")
        with pytest.raises(AlertsUnavailable):
            client.get("incidents")
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
    assert asked == ["Bearer sl_token"]


def test_a_change_reaches_an_open_stream_which_ends_with_the_service(api: ApiUnderTest, address: str) -> None:
    headers = {"Authorization": f"Bearer {api.secret('viewer')}", "Last-Event-ID": "0"}
    request = urllib.request.Request(f"{address}/api/v1/events", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as stream:
        assert stream.readline() == b"retry: 3000\n"
        incident = api.open_incident()
        told = b"".join(stream.readline() for _ in range(4)).decode()
        assert "id: 1\nevent: alert\ndata: " in told
        assert incident.id in told
        api.stop.set()
        assert stream.read() == b"\n"
