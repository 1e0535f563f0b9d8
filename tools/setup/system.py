"""What comes from the system: Java, Maven, redis-server, Python's own parts, servers of single tests."""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tools.setup import apt
from tools.setup.command import SetUpFailed, answer, say

JAVA = 17
GLIBC = (2, 35)  # what the tritonserver of the wheel is linked to
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
RTSP = "an RTSP server"  # for one test: it skips on a laptop without it and fails in CI
POSTGRES = "PostgreSQL"  # for tests of alerts, in the same way
MOSQUITTO = "mosquitto"  # an MQTT broker, for tests of alerts, in the same way
PROMETHEUS = "Prometheus"  # with promtool, for the tests of the rules and dashboards, in the same way
RTSP_PROOF = "GstRtspServer-1.0.typelib"


@dataclass(frozen=True)
class Need:
    """Something of the system, and the Debian packages that bring it.

    ``packages`` holds alternatives, best first (a release has one or the other), each one name or several.
    """

    name: str
    is_there: Callable[[], bool]
    packages: Sequence[str]
    is_optional: bool = False


def needs() -> list[Need]:
    """Return everything that the system must bring, in the order it is told."""
    javas = [f"openjdk-{version}-jre-headless" for version in (21, 17, 25)]
    rtsp = "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
    return [
        Need("Java 17 or newer", lambda: java_version() >= JAVA, javas),
        Need("Maven", lambda: shutil.which("mvn") is not None, ["maven"]),
        Need("redis-server", lambda: shutil.which("redis-server") is not None, ["redis-server"]),
        Need("Python's venv module", lambda: find_spec("ensurepip") is not None, [f"python{PYTHON}-venv"]),
        Need("Python's shared library", has_libpython, [f"libpython{PYTHON}"]),
        Need(RTSP, has_rtsp, [rtsp], is_optional=True),
        Need(POSTGRES, has_postgres, ["postgresql"], is_optional=True),
        Need(MOSQUITTO, has_mosquitto, ["mosquitto mosquitto-clients"], is_optional=True),
        Need(PROMETHEUS, has_prometheus, ["prometheus"], is_optional=True),
    ]


def check_platform() -> None:
    """Linux on x86-64 with a recent glibc: the Triton wheel is for nothing else."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise SetUpFailed("the local servers need Linux on x86-64")
    version = re.fullmatch(r"glibc (\d+)\.(\d+)", os.confstr("CS_GNU_LIBC_VERSION") or "")
    if version is None or (int(version[1]), int(version[2])) < GLIBC:
        wanted = ".".join(map(str, GLIBC))
        raise SetUpFailed(f"Triton needs glibc {wanted} or newer (Debian 12, Ubuntu 22.04)")


def provide() -> None:
    """Install what is missing through apt-get as root; otherwise SetUpFailed names it in one line."""
    missing = [need for need in needs() if not need.is_there()]
    required = [need for need in missing if not need.is_optional]
    if not apt.may_install():
        if required:
            raise SetUpFailed(_please(required))
        return
    if missing:
        say(f"apt-get brings {', '.join(need.name for need in missing)}")
        apt.update()
    if required and not apt.install([apt.first_available(need.packages) for need in required]):
        raise SetUpFailed(f"apt-get failed, its own words are above; {_please(required)}")
    for need in missing:
        if need.is_optional and not apt.install(need.packages):
            say(f"without {need.name}: the tests that use it are skipped, and fail in CI")
    still = [need for need in required if not need.is_there()]
    if still:
        raise SetUpFailed(f"apt-get did not bring it: {_please(still)}")


def _please(missing: Sequence[Need]) -> str:
    names = ", ".join(need.name for need in missing)
    packages = " ".join(need.packages[min(1, len(need.packages) - 1)] for need in missing)
    return f"please install {names} (Debian and Ubuntu: apt-get install {packages})"


def java_version() -> int:
    """Return Java's major version; 0 when there is none or it does not say."""
    if shutil.which("java") is None:
        return 0
    found = re.search(r'version "(\d+)', answer(["java", "-version"]) or "")
    return int(found[1]) if found else 0


def has_libpython() -> bool:
    """True when the shared library of this Python is there: Triton's Python backend is linked to it."""
    name = f"libpython{PYTHON}.so.1.0"
    folders = [str(sysconfig.get_config_var("LIBDIR")), "/usr/lib/x86_64-linux-gnu", "/usr/lib64"]
    return any((Path(folder) / name).exists() for folder in folders)


def has_postgres() -> bool:
    """True when a PostgreSQL server is installed, in the PATH or where Debian keeps it."""
    return shutil.which("postgres") is not None or any(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


def has_mosquitto() -> bool:
    """True when the broker and its command-line clients are installed; Debian keeps the broker in sbin."""
    sbin = "/usr/sbin:/usr/local/sbin"
    names = ("mosquitto", "mosquitto_passwd", "mosquitto_sub", "mosquitto_pub")
    return all(shutil.which(name) or shutil.which(name, path=sbin) for name in names)


def has_prometheus() -> bool:
    """True when the server and its tool, which checks rules, are installed."""
    return all(shutil.which(name) is not None for name in ("prometheus", "promtool"))


def has_rtsp() -> bool:
    """True when the RTSP server that one test uses is installed."""
    return any(Path("/usr/lib").glob(f"*/girepository-1.0/{RTSP_PROOF}"))
