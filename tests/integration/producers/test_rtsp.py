"""A real RTSP camera that goes away and comes back, on a real broker."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from steadyline.picture import PictureLimits, inspect
from tests.support.eventually import eventually
from tests.support.producers_line import ProducersLine
from tests.support.servers import ROOT

pytestmark = pytest.mark.servers

SYSTEM_PYTHON = "/usr/bin/python3"
PROBE = (
    "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer, Gst; "
    "Gst.init(None); assert all(Gst.ElementFactory.find(n) for n in ('vp8enc', 'rtpvp8pay', 'videotestsrc'))"
)
PACKAGES = "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good"


class RtspCamera:
    """The server as a child process on one port, started and killed at will."""

    def __init__(self) -> None:
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *seconds_of_pictures: int) -> None:
        script = ROOT / "tests/support/rtsp_server.py"
        words = [str(word) for word in (self.port, *seconds_of_pictures)]
        self._process = subprocess.Popen([SYSTEM_PYTHON, str(script), *words])
        eventually(self._answers, 20, "the RTSP server answers")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the RTSP server has ended"
        with closing(socket.socket()) as client:
            client.settimeout(1)
            return client.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def camera() -> Iterator[RtspCamera]:
    """An RTSP camera, not yet started."""
    has_python = Path(SYSTEM_PYTHON).exists()
    if not has_python or subprocess.run([SYSTEM_PYTHON, "-c", PROBE], capture_output=True).returncode:
        missing = f"no GStreamer RTSP server: apt-get install {PACKAGES}"
        if os.environ.get("CI"):
            pytest.fail(f"{missing} (`make init` must bring it in CI)")
        pytest.skip(missing)
    with ExitStack() as stack:
        made = RtspCamera()
        stack.callback(made.kill)
        yield made


def test_a_lost_rtsp_camera_is_down_with_a_reason_and_comes_back(
    plant: ProducersLine, camera: RtspCamera
) -> None:
    plant.describe(
        f'id: c1, product: part, encode: "jpeg:80", source: "rtsp://127.0.0.1:{camera.port}/cam?fps=10"'
    )
    plant.create_topics()
    running = plant.start(PRODUCERS_RECONNECT_LONGEST_SECONDS="1", PRODUCERS_READ_TIMEOUT_SECONDS="3")
    plant.eventually_status("c1", state="down", reason="refused")
    camera.start()
    plant.eventually_status("c1", state="up", within=20)
    eventually(lambda: plant.latest("c1")[0].published >= 10, 20)
    camera.kill()
    lost = eventually(lambda: down_again(plant), 20, "the loss is told")
    camera.start()
    eventually(lambda: plant.latest("c1")[0].published >= lost + 10, 30, "frames after the reconnect")
    assert running.stop() == 0
    (final,) = plant.assert_accounts_closed("c1")
    assert final.state_counts["refused"] >= 1
    assert final.state_counts["capturing"] == 2
    for frame in plant.frames():
        info = inspect(frame.picture, PictureLimits(1 << 20, 1 << 20))
        assert (info.format, info.width, info.height) == ("jpeg", 320, 240)


def test_a_camera_whose_pictures_stop_is_down_though_its_sound_goes_on(
    plant: ProducersLine, camera: RtspCamera
) -> None:
    camera.start(3)
    plant.describe(f'id: c1, product: part, source: "rtsp://127.0.0.1:{camera.port}/cam"')
    plant.create_topics()
    running = plant.start(PRODUCERS_READ_TIMEOUT_SECONDS="3")
    plant.eventually_status("c1", state="up", within=20)
    plant.eventually_status("c1", state="down", reason="timeout", within=20)
    assert running.stop() == 0
    plant.assert_accounts_closed("c1")


def down_again(plant: ProducersLine) -> int:
    """Return how many frames were published when the camera, once up, was down again; 0 before that."""
    latest = plant.latest("c1")[0]
    return latest.published if latest.state == "down" and latest.state_counts.get("capturing") else 0
