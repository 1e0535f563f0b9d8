"""Triton behind TLS that asks for certificates: every call, what a stranger is told, files that change."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from steadyline.errors import InferenceUnavailable, InvalidConfiguration
from steadyline.inference import ModelRef
from steadyline.settings import TritonSettings
from steadyline.triton import TritonClient
from tests.support.certificates import CertificateAuthority
from tests.support.eventually import eventually
from tests.support.locked_servers import LockedTriton, a_folder, running
from tests.support.models import Contrast, a_plain_picture, serve_version
from tests.support.servers import require

pytestmark = pytest.mark.servers

PICTURES = np.stack([a_plain_picture(32)])[..., None]


@pytest.fixture(scope="module")
def locked() -> Iterator[LockedTriton]:
    require(("triton",))
    with a_folder() as folder:
        server = LockedTriton(folder / "home", CertificateAuthority(folder / "certificates"))
        with running(server):
            yield server


def settings_of(locked: LockedTriton, **others: object) -> TritonSettings:
    """Return the settings that its environment gives, some of them changed."""
    given = {name.removeprefix("TRITON_").lower(): text for name, text in locked.environment().items()}
    return TritonSettings.model_validate({**given, **others})


def test_every_call_goes_over_mutual_tls(locked: LockedTriton) -> None:
    client = TritonClient(settings_of(locked, connections=2))
    client.verify()
    serve_version(client, locked.files.repository, "locked", 1, Contrast())
    ref = ModelRef("locked", 1)
    assert client.is_server_ready()
    assert client.is_ready(ref)
    for _ in range(4):
        assert client.infer(ref, PICTURES).result(20).scores.shape == (1,)
    assert [(entry.name, entry.version, entry.state) for entry in client.index()] == [("locked", 1, "READY")]
    client.unload("locked")
    client.close()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ssl_certificate_location": None, "ssl_key_location": None}, "TRITON_SSL_CERTIFICATE_LOCATION"),
        ({"ssl_ca_location": "other"}, "TRITON_SSL_CA_LOCATION must name the authority"),
        ({"ssl_ca_location": None}, "TRITON_SSL_CA_LOCATION must name the authority"),
        (
            {
                "security_protocol": "PLAINTEXT",
                "ssl_ca_location": None,
                "ssl_certificate_location": None,
                "ssl_key_location": None,
            },
            "TRITON_SECURITY_PROTOCOL",
        ),
    ],
    ids=["no certificate", "another authority", "no authority", "in clear"],
)
def test_a_stranger_is_told_what_is_missing(
    locked: LockedTriton, tmp_path: Path, change: dict[str, object], told: str
) -> None:
    if change.get("ssl_ca_location") == "other":
        change = {**change, "ssl_ca_location": CertificateAuthority(tmp_path, "other").ca}
    client = TritonClient(settings_of(locked, **change))
    with pytest.raises(InferenceUnavailable, match=told):
        client.verify()
    client.close()


def test_a_wrong_key_of_the_repository_is_told_by_its_variable(locked: LockedTriton) -> None:
    client = TritonClient(settings_of(locked, admin_key="of-another-triton"))
    client.verify()
    with pytest.raises(InferenceUnavailable, match="TRITON_ADMIN_KEY is not the key") as raised:
        client.index()
    assert "of-another-triton" not in str(raised.value)
    client.close()


def test_a_key_of_another_certificate_is_refused_at_the_start(locked: LockedTriton) -> None:
    other = locked.authority.client("another-client")
    with pytest.raises(InvalidConfiguration, match="TRITON_SSL_KEY_LOCATION"):
        TritonClient(settings_of(locked, ssl_key_location=other.key))


def test_certificates_that_were_replaced_are_taken_up_without_a_restart(tmp_path: Path) -> None:
    require(("triton",))
    folder = tmp_path / "certificates"
    locked = LockedTriton(tmp_path / "home", CertificateAuthority(folder))
    with running(locked):
        client = TritonClient(settings_of(locked))
        client.verify()
        another = CertificateAuthority(folder)  # in the place of the first
        another.server("triton")
        another.client("triton-client")
        locked.process.restart()  # Triton itself reads its files at its start only
        eventually(client.is_server_ready, 20, "the client shows what lies on the disk now")
        (folder / "triton-client.key").write_text("half of a key")
        eventually(lambda: client.is_server_ready(), 5, "what cannot be used is not taken")
        client.close()
