"""Every way in to a locked broker: each of our clients works over it, and tokens are renewed meanwhile."""

import shutil
import time
import uuid
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from steadyline.contracts.topics import Topics, line_topics
from steadyline.kafka.broker import Broker, Message, Partition, Record
from steadyline.kafka.client.broker import KafkaBroker
from steadyline.kafka.client.connection import oauth_client
from steadyline.kafka.client.restorer import KafkaRestorer
from steadyline.kafka.client.tokens import tokens_of
from tests.support.broker_steps import SHORT, committed, polled, publish, values
from tests.support.certificates import CertificateAuthority
from tests.support.eventually import eventually
from tests.support.secured_kafka import SecuredKafka

pytestmark = pytest.mark.servers

WAYS = ("SCRAM", "PLAIN", "MTLS", "OAUTH")


@pytest.fixture
def topics() -> Topics:
    return line_topics(f"t{uuid.uuid4().hex[:10]}", 1)


def everything_works(broker: Broker, topics: Topics) -> None:
    """Create topics, publish, take part in a transaction, read, and follow."""
    frames, scores = topics.frames.name, topics.scores.name
    broker.create_topics([topics.frames, topics.scores])
    publish(broker, Message(frames, b"c", b"1"))
    group = f"g-{uuid.uuid4().hex}"
    with closing(broker.worker(group, "w1", [frames])) as worker:
        (record,) = polled(worker, 1)
        assert committed(worker, [Message(scores, b"c", b"one", (), 0)], {record.partition: 1})
        assert len(worker.members()) == 1
    assert values(broker, topics.scores) == [b"one"]
    assert broker.committed_offsets(group) == {record.partition: 1}
    with closing(broker.follower("test", [scores])) as follower:
        (found,) = eventually(lambda: follower.poll(SHORT), within=20)
        assert found.value == b"one"


@pytest.mark.parametrize("way", WAYS)
def test_every_client_works_over_each_way_in(way: str, locked: SecuredKafka, topics: Topics) -> None:
    settings = locked.settings(way)
    with closing(KafkaBroker(settings, "test")) as broker:
        everything_works(broker, topics)
    with closing(KafkaRestorer(settings, f"{topics.frames.name}.backup")) as restorer:
        place = Partition(topics.frames.name, 0)
        restorer.end_transaction([Record(place, 0, None, b"2", (), 0)], is_kept=False)
        restorer.commit(f"g-{topics.frames.name}", {place: (1, "a note")})
        assert restorer.positions(f"g-{topics.frames.name}") == {place: (1, "a note")}


def test_tokens_are_renewed_before_they_end_and_nobody_notices(
    locked: SecuredKafka, topics: Topics, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker ends a connection whose token has ended: one that lives on has been given another."""
    locked.issuer.life = 5.0
    caplog.set_level("INFO", "kafka.net")
    settings = locked.settings("OAUTH", KAFKA_OAUTH_SCOPE="")  # a provider of its own, without a token yet
    provider = tokens_of(oauth_client(settings))
    try:
        with closing(KafkaBroker(settings, "test")) as broker:
            broker.create_topics([topics.frames])
            asked, began = locked.issuer.asked, time.monotonic()
            results: list[Exception | None] = []
            with closing(broker.publisher("long")) as publisher:

                def another() -> bool:
                    publisher.publish(Message(topics.frames.name, b"c", b"x"), results.append)
                    assert publisher.flush(timedelta(seconds=5))
                    return time.monotonic() - began > 9

                eventually(another, within=30)
            assert set(results) == {None}
            assert "socket disconnected" not in caplog.text
            assert 2 <= locked.issuer.asked - asked <= 12
            assert provider.token()
    finally:
        locked.issuer.life = 600.0


def test_a_key_may_be_encrypted(locked: SecuredKafka) -> None:
    closed = locked.authority.client("closed", password="7-blue-otters")
    settings = locked.settings(
        "MTLS",
        KAFKA_SSL_CERTIFICATE_LOCATION=str(closed.certificate),
        KAFKA_SSL_KEY_LOCATION=str(closed.key),
        KAFKA_SSL_KEY_PASSWORD="7-blue-otters",
    )
    with closing(KafkaBroker(settings, "test")) as broker:
        assert broker.describe_topics([]) == {}


def test_certificates_that_are_replaced_on_disk_hold_for_the_next_connection(
    locked: SecuredKafka, topics: Topics, tmp_path: Path
) -> None:
    """One publisher lives through it; what was refused is delivered once the files are good again."""
    client = locked.authority.client("rotated")
    authorities = tmp_path / "authorities.pem"
    good, strange = locked.authority.ca, CertificateAuthority(tmp_path, "strange").ca
    shutil.copy(good, authorities)
    settings = locked.settings(
        "CUT",
        KAFKA_SSL_CERTIFICATE_LOCATION=str(client.certificate),
        KAFKA_SSL_KEY_LOCATION=str(client.key),
        KAFKA_SSL_CA_LOCATION=str(authorities),
    )
    with closing(KafkaBroker(settings, "test")) as broker:
        broker.create_topics([topics.frames])
        with closing(broker.publisher("rotating")) as publisher:

            def is_delivered(within: float) -> bool:
                results: list[Exception | None] = []
                publisher.publish(Message(topics.frames.name, b"c", b"x"), results.append)
                return publisher.flush(timedelta(seconds=within)) and results == [None]

            assert is_delivered(10)
            locked.authority.client("rotated", is_expired=True)
            with capture_logs() as lines:
                locked.files.proxy.cut()
                assert not is_delivered(1.5)
            (line,) = [
                line for line in lines if (line["event"], line.get("client")) == ("kafka_refused", "rotating")
            ]
            assert "refuses this client's certificate" in line["error"]
            locked.authority.client("rotated")
            assert is_delivered(20)
            shutil.copy(strange, authorities)
            locked.files.proxy.cut()
            assert not is_delivered(1.5)
            authorities.write_bytes(strange.read_bytes() + good.read_bytes())
            assert is_delivered(20)
    with closing(KafkaBroker(settings, "test")) as broker:
        assert values(broker, topics.frames) == [b"x"] * 5
