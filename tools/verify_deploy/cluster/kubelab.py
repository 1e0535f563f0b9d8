"""A Kubernetes control plane as one binary, built once from checked-in sources and kept in the cache."""

import hashlib
import shutil
import subprocess
import time
from pathlib import Path

from steadyline.child_process import ChildCommand, ChildProcess
from steadyline.folder_lock import FolderLock
from tools.setup.command import CACHE, ROOT
from tools.verify_deploy.report import CheckFailed, say

KUBERNETES = "1.36.3"
SOURCE = ROOT / "deploy" / "verify" / "kubelab"
FILES = ("main.go", "go.mod", "go.sum")
BUILDS = CACHE / "kubelab"
PROGRAM = "kubelab"
WORD_SECONDS = 60.0  # between two signs of life: a build takes ten minutes of CPU and says nothing itself
# Without these the server calls itself v0.0.0, which kubectl and Helm refuse.
_VERSION = {
    "gitVersion": f"v{KUBERNETES}",
    "gitMajor": KUBERNETES.split(".")[0],
    "gitMinor": KUBERNETES.split(".")[1],
    "gitTreeState": "clean",
    "gitCommit": "0" * 40,
    "buildDate": "1970-01-01T00:00:00Z",
}
_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


def built_kubelab() -> Path | None:
    """Return the binary of these very sources; None when it has not been built here.

    Where Go is not installed, as on a machine that is given the cache alone, a binary of any Go will do.
    """
    go = _go_version()
    found = sorted(BUILDS.glob(f"{source_digest()}-{go or '*'}/{PROGRAM}"))
    return found[-1] if found else None


def provide_kubelab() -> Path:
    """Return the binary, built first when it is not there; raises CheckFailed when that cannot be done."""
    built = built_kubelab()
    return built if built is not None else _build()


def _build() -> Path:
    go = _go_version()
    if go is None:
        raise CheckFailed("Go is not installed, and the control plane is not in .cache: install Go 1.26")
    folder = BUILDS / f"{source_digest()}-{go}"
    lock = FolderLock(BUILDS, "building")
    lock.take()
    try:
        half = BUILDS / f"{PROGRAM}.half"
        _run_go_build(half)
        for old in BUILDS.glob("*-go*"):
            shutil.rmtree(old)
        folder.mkdir()
        half.rename(folder / PROGRAM)
    finally:
        lock.release()
    return folder / PROGRAM


def _run_go_build(output: Path) -> None:
    """Build at low priority, with a word a minute."""
    options = ["-trimpath", "-buildvcs=false", f"-ldflags={_linker_flags()}", "-o", str(output)]
    command = ["nice", "-n", "10", "env", "CGO_ENABLED=0", "go", "build", *options, "."]
    log = BUILDS / "build.log"
    log.unlink(missing_ok=True)
    say(f"building the control plane, once: some ten minutes of CPU; its words: {log}")
    build, started = ChildProcess(ChildCommand(command, log=log, folder=SOURCE)), time.monotonic()
    try:
        while (status := build.wait(WORD_SECONDS)) is None:
            say(f"  still building, {time.monotonic() - started:.0f} s")
    finally:
        build.stop(10)
    if status != 0:
        raise CheckFailed("the control plane could not be built:", *build.tail().splitlines())


def _linker_flags() -> str:
    values = [f"-X {package}.{name}={value}" for package in _PACKAGES for name, value in _VERSION.items()]
    return " ".join(("-s", "-w", *values))


def source_digest() -> str:
    """Return what the binary is made of, in a few letters: its sources and the flags of the linker."""
    digest = hashlib.sha256(_linker_flags().encode())
    for name in FILES:
        digest.update((SOURCE / name).read_bytes())
    return digest.hexdigest()[:16]


def _go_version() -> str | None:
    """Return the version of Go, as in ``go1.26.8``; None when it is not installed."""
    if shutil.which("go") is None:
        return None
    done = subprocess.run(
        ["go", "env", "GOVERSION"], cwd=SOURCE, capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout.strip() or None
