"""An object store: encrypted outside of this machine, signed, and refusals that say what to do."""

import ssl
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from steadyline.errors import InvalidConfiguration, StoreUnavailable
from steadyline.line import load_line
from steadyline.store import CREDENTIALS_WITHIN, Store
from tests.support.aws_sts import never_answering, refusing
from tests.support.certificates import CertificateAuthority
from tests.support.otlp_collector import collecting
from tests.support.s3_gateway import BUCKET, S3Gateway, fsspec_forgets

pytest.importorskip("s3fs", reason="the s3 extra is not installed")
Loader = pytest.importorskip("botocore.loaders").Loader

WITHIN = 6.0  # seconds, as docs/edges.md promises


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Some credentials, and no client of another test."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "x")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    fsspec_forgets()
    yield
    fsspec_forgets()


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_a_store_in_clear_on_another_machine_is_refused(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://store.example:9000")
    with pytest.raises(InvalidConfiguration, match=r"http://store.example:9000 would go over the network"):
        Store("s3://bucket/x")
    assert Store("s3://bucket/x", may_be_clear=True).url == "s3://bucket/x"


def test_an_endpoint_in_a_file_of_settings_is_looked_at_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[default]\nendpoint_url = http://store.example:9000\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(InvalidConfiguration, match="in clear"):
        Store("s3://bucket/x")


@pytest.mark.parametrize(
    "endpoint", ["https://store.example:9000", "http://127.0.0.1:9000", "http://[::1]:1"]
)
def test_a_store_that_is_encrypted_or_on_this_machine_is_taken(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert Store("s3://bucket/x").url == "s3://bucket/x"


def test_the_line_file_says_whether_a_store_may_be_in_clear(tmp_path: Path) -> None:
    path = tmp_path / "line.yaml"
    path.write_text("line: a\nstore: s3://bucket/x\nstore_in_clear: true\nproducts:\n  tile: {}\n")
    assert load_line(path).store_in_clear


def test_an_authority_that_is_not_believed_is_told_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = CertificateAuthority(tmp_path).server("store")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    with collecting(context) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="AWS_CA_BUNDLE must name the authority"):
            Store("s3://bucket/x").get("a")
        assert time.monotonic() - began < WITHIN


class TestSigned:
    """What a gateway says that checks every signature."""

    def test_a_wrong_key_is_refused_and_says_what_to_do(
        self, gateway: S3Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in gateway.environment("hunter2secret").items():
            monkeypatch.setenv(name, value)
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="the store refuses these credentials") as raised:
            Store(f"s3://{BUCKET}/x").put("a", b"1")
        assert time.monotonic() - began < WITHIN
        assert "hunter2secret" not in str(raised.value)

    def test_credentials_in_a_file_are_taken(
        self, gateway: S3Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = gateway.environment()
        lines = [
            f"{name.lower()} = {given.pop(name)}" for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        ]
        (tmp_path / "credentials").write_text("\n".join(["[plant]", *lines, ""]))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
        monkeypatch.setenv("AWS_PROFILE", "plant")
        store = Store(f"s3://{BUCKET}/x")
        store.put("a", b"1")
        assert store.get("a") == b"1"


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials, and no question to the cloud of this machine."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


@pytest.fixture
def slow_to_read(monkeypatch: pytest.MonkeyPatch) -> float:
    """A machine that is busy: it reads what a client is made of in more seconds than credentials may take."""
    reads, seconds = Loader.load_service_model, CREDENTIALS_WITHIN.total_seconds() + 0.5
    read = set()

    def slowly(loader: Any, service: str, kind: str, **more: Any) -> object:
        if kind == "service-2" and service not in read:
            read.add(service)
            threading.Event().wait(seconds)
        return reads(loader, service, kind, **more)

    monkeypatch.setattr(Loader, "load_service_model", slowly)
    return seconds


def test_a_machine_that_is_slow_to_make_a_client_lacks_no_credentials(
    slow_to_read: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    started = time.monotonic()
    Store("s3://bucket/x")
    assert time.monotonic() - started > slow_to_read


@pytest.mark.usefixtures("nobody")
def test_a_process_without_credentials_is_told_what_it_lacks() -> None:
    with pytest.raises(StoreUnavailable, match="there are no AWS credentials here"):
        Store("s3://bucket/x")


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(("timeout", "told"), [(30, "3 s"), (1, "1 s")])
def test_a_service_of_credentials_that_never_answers_is_not_waited_for_as_the_store_is(
    timeout: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with never_answering() as address:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{address}/role")
        with pytest.raises(StoreUnavailable, match=rf"no answer within {told}; .* AWS credentials, hangs"):
            Store("s3://bucket/x", timedelta(seconds=timeout))


@pytest.fixture
def pod(nobody: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The identity of a pod, for which its role is taken at a service that a test names."""
    (tmp_path / "token").write_text("a token of nobody")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/scorer")


@pytest.mark.usefixtures("pod")
def test_a_role_that_nobody_gives_is_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with never_answering() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", address)
        with pytest.raises(StoreUnavailable, match=r"no answer within 3 s; .* AWS credentials, hangs"):
            Store("s3://bucket/x")


@pytest.mark.usefixtures("pod", "slow_to_read")
def test_a_role_that_is_refused_is_told_with_who_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", address)
        with pytest.raises(StoreUnavailable, match="who gives this process its AWS credentials refuses"):
            Store("s3://bucket/x")
