"""How Triton is started in a container: what is loaded, which door is open to whom."""

from pathlib import Path

import pytest

from steadyline.errors import InvalidConfiguration
from steadyline.servers.triton_container import ContainerServer, ServerIdentity


def test_the_server_loads_what_has_passed_and_its_repository_is_closed(tmp_path: Path) -> None:
    command = ContainerServer(
        Path("/opt/tritonserver"), tmp_path, "0.0.0.0", (1, 2, 3), "secret", ["part"]
    ).command()
    assert "--load-model=part" in command
    assert "--model-control-mode=explicit" in command
    closed = [word for word in command if "restricted" in word]
    assert len(closed) == 2
    assert not any("inference" in word for word in closed), "in clear, gRPC and HTTP are open alike"
    assert all("model-repository" in word and word.endswith("admin-key=secret") for word in closed)
    assert not any("ssl" in word for word in command), "in clear, as nothing else was asked for"


def test_the_server_shows_a_certificate_and_asks_for_one_where_an_authority_is_given(tmp_path: Path) -> None:
    own, key, authority = Path("/c.pem"), Path("/k.pem"), Path("/ca.pem")

    def words(identity: ServerIdentity | None) -> list[str]:
        server = ContainerServer(Path("/t"), tmp_path, "0.0.0.0", (1, 2, 3), "s", identity=identity)
        return [word for word in server.command() if word.startswith(("--grpc-use", "--grpc-root"))]

    assert words(ServerIdentity.of(own, key, None)) == ["--grpc-use-ssl=true"]
    assert words(ServerIdentity.of(own, key, authority)) == [
        "--grpc-use-ssl-mutual=true",
        "--grpc-root-cert=/ca.pem",
    ]
    assert words(ServerIdentity.of(None, None, None)) == []


def test_with_an_identity_http_answers_nothing_but_health_without_the_key(tmp_path: Path) -> None:
    identity = ServerIdentity.of(Path("/c.pem"), Path("/k.pem"), Path("/ca.pem"))
    command = ContainerServer(Path("/t"), tmp_path, "0.0.0.0", (1, 2, 3), "s", identity=identity).command()
    (closed,) = [word for word in command if word.startswith("--http-restricted-api=")]
    names, _, key = closed.removeprefix("--http-restricted-api=").partition(":")
    assert key == "admin-key=s"
    assert {"inference", "model-config", "metadata", "statistics", "model-repository"} <= set(
        names.split(",")
    )
    assert "health" not in names, "probes have no key"
    (grpc,) = [word for word in command if word.startswith("--grpc-restricted-protocol=")]
    assert "inference" not in grpc


@pytest.mark.parametrize("given", [("c", None, None), (None, "k", None), (None, None, "a"), ("c", None, "a")])
def test_half_of_a_servers_identity_is_refused(given: tuple[str | None, ...]) -> None:
    certificate, key, authority = (None if name is None else Path(name) for name in given)
    with pytest.raises(InvalidConfiguration, match="--certificate and --key are needed together"):
        ServerIdentity.of(certificate, key, authority)
