"""What runs while an image is built: the libraries of PyAV's wheel are swapped, and the parts are listed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.rules import ROOT

IMAGES = ROOT / "deploy" / "images"
VERSIONS = {
    **{"avcodec": "62.28.102", "avdevice": "62.3.102", "avfilter": "11.14.102", "avformat": "62.12.102"},
    **{"avutil": "60.26.102", "swresample": "6.3.102", "swscale": "9.5.102"},
}


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder of distributions with PyAV's wheel, as it is published."""
    folder = tmp_path / "site-packages"
    carried, information = folder / "av.libs", folder / "av-18.1.0.dist-info"
    (information / "sboms").mkdir(parents=True)
    carried.mkdir()
    names = [f"lib{name}-0123abcd.so.{version}" for name, version in VERSIONS.items()]
    names += ["libx264-d6533a8d.so.165", "libdav1d-f4b27961.so.7.0.0"]
    for name in names:
        (carried / name).write_bytes(b"theirs")
    rows = [f"av.libs/{name},sha256=x,6" for name in names]
    rows += ["av/__init__.py,sha256=x,1", "av-18.1.0.dist-info/sboms/auditwheel.cdx.json,sha256=x,1"]
    (information / "RECORD").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def ffmpeg(tmp_path: Path) -> Path:
    """Our FFmpeg, installed."""
    folder = tmp_path / "ffmpeg"
    (folder / "lib").mkdir(parents=True)
    for name, version in VERSIONS.items():
        (folder / "lib" / f"lib{name}.so.{version}").write_bytes(b"ours")
    return folder


def swap(packages: Path, ffmpeg: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(IMAGES / "swap_ffmpeg.py"), str(packages), str(ffmpeg)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_library_of_the_wheel_goes_and_ours_stands_under_the_names_that_pyav_asks_for(
    packages: Path, ffmpeg: Path
) -> None:
    done = swap(packages, ffmpeg)
    assert done.returncode == 0, done.stderr
    there = sorted((packages / "av.libs").iterdir())
    assert [path.name for path in there] == sorted(
        f"lib{name}-0123abcd.so.{version}" for name, version in VERSIONS.items()
    )
    assert {path.read_bytes() for path in there} == {b"ours"}
    record = (packages / "av-18.1.0.dist-info" / "RECORD").read_text()
    assert record == "av/__init__.py,sha256=x,1\n"


@pytest.mark.parametrize("place", ["theirs", "ours"])
def test_a_wheel_that_our_build_does_not_fit_is_left_as_it_is(
    packages: Path, ffmpeg: Path, place: str
) -> None:
    carried = packages / "av.libs"
    if place == "theirs":
        (carried / "libavcodec-0123abcd.so.62.28.102").rename(carried / "libavcodec-0123abcd.so.63.1.100")
    else:
        (ffmpeg / "lib" / "libavutil.so.60.26.102").unlink()
    before = sorted(path.name for path in carried.iterdir())
    done = swap(packages, ffmpeg)
    assert done.returncode == 1
    assert "do not fit" in done.stderr
    assert sorted(path.name for path in carried.iterdir()) == before


def test_ffmpeg_is_built_without_what_is_under_the_gpl() -> None:
    options = (IMAGES / "ffmpeg" / "configure.options").read_text().split()
    assert {"--disable-everything", "--disable-autodetect", "--enable-shared"} <= set(options)
    forbidden = ("--enable-gpl", "--enable-nonfree", "--enable-version3", "--enable-lib", "--enable-encoder")
    assert [option for option in options if option.startswith(forbidden)] == []


def test_the_parts_of_an_image_are_pythons_debians_and_ffmpeg(tmp_path: Path) -> None:
    (tmp_path / "python.json").write_text(json.dumps({"components": [{"name": "av", "version": "18.1.0"}]}))
    (tmp_path / "ffmpeg.env").write_bytes((IMAGES / "ffmpeg" / "ffmpeg.env").read_bytes())
    status = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9\n"
    status += "Description: C\n more: x\n\n"
    status += "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
    (tmp_path / "status").write_text(status)
    program = "import runpy, sys; from pathlib import Path; m = runpy.run_path(sys.argv[1]); "
    program += "m['main'].__globals__['DPKG'] = Path(sys.argv[2], 'status'); "
    program += "m['main'](sys.argv[3], Path(sys.argv[2]), Path(sys.argv[2], 'out.json'))"
    for image, names in {"producers": ["av", "libc6", "ffmpeg"], "scorer": ["av", "libc6"]}.items():
        command = [sys.executable, "-c", program, str(IMAGES / "parts.py"), str(tmp_path), image]
        subprocess.run(command, check=True, capture_output=True)
        parts = json.loads((tmp_path / "out.json").read_text())
        assert [part["name"] for part in parts["components"]] == names
        assert parts["metadata"]["component"]["name"] == f"steadyline-{image}"
