"""The images, locked down as a cluster does it: what they are and refuse, and a line that runs on them.

`make verify-image` builds them and sets VERIFY_IMAGES to their names; without it nothing here runs.
"""

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from steadyline.errors import InferenceUnavailable
from steadyline.inference import ModelRef
from steadyline.servers import Addresses
from steadyline.servers.ports import free_ports
from steadyline.service import EXIT_OK, EXIT_USAGE
from steadyline.settings import TritonSettings
from steadyline.triton import TritonClient
from tests.support.containers import ContainerSpec, ServiceContainer, image_settings, run_once
from tests.support.eventually import eventually
from tests.support.image_line import ImageLine
from tests.support.models import Contrast, a_defective_picture, a_plain_picture, publish_version
from tests.support.servers import ROOT
from tools import licences
from tools.images.services import IMAGES, lock_of

BUILT = os.environ.get("VERIFY_IMAGES", "").split()
if not BUILT:
    pytest.skip("needs images: `make verify-image` builds and tries them", allow_module_level=True)

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

OURS_BUILT = [name for name in BUILT if name in IMAGES]
SERVICES_BUILT = [name for name in OURS_BUILT if name != "steadyline"]
LOOK = """
import json, os, pathlib, site, sys
def writable(path):
    try:
        pathlib.Path(path, "x").write_text("x")
    except OSError as error:
        return error.strerror
    return "yes"
status = dict(row.split(":\\t", 1) for row in pathlib.Path("/proc/self/status").read_text().splitlines())
root = pathlib.Path("/opt/steadyline")
print(json.dumps({
    "user": os.getuid(), "group": os.getgid(), "capabilities": int(status["CapEff"], 16),
    "no_new_privileges": status["NoNewPrivs"].strip(), "seccomp": status["Seccomp"].strip(),
    "safe_path": sys.flags.safe_path,
    "writable": {path: writable(path) for path in ("/", "/opt/steadyline", "/etc", "/tmp")},
    "native": sorted({path.name for path in root.rglob("*.so*")}),
    "parts": json.loads((root / "share/steadyline/sbom.cdx.json").read_text()),
}))
"""
RTSP_PYTHON = "/usr/bin/python3"
RTSP_PROBE = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


def run(
    image: str, *words: str, folder: Path, entry: str = "", **variables: str
) -> "subprocess.CompletedProcess[str]":
    return run_once(ContainerSpec(image, words, {"COLUMNS": "200", **variables}, entry=entry), folder)


@pytest.mark.parametrize("image", OURS_BUILT)
def test_the_help_is_told(image: str, tmp_path: Path) -> None:
    done = run(image, "--help", folder=tmp_path)
    assert done.returncode == EXIT_OK, done.stderr
    assert "Usage" in done.stdout


@pytest.mark.parametrize("image", OURS_BUILT)
def test_an_image_has_a_numeric_user_no_shell_in_its_commands_and_says_what_it_is(image: str) -> None:
    settings = image_settings(image)["Config"]
    assert settings["User"] == "10001:10001"
    assert settings["Entrypoint"] == ["python", "-m", image]
    assert settings["Labels"]["org.opencontainers.image.title"] == f"steadyline {image}"
    assert settings["Labels"]["org.opencontainers.image.revision"] != "unknown"
    assert "PYTHONSAFEPATH=1" in settings["Env"]


@pytest.mark.parametrize("image", OURS_BUILT)
def test_a_container_can_do_nothing_that_it_need_not(image: str, tmp_path: Path) -> None:
    seen = look(image, tmp_path)
    assert (seen["user"], seen["group"], seen["capabilities"]) == (10001, 10001, 0)
    assert (seen["no_new_privileges"], seen["seccomp"], seen["safe_path"]) == ("1", "2", True)
    refused = {path: said for path, said in seen["writable"].items() if path != "/tmp"}
    assert set(refused.values()) == {"Read-only file system"}
    assert seen["writable"]["/tmp"] == "yes"


@pytest.mark.parametrize("image", OURS_BUILT)
def test_an_image_holds_what_its_lock_says_and_lists_it(image: str, tmp_path: Path) -> None:
    seen = look(image, tmp_path)
    listed = {
        part["name"].lower().replace("_", "-").replace(".", "-") for part in seen["parts"]["components"]
    }
    wanted = {
        name.lower().replace("_", "-").replace(".", "-")
        for name in licences.locked_names(ROOT / lock_of(image))
    }
    assert wanted - listed == set()
    assert {"steadyline", "libc6"} <= listed
    assert ("torch" in listed) == (image == "trainer")
    assert ({"av", "ffmpeg"} <= listed) == (image == "producers")
    gpl = [begin for begin, licence in licences.LIBRARIES.items() if licences.is_refused(licence)]
    assert [name for name in seen["native"] if name.startswith(tuple(gpl))] == []


@pytest.mark.parametrize("image", SERVICES_BUILT)
def test_a_wrong_configuration_is_refused_with_the_name_of_what_is_wrong(image: str, tmp_path: Path) -> None:
    done = run(image, "run", "--line", "/nowhere/line.yaml", folder=tmp_path)
    assert done.returncode == EXIT_USAGE, done.stdout + done.stderr
    assert "/nowhere/line.yaml" in done.stderr
    done = run(image, "config", folder=tmp_path, STEADYLINE_HEALTH_PROT="1")
    assert done.returncode == EXIT_USAGE, done.stdout + done.stderr
    assert "STEADYLINE_HEALTH_PROT" in done.stderr


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Forty pictures of H.264 at 20 a second, the second half with a defect."""
    path = tmp_path / "clip.mp4"
    encode(path, "libx264", [a_plain_picture(32)] * 20 + [a_defective_picture(32)] * 20)
    return path


@pytest.fixture
def line(tmp_path: Path, addresses: Addresses, clip: Path) -> Iterator[ImageLine]:
    """A line whose four cameras play the clip once."""
    if not {"producers", "scorer", "alerts", "steadyline"} <= set(BUILT):
        pytest.skip("needs the images of producers, scorer, alerts and steadyline")
    with closing(ImageLine(tmp_path, addresses, f"video:{clip}?fps=20")) as made:
        yield made


READ = """
import json, sys, threading
import av
from producers.sources.stream import StreamAddress, StreamRules, StreamSource, has_usb_cameras
from steadyline.clock import SystemClock
from steadyline.picture import PictureLimits
rules = StreamRules("gray", PictureLimits(1 << 20, 1_000_000), fps=1000)
counts = {}
for url in sys.argv[1:]:
    live = url.startswith("rtsp")
    options = {"rtsp_transport": "tcp"} if live else {}
    stop, shapes = threading.Event(), []
    address = StreamAddress(url, url, live, options=options)
    for capture in StreamSource(address, rules, SystemClock()).captures(stop):
        shapes.append(getattr(capture.content, "shape", str(capture.content)))
        if live and len(shapes) == 10:
            stop.set()
    counts[url] = shapes
coders = [name for name in sorted(av.codecs_available) if av.Codec(name, "r").is_encoder]
print(json.dumps({"shapes": counts, "usb": has_usb_cameras(), "encoders": coders}))
"""
CODECS = {
    "h264.mp4": "libx264",
    "hevc.mkv": "libx265",
    "mpeg4.mp4": "mpeg4",
    "mjpeg.avi": "mjpeg",
    "vp9.mkv": "libvpx-vp9",
    "mpeg2.ts": "mpeg2video",
}


@pytest.fixture
def rtsp() -> Iterator[str]:
    """A real RTSP camera on loopback; its address."""
    (port,) = free_ports(1)
    command = [RTSP_PYTHON, str(ROOT / "tests/support/rtsp_server.py"), str(port)]
    if subprocess.run([RTSP_PYTHON, "-c", RTSP_PROBE], capture_output=True, check=False).returncode:
        pytest.skip("no GStreamer RTSP server: `make init` brings it as root")
    process = subprocess.Popen(command)
    eventually(lambda: answers(port), 20, "the RTSP server answers")
    yield f"rtsp://127.0.0.1:{port}/cam"
    process.kill()
    process.wait()


@pytest.mark.skipif("producers" not in BUILT, reason="needs the image of the producers")
def test_the_producers_read_what_cameras_send_and_can_encode_no_video(tmp_path: Path, rtsp: str) -> None:
    tmp_path.chmod(0o755)  # the image's user looks into it
    for name, codec in CODECS.items():
        encode(tmp_path / name, codec, [a_defective_picture(64)] * 10)
    urls = [*(str(tmp_path / name) for name in CODECS), rtsp]
    done = run_once(ContainerSpec("producers", ["-c", READ, *urls], {}, (tmp_path,), "python"), tmp_path)
    assert done.returncode == EXIT_OK, done.stderr
    seen = json.loads(done.stdout)
    assert {Path(url).name: shapes for url, shapes in seen["shapes"].items()} == {
        **{name: [[64, 64]] * 10 for name in CODECS},
        "cam": [[240, 320]] * 10,
    }
    assert seen["usb"]
    assert seen["encoders"] == []


def answers(port: int) -> bool:
    """True when something listens on a port of loopback."""
    with closing(socket.socket()) as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def encode(path: Path, codec: str, pictures: Sequence[NDArray[np.uint8]]) -> None:
    """Write a video of gray pictures at 20 a second."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(20))
        height, width = pictures[0].shape
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.options = {"crf": "1"}
        for picture in pictures:
            pixels = np.repeat(picture[..., None], 3, 2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def test_from_frames_to_alerts_on_images_alone(line: ImageLine) -> None:
    line.put_in_service()
    alerts = line.start_service("alerts", environment=line.alert_settings())
    scorer = line.start("a")
    alerts.until_ready(120)
    scorer.until_ready(120)
    producers = line.start_producers(PRODUCERS_STATE=str(line.home / "producers"))
    eventually(lambda: line.read() >= 160, 120, "every frame of the clip is scored")
    assert producers.wait() == EXIT_OK
    assert line.refused == []
    eventually(lambda: line.cameras_told() >= set(line.cameras), 60, "an alert of each camera")
    assert scorer.page("livez")[0] == 200
    for process in (scorer, alerts):
        gpl = [begin for begin, licence in licences.LIBRARIES.items() if licences.is_refused(licence)]
        loaded = process.libraries()  # type: ignore[attr-defined]
        assert loaded
        assert [name for name in loaded if name.startswith(tuple(gpl))] == []
    audit = line.steadyline("audit", "--line", str(line.line_file))
    assert audit.returncode == EXIT_OK, audit.stdout + audit.stderr
    assert [process.stop() for process in (alerts, scorer)] == [EXIT_OK, EXIT_OK]


@pytest.mark.skipif("triton-cpu" not in BUILT, reason="needs the image of Triton for CPUs")
def test_triton_serves_what_has_passed_and_is_closed_without_its_key(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    publish_version(repository, "part", 1, Contrast())
    publish_version(repository, "strange", 1, Contrast())
    config = repository / "strange" / "config.pbtxt"
    config.write_text(config.read_text().replace('"onnxruntime"', '"python"'))
    grpc, http, metrics = free_ports(3)
    ports = ("--grpc-port", str(grpc), "--http-port", str(http), "--metrics-port", str(metrics))
    words = ["--repository", str(repository), *ports]
    spec = ContainerSpec("triton-cpu", words, {"TRITON_ADMIN_KEY": "of-this-test"}, (repository,))
    container = ServiceContainer(spec, tmp_path / "triton.log")
    container.start()
    client, stranger = triton_client(grpc, "of-this-test"), triton_client(grpc, "another")
    try:
        eventually(lambda: client.is_ready(ModelRef("part", 1)), 120, "the version is served")
        pictures = a_defective_picture(32).reshape(1, 32, 32, 1)
        answer = client.infer(ModelRef("part", 1), pictures).result(30)
        assert np.allclose(answer.scores, Contrast().answer(pictures).scores, atol=1e-4)
        with pytest.raises(InferenceUnavailable):
            stranger.load("part")
        client.load("part")
        assert "refused: strange: config.pbtxt is not one that the trainer writes" in container.text()
        assert "to be served: part/1" in container.text()
        assert {(entry.name, entry.state) for entry in client.index() if entry.state == "READY"} == {
            ("part", "READY")
        }
    finally:
        client.close()
        stranger.close()
        container.kill()


def triton_client(port: int, key: str) -> TritonClient:
    settings = TritonSettings.model_validate({"url": f"127.0.0.1:{port}", "admin_key": key})
    return TritonClient(settings)


def look(image: str, folder: Path) -> dict[str, Any]:
    done = run(image, "-c", LOOK, folder=folder, entry="python")
    assert done.returncode == EXIT_OK, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen
