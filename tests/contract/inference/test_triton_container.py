"""The command of Triton's containers, on a real server: with an identity gRPC is the only door."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from steadyline.inference import ModelRef
from steadyline.servers.process import ServerProcess
from steadyline.servers.triton_container import ContainerServer, ServerIdentity
from steadyline.settings import TritonSettings
from steadyline.triton import TritonClient
from tests.support.certificates import CertificateAuthority
from tests.support.locked_servers import LockedTriton, a_folder, running
from tests.support.models import Contrast, a_plain_picture, serve_version
from tests.support.servers import require

pytestmark = pytest.mark.servers

OF_THE_WHEEL = ("--backend", "--allow-metrics", "--allow-gpu-metrics", "--pinned-memory")


@pytest.fixture(scope="module")
def locked() -> Iterator[LockedTriton]:
    """A Triton that the command of the containers has started, and one served version."""
    require(("triton",))
    with a_folder() as folder:
        made = LockedTriton(folder / "home", CertificateAuthority(folder / "certificates"))
        plain, own = made.files.launch(), made.authority.server("triton")
        grpc, http = made.files.ports.numbers
        identity = ServerIdentity(own.certificate, own.key, made.authority.ca)
        repository = made.files.repository
        server = ContainerServer(
            Path(plain.command[0]),
            repository,
            "127.0.0.1",
            (grpc, http, 0),
            made.files.admin_key,
            identity=identity,
        )
        ours = [word for word in server.command() if not word.startswith("--metrics")]
        command = [*ours, *(word for word in plain.command if word.startswith(OF_THE_WHEEL))]
        made.process = ServerProcess(replace(plain, command=command), folder / "home")
        with running(made):
            client = triton_client(made)
            serve_version(client, repository, "part", 1, Contrast())
            client.close()
            yield made


def triton_client(locked: LockedTriton) -> TritonClient:
    given = {name.removeprefix("TRITON_").lower(): text for name, text in locked.environment().items()}
    return TritonClient(TritonSettings.model_validate(given))


def asked(locked: LockedTriton, path: str, body: object = None) -> tuple[int, str]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(f"http://{locked.files.http}{path}", data, timeout=10) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_client_with_a_certificate_is_served(locked: LockedTriton) -> None:
    client = triton_client(locked)
    pictures = np.stack([a_plain_picture(32)])[..., None]
    assert client.infer(ModelRef("part", 1), pictures).result(20).scores.shape == (1,)
    client.close()


def test_over_http_only_health_is_answered_without_the_key(locked: LockedTriton) -> None:
    picture = {"name": "picture", "shape": [1, 32, 32, 1], "datatype": "UINT8", "data": [0] * 1024}
    for path, body in (
        ("/v2/models/part/versions/1/infer", {"inputs": [picture]}),
        ("/v2/models/part/config", None),
        ("/v2/models/part/stats", None),
        ("/v2/models/part", None),
        ("/v2", None),
        ("/v2/repository/index", {}),
    ):
        status, told = asked(locked, path, body)
        assert (status, "restricted" in told) == (403, True), path
    assert [asked(locked, f"/v2/health/{word}")[0] for word in ("live", "ready")] == [200, 200]
