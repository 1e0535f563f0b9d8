"""A credential or a certificate that is wrong is told within seconds, by every client, with what to do."""

import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest
from kafka.net.manager import KafkaConnectionManager

from steadyline.errors import BrokerUnavailable, Fatal, SteadylineError
from steadyline.kafka.broker import Broker
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.servers.ports import free_ports
from tests.support.certificates import CertificateAuthority
from tests.support.secured_kafka import SecuredKafka

pytestmark = pytest.mark.servers

WITHIN = 6.0  # seconds, as docs/edges.md promises
MECHANISM, PASSWORD, SCOPE = "KAFKA_SASL_MECHANISM", "KAFKA_SASL_PASSWORD", "KAFKA_OAUTH_SCOPE"
SECRET, CA = "KAFKA_OAUTH_CLIENT_SECRET", "KAFKA_SSL_CA_LOCATION"
CERTIFICATE, KEY = "KAFKA_SSL_CERTIFICATE_LOCATION", "KAFKA_SSL_KEY_LOCATION"

# name -> listener, what is wrong there, what is said
WRONG: dict[str, tuple[str, dict[str, str], str]] = {
    "a wrong password": ("SCRAM", {PASSWORD: "wrong"}, "check KAFKA_SASL_USERNAME"),
    "an unknown user": ("SCRAM", {"KAFKA_SASL_USERNAME": "nobody"}, "check KAFKA_SASL_USERNAME"),
    "a wrong password by PLAIN": ("PLAIN", {PASSWORD: "wrong"}, "check KAFKA_SASL_USERNAME"),
    "another mechanism": ("SCRAM", {MECHANISM: "PLAIN"}, "does not take PLAIN"),
    "a broker of an unknown authority": ("SCRAM", {CA: "{stranger}"}, "set KAFKA_SSL_CA_LOCATION"),
    "a broker of another name": ("OTHER", {}, "not for this address"),
    "a broker whose certificate has expired": ("ENDED", {}, "of the broker has expired"),
    "no certificate": ("MTLS", {CERTIFICATE: "", KEY: ""}, "set KAFKA_SSL_CERTIFICATE_LOCATION"),
    "an expired certificate": (
        "MTLS",
        {CERTIFICATE: "{folder}/ended-client.pem", KEY: "{folder}/ended-client.key"},
        "refuses this client's certificate",
    ),
    "a certificate of an unknown authority": (
        "MTLS",
        {CERTIFICATE: "{folder}/stranger.pem", KEY: "{folder}/stranger.key"},
        "refuses this client's certificate",
    ),
    "a wrong secret": ("OAUTH", {SECRET: "wrong"}, "check KAFKA_OAUTH_CLIENT_ID"),
    "a wrong scope": ("OAUTH", {SCOPE: "other"}, "check KAFKA_OAUTH_SCOPE"),
    "an issuer of an unknown authority": (
        "OAUTH",
        {"KAFKA_OAUTH_CA_LOCATION": "{stranger}"},
        "set KAFKA_OAUTH_CA_LOCATION",
    ),
}


@pytest.fixture(scope="module")
def places(locked: SecuredKafka, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What stands in braces in the table."""
    folder = tmp_path_factory.mktemp("strangers")
    stranger = CertificateAuthority(folder, "stranger-ca")
    stranger.client("stranger")
    ended = locked.authority.client("ended-client", is_expired=True)
    (folder / "ended-client.pem").write_bytes(ended.certificate.read_bytes())
    (folder / "ended-client.key").write_bytes(ended.key.read_bytes())
    return {"folder": str(folder), "stranger": str(stranger.ca)}


def ask(broker: Broker) -> None:
    broker.describe_topics([])


def write(broker: Broker) -> None:
    broker.publisher("test").close()


def work(broker: Broker) -> None:
    with closing(broker.worker(f"g-{uuid.uuid4().hex}", "w1", ["nowhere"])) as worker:
        worker.poll(timedelta(milliseconds=50))


def read(broker: Broker) -> None:
    list(broker.reader("test").read("nowhere"))


def follow(broker: Broker) -> None:
    with closing(broker.follower("test", ["nowhere"])) as follower:
        follower.poll(timedelta(milliseconds=50))


@contextmanager
def told(kind: type[SteadylineError], text: str) -> Iterator[None]:
    """Expect an error of a kind that names Kafka and says ``text``, in time and without a secret."""
    began = time.monotonic()
    with pytest.raises(kind) as caught:
        yield
    assert time.monotonic() - began < WITHIN
    said = str(caught.value)
    assert text in said
    assert "Kafka" in said or "KAFKA" in said
    assert "wrong" not in said
    assert "herons" not in said


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_told_in_time(wrong: str, locked: SecuredKafka, places: dict[str, str]) -> None:
    way, changes, text = WRONG[wrong]
    settings = locked.settings(way, **{name: value.format(**places) for name, value in changes.items()})
    with closing(KafkaBroker(settings, "test")) as broker, told(Fatal, text):
        ask(broker)


@pytest.mark.parametrize("use", [write, work, read, follow], ids=lambda use: use.__name__)
@pytest.mark.parametrize("wrong", ["a wrong password", "no certificate", "a wrong secret"])
def test_every_client_tells_it(wrong: str, use: Callable[[Broker], None], locked: SecuredKafka) -> None:
    way, changes, text = WRONG[wrong]
    with closing(KafkaBroker(locked.settings(way, **changes), "test")) as broker, told(Fatal, text):
        use(broker)


def test_an_issuer_that_is_away_or_silent_is_told_in_time(locked: SecuredKafka) -> None:
    (port,) = free_ports(1)
    away = locked.settings("OAUTH", KAFKA_OAUTH_TOKEN_URL=f"https://127.0.0.1:{port}/token")
    with closing(KafkaBroker(away, "test")) as broker, told(BrokerUnavailable, "KAFKA_OAUTH_TOKEN_URL"):
        ask(broker)
    silent = locked.settings("OAUTH", KAFKA_OAUTH_CLIENT_ID="another")
    locked.issuer.is_silent = True
    try:
        with closing(KafkaBroker(silent, "test")) as broker, told(BrokerUnavailable, "KAFKA_OAUTH_TOKEN_URL"):
            ask(broker)
    finally:
        locked.issuer.is_silent = False


def test_a_client_without_tls_is_told_to_compare_the_protocol(locked: SecuredKafka) -> None:
    changes = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", CA: ""}
    with (
        closing(KafkaBroker(locked.settings("SCRAM", **changes), "test")) as broker,
        told(BrokerUnavailable, "is KAFKA_SECURITY_PROTOCOL that of the listener"),
    ):
        ask(broker)


def test_a_client_with_tls_where_there_is_none_is_told_so(locked: SecuredKafka) -> None:
    settings = locked.settings("SCRAM", KAFKA_BOOTSTRAP_SERVERS=locked.files.bootstrap)
    with (
        closing(KafkaBroker(settings, "test")) as broker,
        told(BrokerUnavailable, "is KAFKA_SECURITY_PROTOCOL that of the listener"),
    ):
        ask(broker)


def test_a_broker_that_is_advertised_by_a_wrong_name_is_told(locked: SecuredKafka) -> None:
    """The first connection is right; those to the address that the broker itself gives are not."""
    proxy, right = locked.files.proxy, locked.files.port("CUT")
    proxy.server_port = locked.files.port("OTHER")
    try:
        with (
            closing(KafkaBroker(locked.settings("CUT"), "test")) as broker,
            told(BrokerUnavailable, "in its advertised.listeners"),
        ):
            ask(broker)
    finally:
        proxy.server_port = right


def test_a_server_that_never_answers_is_told_in_time(locked: SecuredKafka) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        settings = locked.settings("SCRAM", KAFKA_BOOTSTRAP_SERVERS=address)
        with closing(KafkaBroker(settings, "test")) as broker, told(BrokerUnavailable, "no TLS handshake"):
            ask(broker)


def test_one_good_broker_among_those_that_refuse_is_enough(locked: SecuredKafka) -> None:
    good, other = (f"127.0.0.1:{locked.files.port(name)}" for name in ("SCRAM", "OTHER"))
    settings = locked.settings("SCRAM", KAFKA_BOOTSTRAP_SERVERS=f"{other},{good}")
    with closing(KafkaBroker(settings, "test")) as broker:
        ask(broker)


def test_what_is_overridden_is_what_the_client_calls() -> None:
    for name in ("_do_bootstrap", "_connect", "_build_transport", "get_connection"):
        assert callable(getattr(KafkaConnectionManager, name))
