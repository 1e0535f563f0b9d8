"""The programs that build and hold images: docker where it is, else buildah and podman as root."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.setup.command import CACHE, ROOT, SetUpFailed

WORK = CACHE / "images"
# Longer names than 50 characters are refused.
RUN = Path("/run") / f"images-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]}"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"  # a plant's own authority is in it, too
NEEDS = ("buildah", "podman", "crun", "mmdebstrap")


@dataclass(frozen=True, slots=True)
class Build:
    """What to build: a Dockerfile below ``deploy/images``, its arguments, and the name of the result."""

    dockerfile: str
    tag: str
    arguments: Mapping[str, str]


def missing() -> list[str]:
    """Return which of the programs of ``make verify-image`` are not installed."""
    return [name for name in NEEDS if shutil.which(name) is None]


def check_tools() -> None:
    """Raise SetUpFailed, with the way to get them, when programs or rights are missing."""
    gone = missing()
    if gone:
        raise SetUpFailed(f"{', '.join(gone)} missing: apt-get install {' '.join(NEEDS)} (Debian, Ubuntu)")
    if os.geteuid() != 0:
        raise SetUpFailed("images are built in a chroot here, which needs root")


def store(program: str) -> list[str]:
    """Return the begin of a command of buildah or podman on the images of this checkout."""
    WORK.mkdir(parents=True, exist_ok=True)
    return [program, "--root", str(WORK / "store"), "--runroot", str(RUN), "--storage-driver", "overlay"]


def build_local(build: Build) -> None:
    """Build by buildah in a chroot, from images that are there already. Raises SetUpFailed."""
    temporary = WORK / "tmp"  # buildah keeps its cache mounts there
    temporary.mkdir(parents=True, exist_ok=True)
    options = ["--isolation", "chroot", "--pull-never", "--layers", "--format", "docker"]
    if Path(AUTHORITIES).exists():
        options += ["-v", f"{AUTHORITIES}:{AUTHORITIES}:ro"]
    command = [*store("buildah"), "bud", *options, *_arguments(build), str(ROOT)]
    run(command, f"building {build.tag}", {"TMPDIR": str(temporary)})


def build_docker(build: Build) -> None:
    """Build by docker. Raises SetUpFailed."""
    run(["docker", "build", *_arguments(build), str(ROOT)], f"building {build.tag}", {"DOCKER_BUILDKIT": "1"})


def _arguments(build: Build) -> list[str]:
    words = ["-f", str(ROOT / "deploy" / "images" / build.dockerfile), "-t", build.tag]
    for name, value in build.arguments.items():
        words += ["--build-arg", f"{name}={value}"]
    return words


def run(command: Sequence[str], what: str, environment: Mapping[str, str]) -> None:
    """Run a command with its output shown; raises SetUpFailed when it fails."""
    done = subprocess.run(command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise SetUpFailed(f"{what} failed with status {done.returncode}; its own words are above")


def size_of(tag: str) -> int:
    """Return the bytes of an image as its store counts them, base included."""
    command = [*store("podman"), "image", "inspect", "--format", "{{.Size}}", tag]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def has_image(tag: str) -> bool:
    """True when an image of this name is in the store of this checkout."""
    return subprocess.run([*store("podman"), "image", "exists", tag], check=False).returncode == 0
