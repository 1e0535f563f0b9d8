"""A token is kept, shared, renewed in time, and asked for within limits."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from steadyline.kafka.client.refusal import EdgeRefused, IssuerUnavailable
from steadyline.kafka.client.tokens import (
    ANSWER_SECONDS,
    LONGEST_SECONDS,
    MOST_BYTES,
    ClientCredentials,
    OAuthClient,
    fetch_token,
    tokens_of,
)
from tests.support.certificates import CertificateAuthority
from tests.support.eventually import eventually
from tests.support.token_issuer import TokenIssuer


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("issuer"))


@pytest.fixture
def issuer(authority: CertificateAuthority) -> Iterator[TokenIssuer]:
    with TokenIssuer(authority.server("issuer")) as running:
        yield running


@pytest.fixture
def client(issuer: TokenIssuer, authority: CertificateAuthority) -> OAuthClient:
    return OAuthClient(
        issuer.token_url, issuer.client_id, SecretStr(issuer.client_secret), "frames", authority.ca
    )


def test_one_token_serves_all_who_ask_at_once(client: OAuthClient, issuer: TokenIssuer) -> None:
    provider, found = ClientCredentials(client), []
    threads = [threading.Thread(target=lambda: found.append(provider.token())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(set(found)), issuer.asked) == (8, 1, 1)
    assert tokens_of(client) is tokens_of(client)


def test_a_token_near_its_end_is_given_while_the_issuer_is_away(
    client: OAuthClient, issuer: TokenIssuer
) -> None:
    provider = ClientCredentials(client)
    issuer.life = 6.0
    first = provider.token()
    issuer.reply = (503, b"")
    eventually(lambda: provider.token() and issuer.asked > 1, within=20, what="it is asked for again")
    assert provider.token() == first
    issuer.reply = None
    eventually(lambda: provider.token() != first, within=20, what="another token")


@pytest.mark.parametrize(
    ("reply", "kind", "told"),
    [
        ((401, b'{"error": "invalid_client"}'), EdgeRefused, "KAFKA_OAUTH_CLIENT_SECRET"),
        ((400, b'{"error": "invalid_scope"}'), EdgeRefused, "KAFKA_OAUTH_SCOPE"),
        ((403, b"<html>"), EdgeRefused, r"\(403\)"),
        ((404, b""), EdgeRefused, "token endpoint"),
        ((302, b""), EdgeRefused, "answers 302"),
        ((429, b""), IssuerUnavailable, "answers 429"),
        ((500, b""), IssuerUnavailable, "answers 500"),
        ((200, b"<html>"), EdgeRefused, "no access_token"),
        ((200, b"[]"), EdgeRefused, "no access_token"),
        ((200, b'{"access_token": "a", "expires_in": "soon"}'), EdgeRefused, "no access_token"),
        ((200, b'{"access_token": "a\\u0001b", "expires_in": 60}'), EdgeRefused, "cannot be sent"),
        ((200, b'{"access_token": "a", "expires_in": 0}'), EdgeRefused, "has ended already"),
        ((200, b'{"access_token": "a", "expires_in": NaN}'), EdgeRefused, "has ended already"),
        ((200, b"[" * 60_000), EdgeRefused, "no access_token"),
        ((401, b"[" * 60_000), EdgeRefused, r"\(401\)"),
        ((200, b'{"access_token": "a", "expires_in": 1' + b"0" * 400 + b"}"), EdgeRefused, "no access_token"),
        ((200, b" " * (MOST_BYTES + 1)), IssuerUnavailable, "more than"),
    ],
)
def test_an_answer_that_is_no_token_is_told_with_what_to_do(
    reply: tuple[int, bytes], kind: type[Exception], told: str, client: OAuthClient, issuer: TokenIssuer
) -> None:
    issuer.reply = reply
    with pytest.raises(kind, match=told) as caught:
        fetch_token(client)
    assert issuer.client_secret not in str(caught.value)


def test_a_proxy_of_the_environment_never_sees_the_secret(
    client: OAuthClient, issuer: TokenIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # nobody answers there
    plain = replace(client, token_url=f"http://{client.token_url.partition('://')[2]}")
    with pytest.raises(IssuerUnavailable) as caught:  # the issuer itself speaks TLS only
        fetch_token(plain)
    assert "refused" not in str(caught.value).lower(), "it was asked, and no proxy"


def test_the_life_of_a_token_is_bounded_and_may_be_unstated(client: OAuthClient, issuer: TokenIssuer) -> None:
    issuer.reply = (200, b'{"access_token": "a", "expires_in": 1e300}')
    long = fetch_token(client)
    issuer.reply = (200, b'{"access_token": "a"}')
    unstated = fetch_token(client)
    assert long.ends_at - long.renew_at <= LONGEST_SECONDS
    assert unstated.ends_at < long.renew_at


def test_a_silent_issuer_is_not_waited_for_long(client: OAuthClient, issuer: TokenIssuer) -> None:
    issuer.is_silent = True
    with pytest.raises(IssuerUnavailable, match="cannot be reached"):
        ClientCredentials(client).token()


def test_authorities_are_read_anew_for_each_question(
    client: OAuthClient, issuer: TokenIssuer, authority: CertificateAuthority, tmp_path: Path
) -> None:
    file = tmp_path / "authorities.pem"
    strange = CertificateAuthority(tmp_path, "strange").ca
    asking = OAuthClient(client.token_url, client.client_id, client.client_secret, authorities=file)
    file.write_bytes(strange.read_bytes())
    with pytest.raises(EdgeRefused, match="KAFKA_OAUTH_CA_LOCATION"):
        fetch_token(asking)
    file.write_bytes(authority.ca.read_bytes())
    assert fetch_token(asking).text
    assert ANSWER_SECONDS < 5
