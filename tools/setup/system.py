"""What comes from the system: Java, Maven, redis-server, and an RTSP server for one test."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.setup.command import SetUpFailed, answer, say

JAVA = 17
GLIBC = (2, 35)  # what the tritonserver of the wheel is linked to
# program -> Debian packages that bring it, best first; a release has one or the other
PACKAGES: dict[str, tuple[str, ...]] = {
    "java": ("openjdk-21-jre-headless", "openjdk-17-jre-headless", "openjdk-25-jre-headless"),
    "mvn": ("maven",),
    "redis-server": ("redis-server",),
}
# Only the RTSP test needs these; without them it skips on a laptop and fails in CI.
RTSP = (
    "python3-gi",
    "gir1.2-gst-rtsp-server-1.0",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
)
RTSP_PROOF = "GstRtspServer-1.0.typelib"


def check_platform() -> None:
    """Linux on x86-64 with a recent glibc: the Triton wheel is for nothing else."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise SetUpFailed("the local servers need Linux on x86-64")
    version = re.fullmatch(r"glibc (\d+)\.(\d+)", os.confstr("CS_GNU_LIBC_VERSION") or "")
    if version is None or (int(version[1]), int(version[2])) < GLIBC:
        wanted = ".".join(map(str, GLIBC))
        raise SetUpFailed(f"Triton needs glibc {wanted} or newer (Debian 12, Ubuntu 22.04)")


def provide_packages() -> None:
    """Install what is missing through apt-get as root; otherwise SetUpFailed names it in one line."""
    missing = [program for program in PACKAGES if not has(program)]
    wants_rtsp = not has_rtsp()
    may_install = os.geteuid() == 0 and shutil.which("apt-get") is not None
    if missing and not may_install:
        names = ", ".join("Java 17 or newer" if name == "java" else name for name in missing)
        debian = " ".join(PACKAGES[name][-1 if name != "java" else 1] for name in missing)
        raise SetUpFailed(f"please install {names} (Debian and Ubuntu: apt-get install {debian})")
    if missing or (wants_rtsp and may_install):
        say(f"apt-get brings {', '.join([*missing, *(['an RTSP server'] if wants_rtsp else [])])}")
        install(missing, RTSP if wants_rtsp else ())
    still = [program for program in missing if not has(program)]
    if still:
        raise SetUpFailed(f"apt-get did not bring {', '.join(still)}: please install it by hand")


def install(missing: Sequence[str], optional: Sequence[str]) -> None:
    """Install required and optional packages; what is optional may fail without harm."""
    apt_get("update")
    needed = [available(PACKAGES[program]) for program in missing]
    if needed and not apt_get("install", *needed):
        raise SetUpFailed(f"apt-get could not install {' '.join(needed)}; its own words are above")
    if optional and not apt_get("install", *optional):
        say("no RTSP server: the test of RTSP cameras will be skipped (and fails in CI)")


def apt_get(verb: str, *packages: str) -> bool:
    """Run apt-get without questions; True when it worked."""
    options = ["-y", "-qq", "-o", "Acquire::Retries=3", "-o", "Dpkg::Use-Pty=0"]
    if verb == "install":
        options.append("--no-install-recommends")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", verb, *options, *packages],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode == 0


def available(candidates: Sequence[str]) -> str:
    """Return the first package that this release has."""
    for package in candidates:
        if answer(["apt-cache", "show", "--no-all-versions", package]):
            return package
    return candidates[0]


def has(program: str) -> bool:
    """True when the program is there, and Java is new enough."""
    if shutil.which(program) is None:
        return False
    return program != "java" or java_version() >= JAVA


def java_version() -> int:
    """Return Java's major version; 0 when it does not say."""
    found = re.search(r'version "(\d+)', answer(["java", "-version"]) or "")
    return int(found[1]) if found else 0


def has_rtsp() -> bool:
    """True when the RTSP server that one test uses is installed."""
    return any(Path("/usr/lib").glob(f"*/girepository-1.0/{RTSP_PROOF}"))
