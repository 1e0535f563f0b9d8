"""Messages to people through Apprise, read by a real receiver of its JSON."""

import inspect
import json
from base64 import b64decode
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from apprise.manager_plugins import NotificationManager
from pydantic import ValidationError

from alerts.deliveries.channels.apprise import AppriseSender
from alerts.deliveries.deliverer import DelivererLimits
from alerts.deliveries.egress import EgressGuard, EgressRules
from alerts.deliveries.failure import EndpointRefuses, ServiceNotAllowed
from alerts.deliveries.http_client import HttpLimits
from alerts.deliveries.sample import SampleDelivery
from alerts.subscriptions.apprise_address import SELF_HOSTED, SERVICES, VENDORS_OWN
from alerts.subscriptions.channel import AppriseChannel, WebhookChannel
from alerts.subscriptions.store import SecretNeeded
from steadyline.clock import SystemClock
from tests.support.alert_outbox import ANOMALY, PATIENT_BREAKER, DelivererBench, OutboxBench, Wish, an_alert
from tests.support.eventually import eventually
from tests.support.webhook_receiver import PlannedAnswer, PostSeen, webhook_receiver

PICTURE = b"\xff\xd8\xff\xe0" + b"p" * 5_000
SHOWN = ANOMALY.model_copy(update={"picture_uri": "file:///s/frame.jpg"})

KNOWN = NotificationManager()  # type: ignore[no-untyped-call]


@pytest.fixture
def outbox(tmp_path: Path) -> OutboxBench:
    return OutboxBench.on_file(tmp_path / "alerts.db", SystemClock())


def as_json(url: str) -> str:
    return url.replace("http://", "json://")


def a_sender(allow_private: bool = False) -> AppriseSender:
    guard = EgressGuard(EgressRules.of(allow_private))
    return AppriseSender("line-1", lambda _: None, guard, allow_private, timedelta(seconds=5))


def test_a_message_says_in_plain_words_what_where_and_why_and_shows_the_picture(outbox: OutboxBench) -> None:
    hostile = "größer als 3σ\r\nX-Evil: 1"
    with webhook_receiver() as receiver:
        made, _ = outbox.subscribe(AppriseChannel(url=f"{as_json(receiver.url)}/t0ken", pictures=True))
        outbox.write([an_alert(anomaly=SHOWN, why=hostile, summary="Riss\r\non east-1")])
        DelivererBench(outbox, pictures={"file:///s/frame.jpg": PICTURE}).settle()
    [post] = receiver.seen
    told = json.loads(post.body)
    assert post.path == "/hook/t0ken"
    assert told["title"] == "[line-1] warning: Riss on east-1"
    assert told["type"] == "warning"
    assert told["message"].splitlines()[:3] == [
        "Why: größer als 3σ X-Evil: 1",
        "Camera: east-1",
        "Product: cell",
    ]
    assert "Certified: no change of 3/255 or less turns this verdict" in told["message"]
    [shown] = told["attachments"]
    assert (shown["filename"], shown["mimetype"], b64decode(shown["base64"])) == (
        "picture.jpeg",
        "image/jpeg",
        PICTURE,
    )
    assert "t0ken" not in made.model_dump_json()
    assert made.channel == AppriseChannel(service="json", pictures=True)


def test_a_resolution_is_told_as_one(outbox: OutboxBench) -> None:
    with webhook_receiver() as receiver:
        outbox.subscribe(AppriseChannel(url=as_json(receiver.url)))
        outbox.change(1, 1, change="resolved", state="resolved", severity="critical")
        DelivererBench(outbox).settle()
    told = json.loads(receiver.seen[0].body)
    assert (told["title"], told["type"]) == ("[line-1] resolved: Anomalies on east-1.", "success")


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "credentials_refused"), (403, "credentials_refused"), (500, "endpoint_refuses")],
)
def test_what_a_service_refuses_has_a_word_and_its_status(
    outbox: OutboxBench, status: int, reason: str
) -> None:
    with webhook_receiver(lambda _: PlannedAnswer(status, body=b"t0ken")) as receiver:
        made, _ = outbox.subscribe(AppriseChannel(url=f"{as_json(receiver.url)}/t0ken"))
        samples = SampleDelivery(outbox.database, DelivererBench(outbox).senders, outbox.clock)
        sent = samples.send_sample(made.id)
    assert (sent.is_delivered, sent.reason, sent.status) == (False, reason, status)
    assert "t0ken" not in str(sent)


def test_a_service_that_is_away_is_tried_again(outbox: OutboxBench) -> None:
    answers = iter([PlannedAnswer(503), PlannedAnswer(200)])
    with webhook_receiver(lambda _: next(answers)) as receiver:
        outbox.subscribe(AppriseChannel(url=as_json(receiver.url)))
        outbox.change()
        limits = DelivererLimits(breaker=PATIENT_BREAKER)
        DelivererBench(outbox, limits=limits).settle(within=60)
        assert len(receiver.seen) == 2
    outbox.change(2)
    bench = DelivererBench(outbox)
    bench.turn_until(lambda: outbox.deliveries()[1].last_reason == "endpoint_unreachable", within=60)


def test_no_redirect_is_followed_by_a_service(outbox: OutboxBench) -> None:
    with webhook_receiver() as inner:
        with webhook_receiver(lambda _: PlannedAnswer(307, {"location": inner.url})) as receiver:
            made, _ = outbox.subscribe(AppriseChannel(url=as_json(receiver.url)))
            samples = SampleDelivery(outbox.database, DelivererBench(outbox).senders, outbox.clock)
            assert not samples.send_sample(made.id).is_delivered
        assert inner.connections == []


def test_a_service_that_says_nothing_ends_with_the_time_of_an_attempt(outbox: OutboxBench) -> None:
    over = Event()

    def hang(_: PostSeen) -> PlannedAnswer:
        over.wait(20)
        return PlannedAnswer()

    with webhook_receiver(hang) as receiver:
        made, _ = outbox.subscribe(AppriseChannel(url=as_json(receiver.url)))
        bench = DelivererBench(outbox, http=HttpLimits(whole=timedelta(seconds=1)))
        sent = SampleDelivery(outbox.database, bench.senders, outbox.clock).send_sample(made.id)
        over.set()
    assert sent.reason == "endpoint_timed_out"


def test_a_call_that_hangs_keeps_one_thread_and_its_subscription_waits_for_it(outbox: OutboxBench) -> None:
    over = Event()

    def hang(_: PostSeen) -> PlannedAnswer:
        over.wait(20)
        return PlannedAnswer()

    with webhook_receiver(hang) as receiver:
        made, _ = outbox.subscribe(AppriseChannel(url=as_json(receiver.url)))
        bench = DelivererBench(outbox, http=HttpLimits(whole=timedelta(seconds=1)))
        samples = SampleDelivery(outbox.database, bench.senders, outbox.clock)
        assert [samples.send_sample(made.id).reason for _ in range(3)] == ["endpoint_timed_out"] * 3
        assert len(receiver.connections) == 1
        over.set()
        eventually(lambda: samples.send_sample(made.id).is_delivered)


@pytest.mark.parametrize("host", ["169.254.169.254", "0xa9fea9fe", "[fe80::1]", "[::ffff:169.254.169.254]"])
@pytest.mark.parametrize("service", ["json", "ntfy", "gotify", "mmost", "rocket", "matrix"])
def test_a_host_of_the_user_s_choosing_is_none_where_clouds_keep_their_metadata(
    outbox: OutboxBench, service: str, host: str
) -> None:
    """Or Apprise itself takes it for no host."""
    users = {"ntfy": "ntfy://%s/topic", "rocket": "rocket://u:p@%s/room", "matrix": "matrix://u:p@%s/room"}
    token = "a" * 26
    made, _ = outbox.subscribe(AppriseChannel(url=users.get(service, f"{service}://%s/{token}") % host))
    samples = SampleDelivery(outbox.database, DelivererBench(outbox).senders, outbox.clock)
    assert samples.send_sample(made.id).reason in ("address_refused", "endpoint_refuses")
    if host == "169.254.169.254":
        assert samples.send_sample(made.id).reason == "address_refused"


def test_a_server_of_matrix_names_no_other_host() -> None:
    service = a_sender(allow_private=True).load("matrixs://u:p@chat.example/room?discovery=yes")
    assert getattr(service, "discovery") is False  # noqa: B009 - Apprise's types do not have it


def test_a_host_of_the_user_s_choosing_needs_the_setting_that_allows_it(outbox: OutboxBench) -> None:
    with webhook_receiver() as receiver:
        made, _ = outbox.subscribe(AppriseChannel(url=as_json(receiver.url)))
        bench = DelivererBench(outbox, allow_private=False)
        sent = SampleDelivery(outbox.database, bench.senders, outbox.clock).send_sample(made.id)
        assert receiver.connections == []
    assert sent.reason == "service_not_allowed"


ADDRESSES = {
    "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    "discord": "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
    "tgram": "tgram://123456789:abcdefg_hijklmnop/12315544",
    "pover": "pover://" + "u" * 30 + "@" + "t" * 30,
    "opsgenie": "opsgenie://8b799edf-6f98-4d3a-9be7-2862fb4e5752",
    "workflows": "workflows://prod-1.westeurope.logic.azure.com:443/wfid/sig",
}


@pytest.mark.parametrize("name", sorted(ADDRESSES))
def test_a_service_of_a_vendor_is_understood_and_not_redirected(name: str) -> None:
    service = a_sender().load(ADDRESSES[name])
    assert service.redirects is False
    assert service.verify_certificate is True


@pytest.mark.parametrize("name", sorted(VENDORS_OWN))
def test_a_vendor_s_service_takes_no_host_from_its_address(name: str) -> None:
    """Apprise fills the address of a plugin from its template: none of these has a host or a port in it."""
    plugin = KNOWN[name]
    assert plugin is not None
    for template in plugin.templates:
        assert not {"{host}", "{hostname}", "{port}", "{url}"} & set(_tokens(template)), template
    source = inspect.getsource(plugin)
    assert "self.host" not in source
    assert "request_url" not in source


def _tokens(template: str) -> list[str]:
    return ["{" + part.split("}")[0] + "}" for part in template.split("{")[1:]]


@pytest.mark.parametrize(
    "address",
    [
        *("", "slack", "slack://", "http://10.0.0.1/", "https://hooks.slack.com/services/a/b/c"),
        *(
            "file:///etc/passwd",
            "exec://sh",
            "dbus://",
            "windows://",
            "macosx://",
            "syslog://",
            "rsyslog://h",
        ),
        *(
            "mqtt://10.0.0.1/x",
            "mailto://a:b@h",
            "glib://",
            "gnome://",
            "sns://a/b/us-east-1/t",
            "SLACK://a/b/c",
        ),
        *("slack://a/b/c?template=/etc/passwd", "slack://a/b/c?TEMPLATE=x", "slack://a/b/c?x=1&redirect=yes"),
        *("ntfy://t?attach=file:///etc/passwd", "json://h?verify=no", "json://h?rto=9999", "slack://a b"),
        *("workflows://evil.example/w/s", "workflows://logic.azure.com.evil.example/w/s", "slack://a/\n/c"),
        *("workflows://u@evil.example@x.logic.azure.com/w/s", "workflows://x.logic.azure.com\\@evil/w/s"),
    ],
)
def test_an_address_that_is_not_listed_or_sets_too_much_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        AppriseChannel(url=address)
    with pytest.raises((ServiceNotAllowed, EndpointRefuses)):
        a_sender(allow_private=True).load(address)


def test_the_services_are_those_that_apprise_has() -> None:
    assert [name for name in sorted(SERVICES) if name not in KNOWN] == []
    assert not SELF_HOSTED & VENDORS_OWN


def test_an_edit_keeps_the_address_of_the_same_service_only(outbox: OutboxBench) -> None:
    with webhook_receiver() as receiver:
        made, _ = outbox.subscribe(AppriseChannel(url=as_json(receiver.url)))
        with outbox.database.transaction() as session:
            edited = outbox.store.replace(session, made.id, 1, Wish("new", AppriseChannel(service="json")))
        outbox.change()
        DelivererBench(outbox).settle()
        assert edited is not None
        assert len(receiver.seen) == 1
    with outbox.database.transaction() as session:
        for channel in (AppriseChannel(service="slack"), WebhookChannel(url="https://example.org/")):
            with pytest.raises(SecretNeeded):
                outbox.store.replace(session, made.id, 2, Wish("new", channel))
    with pytest.raises(SecretNeeded):
        outbox.subscribe(AppriseChannel(service="slack"))
