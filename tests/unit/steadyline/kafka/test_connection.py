"""What every client is made with, and what its errors say."""

from kafka.errors import (
    GroupAuthorizationFailedError,
    KafkaTimeoutError,
    SaslAuthenticationFailedError,
    TopicAuthorizationFailedError,
)

from steadyline.errors import BrokerUnavailable, LoginRefused, NotAllowed
from steadyline.kafka.client.connection import client_options, translated
from steadyline.kafka.client.refusal import EdgeRefused
from steadyline.settings import KafkaSettings


def test_a_broker_that_comes_back_is_tried_again_within_a_second_or_two() -> None:
    options = client_options(KafkaSettings(), "test")
    assert options["reconnect_backoff_max_ms"] <= 1_000  # the client's own 30 s: measured, 22 to 28 s lost


def test_a_broker_that_was_never_found_is_told_with_the_variable_that_names_it() -> None:
    found = translated(KafkaTimeoutError("Unable to bootstrap from ['127.0.0.1']"), "listing topics")
    assert isinstance(found, BrokerUnavailable)
    assert str(found) == (
        "listing topics: KafkaTimeoutError: Unable to bootstrap from ['127.0.0.1']; is Kafka up, and is "
        "KAFKA_BOOTSTRAP_SERVERS its host:port?"
    )


def test_an_error_is_named_once() -> None:
    for error in (KafkaTimeoutError("x"), TopicAuthorizationFailedError("x")):
        assert str(translated(error, "reading")).count(type(error).__name__) == 1


def test_a_refused_right_and_a_refused_login_have_words_of_their_own() -> None:
    for right in (TopicAuthorizationFailedError("x"), GroupAuthorizationFailedError("x")):
        found = translated(right, "reading")
        assert (type(found), found.reason) == (NotAllowed, "not_allowed")
        assert "`steadyline topics acls`" in str(found)
    for login in (EdgeRefused("the broker refuses the user"), SaslAuthenticationFailedError("x")):
        found = translated(login, "reading")
        assert (type(found), found.reason) == (LoginRefused, "login_refused")
