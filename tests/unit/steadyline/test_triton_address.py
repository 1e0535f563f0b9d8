"""What is wrong with TRITON_URL is said in one line, with how it must look and without a secret."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from steadyline.errors import InferenceUnavailable, InvalidConfiguration
from steadyline.ops.doctor.finding import Report
from steadyline.ops.doctor.serving import look_at_server
from steadyline.settings import TritonSettings
from steadyline.triton import TritonClient

WRONG = [
    *(
        "http://127.0.0.1:8001",
        "grpc://127.0.0.1:8001",
        "https://user:hunter2@triton:8001",
        "dns:///triton:8001",
    ),
    *(
        "127.0.0.1",
        "triton",
        "",
        ":8001",
        "triton:",
        "triton:grpc",
        "triton:0",
        "triton:65536",
        "triton:٨٠٠١",
    ),
    *("triton:8001/v2", "triton:8001 ", " triton:8001", "triton:8001\r", '"triton:8001"', "a b:8001"),
    *("user:hunter2@triton:8001", "triton:8001,other:8001", "::1:8001", "[::1]", "triton:800100"),
]


@pytest.mark.parametrize("url", WRONG)
def test_an_address_that_is_no_host_and_port_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(InvalidConfiguration) as raised:
        TritonClient(TritonSettings(url=url))
    text = str(raised.value)
    assert text.startswith("TRITON_URL ")
    assert "127.0.0.1:8001 for example" in text
    assert "\n" not in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8001", "triton:8001", "triton-0.cell_1.example:65535", "[::1]:8001"]
)
def test_a_host_with_a_port_is_an_address(url: str) -> None:
    TritonClient(TritonSettings(url=url)).close()


def test_a_port_that_refuses_is_told_with_the_reason_that_grpc_gives() -> None:
    client = TritonClient(TritonSettings(url="127.0.0.1:9"))
    with pytest.raises(InferenceUnavailable, match=r"TRITON_URL.*UNAVAILABLE.*refused"):
        client.verify()
    client.close()


def test_the_doctor_tells_the_reason_that_grpc_gives() -> None:
    client, report = TritonClient(TritonSettings(url="127.0.0.1:9")), Report()
    assert not look_at_server(client, True, report)
    client.close()
    (finding,) = report.findings
    assert (finding.check, finding.state) == ("Triton", "failed")
    assert "127.0.0.1:9" in finding.found
    assert "refused" in finding.found


class AnyHealth(BaseHTTPRequestHandler):
    """Answers as an HTTP port does."""

    def do_GET(self) -> None:
        self.send_error(400)


@pytest.fixture
def http_port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), AnyHealth)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_an_http_port_is_named_as_one(http_port: int) -> None:
    client = TritonClient(TritonSettings(url=f"127.0.0.1:{http_port}"))
    with pytest.raises(
        InvalidConfiguration, match="is an HTTP port: write the port of Triton's gRPC service"
    ):
        client.verify()
    client.close()
