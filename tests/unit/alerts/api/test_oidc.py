"""Tokens of an issuer: a real one over HTTP, and every way in which a token may be wrong."""

import base64
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from httpx2 import Response

from alerts.api.oidc import OidcIssuer, OidcVerifier
from alerts.config import AlertsSettings
from alerts.outward import oidc_verifier
from steadyline.clock import ManualClock
from steadyline.errors import InvalidConfiguration
from tests.support.alerts_api import BEGIN, ApiUnderTest, an_api, reason_of
from tests.support.certificates import CertificateAuthority
from tests.support.oidc_issuer import IssuerUnderTest


@pytest.fixture
def issuer() -> Iterator[IssuerUnderTest]:
    issuer = IssuerUnderTest()
    yield issuer
    issuer.close()


@pytest.fixture
def plant(tmp_path: Path, issuer: IssuerUnderTest) -> Iterator[ApiUnderTest]:
    verifier = OidcVerifier(OidcIssuer(issuer.address, "steadyline"), ManualClock(BEGIN))
    with an_api(tmp_path, oidc=verifier) as api:
        yield api


def ask(api: ApiUnderTest, token: str, path: str = "/tokens/self") -> Response:
    answer = api.client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"})
    assert isinstance(answer, Response)
    return answer


def test_a_token_of_the_issuer_lets_its_bearer_in_with_the_role_of_its_scope(
    plant: ApiUnderTest, issuer: IssuerUnderTest
) -> None:
    assert ask(plant, issuer.token()).json() == {"name": "ines@plant.example", "role": "operator"}
    assert ask(plant, issuer.token(email_verified=False)).json()["name"] == "u-17"
    both = issuer.token(scope=None, scp=["steadyline:viewer", "steadyline:engineer"])
    assert ask(plant, both).json()["role"] == "engineer"
    assert reason_of(ask(plant, issuer.token(), "/tokens")) == "role_too_low"


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"exp": 1767225600 - 31}, 401, "expired_token"),
        ({"nbf": 1767225600 + 31}, 401, "expired_token"),
        ({"aud": "another"}, 401, "wrong_audience"),
        ({"aud": None}, 401, "malformed_token"),
        ({"iss": "https://elsewhere.example"}, 401, "wrong_issuer"),
        ({"exp": None}, 401, "malformed_token"),
        ({"exp": True}, 401, "malformed_token"),
        ({"sub": None}, 401, "malformed_token"),
        ({"scope": "openid profile"}, 403, "wrong_scope"),
        ({"scope": None}, 403, "wrong_scope"),
        ({"scope": {"steadyline:admin": 1}}, 403, "wrong_scope"),
    ],
)
def test_a_token_that_is_wrong_lets_nobody_in(
    plant: ApiUnderTest, issuer: IssuerUnderTest, changes: dict[str, object], status: int, reason: str
) -> None:
    answer = ask(plant, issuer.token(**changes))
    assert (answer.status_code, reason_of(answer)) == (status, reason)


def test_a_token_of_a_key_that_the_issuer_does_not_have_lets_nobody_in(
    plant: ApiUnderTest, issuer: IssuerUnderTest
) -> None:
    stranger = IssuerUnderTest()
    stranger.close()
    stranger.address = issuer.address
    assert reason_of(ask(plant, stranger.token())) == "wrong_signature"


def test_a_token_without_a_signature_lets_nobody_in(plant: ApiUnderTest, issuer: IssuerUnderTest) -> None:
    _, claims, signature = issuer.token().split(".")
    for header in ({"alg": "none"}, {"alg": "None", "kid": "key-1"}, {"alg": "ES256", "kid": "key-1"}):
        head = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
        assert reason_of(ask(plant, f"{head}.{claims}.")) == "wrong_signature", header
    more = json.loads(base64.urlsafe_b64decode(claims + "=="))
    more["scope"] = "steadyline:admin"
    forged = base64.urlsafe_b64encode(json.dumps(more).encode()).decode().rstrip("=")
    head = issuer.token().split(".")[0]
    assert reason_of(ask(plant, f"{head}.{forged}.{signature}")) == "wrong_signature"


def test_a_token_signed_with_the_public_key_as_a_secret_lets_nobody_in(
    plant: ApiUnderTest, issuer: IssuerUnderTest
) -> None:
    secret = b"k" * 32
    issuer.more_keys = [
        {"kty": "oct", "k": base64.urlsafe_b64encode(secret).decode(), "kid": "key-2", "alg": "HS256"}
    ]
    claims = jwt.decode(issuer.token(), options={"verify_signature": False})
    for key_id in ("key-1", "key-2"):
        forged = jwt.encode(claims, secret, "HS256", {"kid": key_id})
        assert reason_of(ask(plant, forged)) == "wrong_signature"
    public = (
        issuer.keys["key-1"]
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    body = jwt.encode(claims, secret, "HS256", {"kid": "key-1"}).rpartition(".")[0]
    signature = base64.urlsafe_b64encode(hmac.digest(public, body.encode(), "sha256")).decode().rstrip("=")
    assert reason_of(ask(plant, f"{body}.{signature}")) == "wrong_signature"


def test_a_new_key_is_believed_and_an_old_one_no_more(issuer: IssuerUnderTest, tmp_path: Path) -> None:
    clock = ManualClock(BEGIN)
    verifier = OidcVerifier(OidcIssuer(issuer.address, "steadyline"), clock)
    with an_api(tmp_path, oidc=verifier) as api:
        old = issuer.token()
        assert ask(api, old).status_code == 200
        issuer.rotate("key-2")
        clock.advance(timedelta(seconds=11))
        assert ask(api, issuer.token()).status_code == 200
        assert reason_of(ask(api, old)) == "wrong_signature"


def test_a_stranger_does_not_make_us_ask_the_issuer_without_end(
    plant: ApiUnderTest, issuer: IssuerUnderTest
) -> None:
    good = issuer.token()
    for number in range(5):
        issuer.rotate(f"key-{number + 7}")
        ask(plant, issuer.token())
        ask(plant, good)
    assert issuer.asked == 1


def test_while_the_issuer_is_away_its_tokens_wait_and_ours_do_not(
    plant: ApiUnderTest, issuer: IssuerUnderTest
) -> None:
    token = issuer.token()
    issuer.close()
    answer = ask(plant, token)
    assert (answer.status_code, reason_of(answer)) == (503, "issuer_unavailable")
    assert plant.client.get("/api/v1/tokens/self", headers=plant.as_("viewer")).status_code == 200


def test_the_issuer_has_a_certificate_of_the_plant_or_is_not_asked(tmp_path: Path) -> None:
    plant_ca, other = (CertificateAuthority(tmp_path, name) for name in ("plant", "other"))
    issuer = IssuerUnderTest(plant_ca.server())
    try:
        told = {}
        for name, ca in (("plant", plant_ca.ca), ("other", other.ca), ("system", None)):
            settings = AlertsSettings(oidc_issuer=issuer.address, ca_file=ca)
            with an_api(tmp_path / name, oidc=oidc_verifier(settings, ManualClock(BEGIN))) as api:
                answer = ask(api, issuer.token())
                told[name] = (answer.status_code, reason_of(answer) if answer.is_error else "")
    finally:
        issuer.close()
    away = (503, "issuer_unavailable")
    assert told == {"plant": (200, ""), "other": away, "system": away}


@pytest.mark.parametrize("address", ["http://login.plant.example", "ftp://127.0.0.1", "login", "https://"])
def test_keys_are_never_fetched_in_the_clear(address: str) -> None:
    with pytest.raises(InvalidConfiguration):
        OidcIssuer(address, "steadyline")
