"""AWS_MSK_IAM: what is signed is what AWS' own library signs, and credentials are looked up once."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from kafka.net.sasl import get_sasl_mechanism

from steadyline.kafka.client.connection import client_options
from steadyline.kafka.client.msk_iam import MskIam, msk_credentials
from steadyline.kafka.client.refusal import EdgeRefused, IssuerUnavailable
from steadyline.settings import KafkaSettings

HOST = "b-1.line.kafka.eu-central-1.amazonaws.com"


@pytest.fixture
def no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials but those of the environment, and no question to the machine's cloud."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    msk_credentials.cache_clear()


def mechanism(region: str) -> Any:
    settings = KafkaSettings.model_validate(
        {"security_protocol": "SASL_SSL", "sasl_mechanism": "AWS_MSK_IAM", "aws_region": region}
    )
    options = client_options(settings, "test")
    known: Any = get_sasl_mechanism
    assert known("AWS_MSK_IAM") is MskIam
    return MskIam(host=HOST, **options)


@pytest.mark.usefixtures("no_account")
@pytest.mark.parametrize("token", [None, "session/token+="])
def test_a_login_is_signed_as_by_the_library_of_aws(
    token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret/of+nobody")
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    else:
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    for _ in range(5):  # both take the time of day, to the second
        message = json.loads(mechanism("eu-central-1").auth_bytes())
        request = AWSRequest("GET", f"kafka://{HOST}/?Action=kafka-cluster%3AConnect")
        signer = SigV4QueryAuth(
            Credentials("AKIDEXAMPLE", "secret/of+nobody", token), "kafka-cluster", "eu-central-1", 900
        )
        signer.add_auth(request)
        wanted = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
        if wanted["X-Amz-Date"] == message["x-amz-date"]:
            break
    assert {name.lower(): value for name, value in wanted.items()}.items() <= message.items()
    assert (message["version"], message["host"]) == ("2020_10_22", HOST)


@pytest.mark.usefixtures("no_account")
def test_a_process_without_credentials_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EdgeRefused, match="no AWS credentials"):
        mechanism("eu-central-1").auth_bytes()


@pytest.fixture
def deaf(no_account: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a container's service of credentials, which takes a question and never answers."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/role"
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", address)
        yield address


@pytest.mark.usefixtures("deaf")
def test_a_service_of_credentials_that_never_answers_holds_no_client_for_longer_than_said() -> None:
    with pytest.raises(IssuerUnavailable, match="no answer within 3 s"):
        mechanism("eu-central-1").auth_bytes()
