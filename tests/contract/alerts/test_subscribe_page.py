"""The page on subscribing: its own receiver, as it is printed there, verifies what is really delivered."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from alerts.api.routes.subscriptions import SubscriptionBody
from alerts.deliveries.signature import signed_headers
from alerts.subscriptions.channel import CHANNEL_KINDS, Channel
from alerts.subscriptions.store import new_secret
from steadyline.clock import SystemClock
from steadyline.contracts.alert import Alert
from steadyline.servers.ports import free_ports
from tests.packaging.rules import ROOT
from tests.support.alert_outbox import DelivererBench, OutboxBench, an_alert
from tests.support.eventually import eventually

PAGE = (ROOT / "docs/subscribe.md").read_text(encoding="utf-8")
MOST_LINES = 15


def block(language: str) -> str:
    """Return the one block of the page in this language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@contextmanager
def page_receiver(folder: Path, port: int, secret: str) -> Iterator[Path]:
    """Run the page's receiver as the page says; yields the file of what it prints."""
    script, printed = folder / "receiver.py", folder / "printed"
    script.write_text(block("python"), encoding="utf-8")
    environment = {**os.environ, "WEBHOOK_SECRET": secret, "PORT": str(port)}
    with printed.open("wb") as file:
        process = subprocess.Popen([sys.executable, script], env=environment, stdout=file, stderr=file)
    try:
        eventually(lambda: answer_to(port, b"{}", {}) == 401, within=30)
        yield printed
    finally:
        process.kill()
        process.wait(30)


def answer_to(port: int, body: bytes, headers: dict[str, str]) -> int | None:
    """Post something to the receiver; return the status, None while it does not listen."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return None


def test_the_receiver_of_the_page_takes_what_is_delivered_and_refuses_what_is_forged(tmp_path: Path) -> None:
    outbox, [port] = OutboxBench.on_file(tmp_path / "alerts.db", SystemClock()), free_ports(1)
    _, secret = outbox.subscribe(f"http://127.0.0.1:{port}/")
    outbox.write([an_alert(summary="Anomalies on east-1.")])
    with page_receiver(tmp_path, port, secret) as printed:
        DelivererBench(outbox).settle()
        assert outbox.states() == ["delivered"]
        event = json.dumps({"data": {**an_alert(summary="forged").model_dump(mode="json")}}).encode()
        own, foreign = (
            signed_headers(one, "id", outbox.clock.now(), event) for one in (secret, new_secret())
        )
        assert answer_to(port, event, foreign) == 401
        assert answer_to(port, event.replace(b"warning", b"critical"), own) == 401
    text = printed.read_text(encoding="utf-8")
    assert "warning opened Anomalies on east-1." in text
    assert "forged" not in text


def test_the_receiver_has_as_few_lines_as_are_promised() -> None:
    assert len([line for line in block("python").splitlines() if line]) <= MOST_LINES


def test_the_subscription_of_the_page_is_one() -> None:
    body = SubscriptionBody.model_validate_json(block("json"))
    assert body.channel.kind == "webhook"
    assert body.filter.least_severity == "warning"


def test_each_channel_of_the_page_that_is_built_is_taken() -> None:
    found: list[dict[str, Any]] = [json.loads(text) for text in re.findall(r"`(\{\"kind\".*?\})`", PAGE)]
    built = [one for one in found if one["kind"] in CHANNEL_KINDS]
    assert {one["kind"] for one in built} == {*CHANNEL_KINDS} - {"webhook"}
    for one in built:
        TypeAdapter[Any](Channel).validate_python(one)


def test_the_fields_that_the_page_names_are_those_of_an_alert() -> None:
    table = PAGE.split("## What an alert says")[1].split("## Other channels")[0]
    named = {
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in row.split("`")[1::2]
    }
    assert named
    assert named <= set(Alert.model_fields)
