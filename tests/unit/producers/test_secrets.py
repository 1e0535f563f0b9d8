"""No part of a secret in a camera's address is printed, logged or sent, wherever a user puts it.

What FFmpeg itself may write to the process's stderr counts too.
"""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from producers.app import ProducersDependencies, build
from producers.config import ProducersSettings
from steadyline.clock import SystemClock
from steadyline.errors import InvalidConfiguration
from steadyline.kafka.memory.broker import MemoryBroker
from steadyline.line import Line
from steadyline.settings import TelemetrySettings
from steadyline.telemetry.health import ServiceHealth
from steadyline.telemetry.logs import configure_logs
from tests.support.eventually import eventually

CLOCK = SystemClock()
NOBODY = "127.0.0.1:9"  # nothing listens there
PARTS = ("hunter", "2secret", "2SECRET")
MARKS = ["", "#", "/", "?", "@", ":", "%", "%40", "%2F", "&", "=", "[", " ", ";", "//", "://"]


def addresses(secret: str) -> Iterator[str]:
    """Yield the addresses of cameras as users write them."""
    for scheme in ("rtsp", "rtsps", "RTSP", "http"):
        yield f"{scheme}://op:{secret}@{NOBODY}/stream"
    yield f"rtsp://{secret}@{NOBODY}/stream"
    yield f"rtsp://op:{secret}@{NOBODY}/stream?fps=0"
    yield f"rtsp://op:{secret}@{NOBODY}/stream?transport={secret}"
    yield f"rtsp://op:{secret}"
    yield f"rtsp://{NOBODY}/h264?username=op&password={secret}&channel=1"
    yield f"rtsp://{NOBODY}/user=op_password={secret}_channel=1_stream=0.sdp"
    yield f"rtsp://{NOBODY}/cam?token={secret}"
    yield f"rtsp://{NOBODY}/{secret}/cam"
    yield f"video:rtsp://op:{secret}@{NOBODY}/stream"
    yield f"usb:rtsp://op:{secret}@{NOBODY}/stream"
    yield f"folder:http://op:{secret}@{NOBODY}/stream"
    yield f"folder:pictures?{secret}=1"
    yield f"op:{secret}@{NOBODY}"
    yield f"//op:{secret}@{NOBODY}"


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.parametrize("mark", MARKS)
def test_nothing_of_a_secret_gets_out(mark: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    configure_logs("producers", TelemetrySettings())
    for number, address in enumerate(addresses(f"hunter{mark}2secret")):
        told = tell(tmp_path / str(number), address, capfd)
        assert "c1" in told, f"{address}: the camera is not named: {told}"
        assert not any(part in told for part in PARTS), f"{address}: {told}"


def tell(home: Path, source: str, capfd: pytest.CaptureFixture[str]) -> str:
    """Return all that the producers say of a camera until it is lost or refused."""
    camera = {"id": "c1", "product": "part", "source": source}
    line = Line.model_validate({"line": "l", "products": {"part": {}}, "cameras": [camera]})
    settings = ProducersSettings(state=home, status_seconds=0.05, read_timeout_seconds=2)
    broker, stop, said = MemoryBroker(), threading.Event(), [""]
    topics = line.kafka_topics()
    broker.create_topics(list(topics))

    def is_lost() -> bool:
        said[0] += "".join(capfd.readouterr())
        return "camera_lost" in said[0]

    try:
        with build(
            ProducersDependencies(line, home, settings, CLOCK), [], broker, ServiceHealth(CLOCK)
        ) as all_:
            running = threading.Thread(target=all_.run, args=(stop,))
            running.start()
            try:
                eventually(is_lost, 10, "the camera is lost")
            finally:
                stop.set()
                running.join()
    except InvalidConfiguration as error:
        return said[0] + str(error) + repr(error.__cause__)
    sent = [
        bytes(record.value or b"").decode() for record in broker.reader("t").read(topics.camera_status.name)
    ]
    return said[0] + "".join(capfd.readouterr()) + "".join(sent)
