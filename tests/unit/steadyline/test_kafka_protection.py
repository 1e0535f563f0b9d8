"""Kafka's edge is set whole or not at all: what is missing, or has no effect, is told at the start."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from steadyline.errors import InvalidConfiguration
from steadyline.settings import KafkaSettings, read_settings
from tests.support.certificates import CertificateAuthority, IssuedCertificate

PROTOCOL, MECHANISM = "KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_MECHANISM"
USER, PASSWORD = "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"
CA, CERTIFICATE, KEY = "KAFKA_SSL_CA_LOCATION", "KAFKA_SSL_CERTIFICATE_LOCATION", "KAFKA_SSL_KEY_LOCATION"
KEY_PASSWORD = "KAFKA_SSL_KEY_PASSWORD"
URL, ID, SECRET = "KAFKA_OAUTH_TOKEN_URL", "KAFKA_OAUTH_CLIENT_ID", "KAFKA_OAUTH_CLIENT_SECRET"
SCOPE, OAUTH_CA, REGION = "KAFKA_OAUTH_SCOPE", "KAFKA_OAUTH_CA_LOCATION", "KAFKA_AWS_REGION"

OF_NOBODY = "s3cret"
USERS = {USER: "line-1", PASSWORD: OF_NOBODY}
TOKENS = {URL: "https://login.plant/token", ID: "line-1", SECRET: OF_NOBODY}
PAIR = {CERTIFICATE: "{client}", KEY: "{key}"}

GOOD = [
    {PROTOCOL: "PLAINTEXT"},
    {PROTOCOL: "SSL"},
    {PROTOCOL: "SSL", CA: "{ca}"},
    {PROTOCOL: "SSL", **PAIR},
    {PROTOCOL: "SSL", CERTIFICATE: "{closed}", KEY: "{closed_key}", KEY_PASSWORD: OF_NOBODY},
    {PROTOCOL: "SASL_SSL", **USERS},
    {PROTOCOL: "SASL_SSL", **USERS, **PAIR},
    {PROTOCOL: "SASL_SSL", MECHANISM: "PLAIN", **USERS},
    {PROTOCOL: "SASL_PLAINTEXT", MECHANISM: "SCRAM-SHA-256", **USERS},
    {PROTOCOL: "SASL_SSL", MECHANISM: "OAUTHBEARER", **TOKENS},
    {PROTOCOL: "SASL_SSL", MECHANISM: "OAUTHBEARER", **TOKENS, SCOPE: "frames", OAUTH_CA: "{ca}"},
    {PROTOCOL: "SASL_SSL", MECHANISM: "OAUTHBEARER", **TOKENS, URL: "http://127.0.0.1:8080/token"},
    {PROTOCOL: "SASL_SSL", MECHANISM: "AWS_MSK_IAM", REGION: "eu-central-1"},
]

BAD: list[tuple[dict[str, str], str]] = [
    # Without effect.
    ({USER: "line-1"}, f"{USER} is set, but {PROTOCOL} is PLAINTEXT, which knows no user"),
    ({MECHANISM: "PLAIN"}, f"{MECHANISM} is set, but {PROTOCOL} is PLAINTEXT"),
    ({SECRET: OF_NOBODY}, f"{SECRET} is set, but {PROTOCOL} is PLAINTEXT"),
    ({REGION: "eu-central-1"}, f"{REGION} is set, but {PROTOCOL} is PLAINTEXT"),
    ({PROTOCOL: "SSL", **USERS}, f"{USER} is set, but {PROTOCOL} is SSL, which knows no user"),
    ({CA: "{ca}"}, f"{CA} is set, but {PROTOCOL} is PLAINTEXT, which is not encrypted"),
    (PAIR, f"{CERTIFICATE} is set, but {PROTOCOL} is PLAINTEXT, which is not encrypted"),
    ({PROTOCOL: "SASL_PLAINTEXT", **USERS, CA: "{ca}"}, f"{CA} is set, but {PROTOCOL} is SASL_PLAINTEXT"),
    ({PROTOCOL: "SASL_SSL", **USERS, SCOPE: "frames"}, f"{SCOPE} is set, but {MECHANISM} is SCRAM-SHA-512"),
    ({PROTOCOL: "SASL_SSL", **USERS, **TOKENS}, "set it to OAUTHBEARER"),
    ({PROTOCOL: "SASL_SSL", **USERS, REGION: "eu-central-1"}, "set it to AWS_MSK_IAM"),
    ({PROTOCOL: "SASL_SSL", MECHANISM: "OAUTHBEARER", **TOKENS, USER: "line-1"}, "set it to SCRAM-SHA-512"),
    ({PROTOCOL: "SASL_SSL", MECHANISM: "AWS_MSK_IAM", REGION: "eu-central-1", **USERS}, f"{USER} is set"),
    (
        {
            PROTOCOL: "SASL_SSL",
            MECHANISM: "OAUTHBEARER",
            **TOKENS,
            URL: "http://localhost:1/token",
            OAUTH_CA: "{ca}",
        },
        f"{OAUTH_CA} is set, but {URL} is not an https:// address",
    ),
    # Half set.
    ({PROTOCOL: "SASL_SSL"}, f"{USER} and {PASSWORD} are needed too"),
    ({PROTOCOL: "SASL_SSL", USER: "line-1"}, f"{PASSWORD} is needed too"),
    ({PROTOCOL: "SASL_SSL", USER: "line-1", PASSWORD: ""}, f"{PASSWORD} is needed too"),
    ({PROTOCOL: "SSL", CERTIFICATE: "{client}"}, f"{CERTIFICATE} is set, but {KEY} is not"),
    ({PROTOCOL: "SSL", KEY: "{key}"}, f"{KEY} is set, but {CERTIFICATE} is not"),
    ({PROTOCOL: "SSL", KEY_PASSWORD: OF_NOBODY}, f"{KEY_PASSWORD} is set, but {KEY} is not"),
    *(
        (
            {
                PROTOCOL: "SASL_SSL",
                MECHANISM: "OAUTHBEARER",
                **{name: value for name, value in TOKENS.items() if name != missing},
            },
            f"{missing} is needed too",
        )
        for missing in TOKENS
    ),
    ({PROTOCOL: "SASL_SSL", MECHANISM: "AWS_MSK_IAM"}, f"{REGION} is needed too"),
    # In clear.
    ({PROTOCOL: "SASL_PLAINTEXT", MECHANISM: "PLAIN", **USERS}, "unencrypted: set it to SASL_SSL"),
    ({PROTOCOL: "SASL_PLAINTEXT", MECHANISM: "OAUTHBEARER", **TOKENS}, "unencrypted: set it to SASL_SSL"),
    (
        {PROTOCOL: "SASL_SSL", MECHANISM: "OAUTHBEARER", **TOKENS, URL: "http://login.plant/token"},
        f"{URL}: the issuer must be at an https:// address",
    ),
    (
        {
            PROTOCOL: "SASL_SSL",
            MECHANISM: "OAUTHBEARER",
            **TOKENS,
            URL: f"https://a:{OF_NOBODY}@login.plant/",
        },
        f"{URL}: no user or password belongs there",
    ),
    ({PROTOCOL: "SASL_SSL", MECHANISM: "OAUTHBEARER", **TOKENS, URL: "login.plant"}, f"{URL}: the address"),
    # Files that cannot be used.
    ({PROTOCOL: "SSL", CA: "{key}"}, f"{CA} names a file without a certificate"),
    ({PROTOCOL: "SSL", CA: "{nowhere}"}, f"{CA}: Path does not point to a file"),
    ({PROTOCOL: "SSL", CERTIFICATE: "{client}", KEY: "{other_key}"}, f"the key of {KEY} is not that of"),
    ({PROTOCOL: "SSL", CERTIFICATE: "{closed}", KEY: "{closed_key}"}, f"{KEY_PASSWORD} when the key is"),
    (
        {PROTOCOL: "SSL", CERTIFICATE: "{closed}", KEY: "{closed_key}", KEY_PASSWORD: "wrong"},
        f"{KEY_PASSWORD} when the key is",
    ),
    ({PROTOCOL: "SSL", CERTIFICATE: "{key}", KEY: "{key}"}, f"{CERTIFICATE} and {KEY} cannot be used"),
]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """What stands in braces in the tables."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = CertificateAuthority(folder)
    client: IssuedCertificate = authority.client("client")
    closed = authority.client("closed", password=OF_NOBODY)
    return {
        "ca": authority.ca,
        "client": client.certificate,
        "key": client.key,
        "other_key": authority.client("other").key,
        "closed": closed.certificate,
        "closed_key": closed.key,
        "nowhere": folder / "nowhere",
    }


def settings_of(
    variables: Mapping[str, str], places: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> KafkaSettings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(**places))
    return read_settings(KafkaSettings)


@pytest.mark.parametrize("variables", GOOD, ids=lambda variables: "-".join(variables.values())[:60])
def test_a_whole_group_is_taken(
    variables: dict[str, str], places: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings_of(variables, places, monkeypatch).security_protocol == variables[PROTOCOL]


@pytest.mark.parametrize(("variables", "told"), BAD, ids=[told[:60] for _, told in BAD])
def test_a_group_that_is_half_set_or_has_no_effect_is_an_error(
    variables: dict[str, str], told: str, places: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        settings_of(variables, places, monkeypatch)
    assert told in str(caught.value)
    assert OF_NOBODY not in str(caught.value)
