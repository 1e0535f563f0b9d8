"""A service of an image as a container, locked down as a plant's cluster does it, on the host's network."""

import json
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from typing_extensions import override

from steadyline.child_process import ChildCommand, ChildProcess
from tests.support.service_process import ServiceProcess
from tools.images.__main__ import tag_of
from tools.images.engine import store

# podman refuses the mixed tree of old and new control groups that some machines have: it is shown a new one,
# in a mount namespace of its own. What is outside does not change.
IN_A_NAMESPACE = (
    'umount -l /sys/fs/cgroup 2>/dev/null || true; mount -t cgroup2 none /sys/fs/cgroup; exec "$@"'
)
# As the chart runs them: no capability, no new privilege, nothing to write to but what is mounted.
LOCKED_DOWN = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges"),
    *("--cgroups", "disabled", "--ulimit", "nofile=1024:4096", "--ulimit", "nproc=4096:8192"),
    *("--no-healthcheck", "--pull", "never", "--network", "host"),
)

MARK = "CONTAINER_OF_TEST"  # a variable by which the process of a container is found


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What to run: image, words after its entry point, variables, folders it may write to (same path inside).

    ``entry`` replaces the image's entry point.
    """

    image: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    folders: Sequence[Path] = ()
    entry: str = ""

    def command(self, name: str, variables: Path) -> list[str]:
        """Return the whole command; the variables are written to a file, for they may hold secrets."""
        variables.touch(mode=0o600)
        variables.write_text("".join(f"{key}={value}\n" for key, value in self.environment.items()))
        options = ["--env-file", str(variables), "--name", name]
        for folder in self.folders:
            options += ["--volume", f"{folder}:{folder}"]
        if self.entry:
            options += ["--entrypoint", self.entry]
        podman = [*store("podman"), "--cgroup-manager", "cgroupfs", "run", "--rm", *LOCKED_DOWN, *options]
        inside = [*podman, tag_of(self.image), *self.arguments]
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", IN_A_NAMESPACE, "sh", *inside]


def run_once(spec: ContainerSpec, folder: Path, within: float = 120.0) -> "subprocess.CompletedProcess[str]":
    """Run a container to its end."""
    name = _name(spec)
    command = spec.command(name, folder / f"{name}.env")
    return subprocess.run(command, capture_output=True, text=True, timeout=within, check=False)


def image_settings(image: str) -> dict[str, Any]:
    """Return what an image says of itself: user, entry point, health check, labels."""
    command = [*store("podman"), "image", "inspect", tag_of(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


def _name(spec: ContainerSpec) -> str:
    return f"{spec.image}-{uuid.uuid4().hex[:8]}"


class ServiceContainer(ServiceProcess):
    """A container whose log and health pages are those of a service; see ``ServiceProcess``."""

    def __init__(self, spec: ContainerSpec, log: Path) -> None:
        super().__init__([], spec.environment, log)
        self.name = _name(spec)
        self._spec = replace(spec, environment={**spec.environment, MARK: self.name})

    @override
    def start(self) -> None:
        """Start the container; its log begins anew."""
        self.log.write_bytes(b"")
        command = self._spec.command(self.name, self.log.with_suffix(".env"))
        self._process = ChildProcess(
            ChildCommand(command, log=self.log, folder=self.log.parent, own_session=False)
        )

    @override
    def kill(self) -> None:
        """End the container by SIGKILL, and with it the process that waits for it."""
        subprocess.run([*store("podman"), "kill", self.name], capture_output=True, check=False)
        super().kill()

    def libraries(self) -> set[str]:
        """Return the names of the native libraries that the service has loaded."""
        found = set()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self._marks((process / "environ").read_bytes()):
                    rows = (process / "maps").read_text().splitlines()
                    found |= {Path(row.split()[-1]).name for row in rows if ".so" in row}
            except OSError:  # it has ended meanwhile
                continue
        return found

    def _marks(self, environment: bytes) -> bool:
        """True when a process has this container's own variable."""
        return f"{MARK}={self.name}".encode() in environment.split(b"\0")
