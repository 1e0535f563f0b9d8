"""The pods of an Indexed Job as processes: what the controller of Jobs and a kubelet add, and nothing else.

Each pod has a host name, an ``/etc/hosts`` and process ids of its own, by ``unshare``: it finds the first pod
by its name, and what is killed with it is all of it, as in a container.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from steadyline.child_process import ChildCommand, ChildProcess
from steadyline.servers.ports import free_ports
from tests.support.eventually import eventually
from trainer.cluster.job_template import Manifest

APART = ("--user", "--map-root-user", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
_ENTER = 'mount --bind "$1" /etc/hosts && hostname "$2" && shift 2 && exec "$@"'
_VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
_PORT = "--master-port="
HOSTS = "hosts"
SIGKILLED, TOLD_TO_END = 128 + signal.SIGKILL, 128 + signal.SIGTERM
UNKNOWN = "Name or service not known"


def require_namespaces() -> None:
    """Skip loudly on a laptop that lets nobody make namespaces; fail in CI."""
    if shutil.which("unshare") and subprocess.run(["unshare", *APART, "true"], check=False).returncode == 0:
        return
    if os.environ.get("CI"):
        pytest.fail("namespaces cannot be made in CI: pods could not be told apart")
    pytest.skip("namespaces cannot be made here: pods could not be told apart")


@dataclass(frozen=True, slots=True)
class PodMounts:
    """Where the volumes of the pods lie on this machine: path in the pod → folder; all pods share them."""

    folders: Mapping[str, Path]

    def translated(self, word: str) -> str:
        """Return a word that begins with a path of the pod with the folder in its place."""
        for path, folder in self.folders.items():
            if word == path or word.startswith(f"{path}/"):
                return f"{folder}{word[len(path) :]}"
        return word


class PodProcess:
    """One pod of a Job: the process of its only container, with the index that Kubernetes gives it."""

    def __init__(self, job: Manifest, index: int, mounts: PodMounts, home: Path) -> None:
        spec, name = job["spec"]["template"]["spec"], f"{job['metadata']['name']}-{index}"
        (container,) = spec["containers"]
        self.grace_seconds = float(spec["terminationGracePeriodSeconds"])
        self.log, hosts = home / f"pod-{index}.log", home / HOSTS
        self.log.unlink(missing_ok=True)
        with hosts.open("a", encoding="utf-8") as names:  # each pod at an address of loopback of its own
            names.write(f"127.0.0.{10 + index} {name}.{spec['subdomain']} {name}\n")
        variables = {one["name"]: one["value"] for one in container["env"]}
        variables["JOB_COMPLETION_INDEX"] = str(index)
        words = [_expanded(word, variables) for word in (*container["command"], *container["args"])]
        assert words[0] == "python"
        program = [sys.executable, *(mounts.translated(word) for word in words[1:])]
        environment = {
            key: mounts.translated(_expanded(value, variables)) for key, value in variables.items()
        }
        self._process = ChildProcess(
            ChildCommand(
                ["unshare", *APART, "sh", "-c", _ENTER, "pod", str(hosts), name, *program],
                log=self.log,
                environment={"PATH": os.environ["PATH"], **environment},
                folder=home,
            )
        )

    def poll(self) -> int | None:
        """Return the exit status as Kubernetes tells it, None while the pod runs."""
        status = self._process.poll()
        return 128 - status if status is not None and status < 0 else status

    def workers(self) -> list[int]:
        """Return the process ids of the trainings that torchrun has started in the pod."""
        started = (child for first in _children(self._process.pid) for child in _children(first))
        return [pid for pid in started if b"\0job\0" in _command(pid)]

    def kill_worker(self) -> None:
        """Kill what torchrun has started in the pod, as the kernel kills one process for want of memory."""
        (worker,) = eventually(self.workers, 60, "torchrun has started its worker")
        os.kill(worker, signal.SIGKILL)

    def kill(self) -> None:
        """Kill the pod with all that is in it, as a kubelet does, or the kernel for want of memory."""
        self._process.kill()

    def tell_to_end(self) -> None:
        """Send SIGTERM to its first process, as a kubelet does; it has its grace then."""
        for first in _children(self._process.pid):
            os.kill(first, signal.SIGTERM)

    def tail(self) -> str:
        """Return the last lines of its log."""
        return self._process.tail()


class JobOfProcesses:
    """The pods of one Job, started when this object is made; ``close`` kills what is left of them.

    With ``first_is_late`` the others have looked for the first in vain before it is there, and has a name.
    """

    def __init__(self, job: Manifest, mounts: PodMounts, home: Path, first_is_late: bool = False) -> None:
        shared, count = _with_free_port(job), int(job["spec"]["completions"])
        (home / HOSTS).write_text("127.0.0.1 localhost\n", encoding="utf-8")
        others = [PodProcess(shared, index, mounts, home) for index in range(1, count)]
        if first_is_late:
            eventually(lambda: all(UNKNOWN in pod.tail() for pod in others), 60, "the others miss the first")
        self.pods = [PodProcess(shared, 0, mounts, home), *others]

    def wait(self, seconds: float) -> list[int]:
        """Return how the pods have ended, each by itself; fails with their logs when one has not."""

        def ended() -> list[int] | None:
            found = [pod.poll() for pod in self.pods]
            return [status for status in found if status is not None] if None not in found else None

        try:
            return eventually(ended, seconds, "all pods have ended") or []
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tails()}") from error

    def tails(self) -> str:
        """Return the last lines of each pod."""
        return "\n".join(f"--- {pod.log.name}\n{pod.tail()}" for pod in self.pods)

    def close(self) -> None:
        """Kill what still runs."""
        for pod in self.pods:
            pod.kill()


def pod_statuses(ends: Sequence[int]) -> list[Manifest]:
    """Return pods as the API server tells of them when their containers have ended so."""
    return [
        {
            "metadata": {"name": f"pod-{index}"},
            "status": {
                "phase": "Failed" if code else "Succeeded",
                "containerStatuses": [
                    {"name": "training", "state": {"terminated": {"exitCode": code, "reason": _reason(code)}}}
                ],
            },
        }
        for index, code in enumerate(ends)
    ]


def _reason(code: int) -> str:
    return "Error" if code else "Completed"


def _with_free_port(job: Manifest) -> Manifest:
    """Return the Job with another port of the rendezvous: pods have one each, and processes share theirs."""
    spec = job["spec"]["template"]["spec"]
    (container,), (port,) = spec["containers"], free_ports(1)
    args = [f"{_PORT}{port}" if word.startswith(_PORT) else word for word in container["args"]]
    pod = {**job["spec"]["template"], "spec": {**spec, "containers": [{**container, "args": args}]}}
    return {**job, "spec": {**job["spec"], "template": pod}}


def _expanded(word: str, variables: Mapping[str, str]) -> str:
    """Return a word with the variables of the container in it, as a kubelet does."""
    return _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), word)


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
