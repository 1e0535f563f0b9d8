"""Endpoints that mean harm, or are not well."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path
from threading import Event

import pytest

from alerts.deliveries.answer import LONGEST_WAIT, receipt_of, retry_after
from alerts.deliveries.egress import EgressGuard, EgressRules
from alerts.deliveries.failure import (
    AnswerMalformed,
    CertificateRefused,
    DeliveryFailed,
    EndpointGone,
    EndpointRedirects,
    EndpointRefuses,
    EndpointTimedOut,
    EndpointUnreachable,
)
from alerts.deliveries.http_client import HttpAnswer, HttpClient, HttpLimits
from tests.support.tls import a_certificate, tls_server
from tests.support.webhook_receiver import PlannedAnswer, PostSeen, webhook_receiver

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HURRY = HttpLimits(whole=timedelta(seconds=0.5))


def a_client(limits: HttpLimits | None = None, tls: ssl.SSLContext | None = None) -> HttpClient:
    return HttpClient(EgressGuard(EgressRules.of(allow_private=True)), limits, tls)


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/inner",
        "http://169.254.169.254/latest/meta-data/",
        "//[::1]/",
        "file:///etc/passwd",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(status: int, target: str) -> None:
    with webhook_receiver() as inner:
        where = target.format(port=inner.url.split(":")[2].split("/")[0])
        with webhook_receiver(lambda _: PlannedAnswer(status, {"location": where})) as receiver:
            answer = a_client().post(receiver.url, {}, b"{}")
            with pytest.raises(EndpointRedirects):
                receipt_of(answer, NOW)
        assert inner.connections == []


def test_an_answer_without_an_end_is_read_up_to_the_limit() -> None:
    def flood(_: PostSeen) -> PlannedAnswer:
        return PlannedAnswer(200, chunks=lambda: repeat(b"x" * 65_536))

    with webhook_receiver(flood) as receiver:
        answer = a_client().post(receiver.url, {}, b"{}")
    assert (answer.status, answer.head) == (200, "x" * 1024)


def test_a_head_without_an_end_is_refused() -> None:
    huge = {f"x-{number}": "y" * 8_000 for number in range(40)}
    with webhook_receiver(lambda _: PlannedAnswer(200, huge)) as receiver, pytest.raises(AnswerMalformed):
        a_client().post(receiver.url, {}, b"{}")


def test_an_answer_that_comes_byte_by_byte_ends_with_the_time_of_the_exchange() -> None:
    over = Event()

    def drip() -> Iterator[bytes]:
        while not over.wait(0.05):
            yield b"x"

    with webhook_receiver(lambda _: PlannedAnswer(200, chunks=drip)) as receiver:
        with pytest.raises(EndpointTimedOut):
            a_client(HURRY).post(receiver.url, {}, b"{}")
        over.set()


def test_an_endpoint_that_says_nothing_ends_with_the_time_of_the_exchange() -> None:
    over = Event()

    def hang(_: PostSeen) -> PlannedAnswer:
        over.wait(10)
        return PlannedAnswer()

    with webhook_receiver(hang) as receiver:
        with pytest.raises(EndpointTimedOut):
            a_client(HURRY).post(receiver.url, {}, b"{}")
        over.set()


def test_an_endpoint_that_takes_no_byte_ends_with_the_time_of_the_exchange() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(EndpointTimedOut):
        a_client(HURRY).post(f"http://127.0.0.1:{server.getsockname()[1]}/", {}, b"x" * (32 << 20))


def test_nobody_there_is_a_failure_of_its_own() -> None:
    with webhook_receiver() as receiver:
        url = receiver.url
    with pytest.raises(EndpointUnreachable):
        a_client().post(url, {}, b"{}")


def test_what_a_database_would_not_take_is_not_in_the_head() -> None:
    with webhook_receiver(lambda _: PlannedAnswer(200, body=b"a\0b\xff")) as receiver:
        assert a_client().post(receiver.url, {}, b"{}").head == "a\ufffdb\ufffd"


@pytest.mark.parametrize("value", ["x\r\nEvil: 1", "x\nEvil: 1", "x\0"])
def test_a_value_cannot_begin_another_header(value: str) -> None:
    with webhook_receiver() as receiver:
        with pytest.raises(DeliveryFailed):
            a_client().post(receiver.url, {"traceparent": value}, b"{}")
        assert receiver.seen == []


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    certificate = a_certificate(tmp_path, "localhost")
    with tls_server(certificate) as port, pytest.raises(CertificateRefused):
        a_client().post(f"https://localhost:{port}/", {}, b"{}")


def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    certificate = a_certificate(tmp_path, "other.example")
    trusting = ssl.create_default_context(cafile=str(certificate))
    with tls_server(certificate) as port, pytest.raises(CertificateRefused):
        a_client(tls=trusting).post(f"https://localhost:{port}/", {}, b"{}")


def test_a_certificate_that_is_trusted_is_checked_by_the_name_and_not_by_the_address(tmp_path: Path) -> None:
    certificate = a_certificate(tmp_path, "localhost")
    trusting = ssl.create_default_context(cafile=str(certificate))
    with tls_server(certificate) as port:
        assert a_client(tls=trusting).post(f"https://localhost:{port}/", {}, b"{}").status == 204


@pytest.mark.parametrize("status", [400, 401, 404, 413, 429, 500, 503, 199])
def test_a_status_that_is_no_success_is_a_failure_with_its_answer(status: int) -> None:
    with pytest.raises(EndpointRefuses) as caught:
        receipt_of(HttpAnswer(status, "no", "7"), NOW)
    assert (caught.value.status, caught.value.head) == (status, "no")
    assert caught.value.retry_after == timedelta(seconds=7)


def test_an_endpoint_that_is_gone_is_gone_for_good() -> None:
    with pytest.raises(EndpointGone) as caught:
        receipt_of(HttpAnswer(410, "", None), NOW)
    assert caught.value.is_final


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("120", timedelta(seconds=120)),
        (" 0 ", timedelta(0)),
        ("99999999999999999999", LONGEST_WAIT),
        ("Thu, 01 Jan 2026 12:00:30 GMT", timedelta(seconds=30)),
        ("Thu, 01 Jan 2026 11:00:00 GMT", timedelta(0)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
        *((text, None) for text in ("-5", "1.5", "soon", "", "²", "Thu, 99 Foo 2026", "9" * 400 + "x")),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_bounds(text: str | None, wait: timedelta | None) -> None:
    assert retry_after(text, NOW) == wait
