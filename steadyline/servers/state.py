"""The record of a stack that ``steadyline up`` runs: its process and the addresses of its servers."""

import json
import os
import shlex
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from steadyline.replace_file import replace_file
from steadyline.servers.addresses import Addresses
from steadyline.servers.procfs import boot_id, start_time

POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class RunningStack:
    """A stack and the process that runs it."""

    pid: int
    home: str
    logs: dict[str, str]
    addresses: Addresses


def write_state(path: Path, running: RunningStack) -> None:
    """Write ``path`` (JSON) and, beside it, the addresses as ``.env`` for a shell; both contain the key."""
    owner = {"started": start_time(running.pid), "boot": boot_id()}
    _write_private(path, json.dumps({**asdict(running), **owner}, indent=2) + "\n")
    rows = [f"{name}={shlex.quote(value)}\n" for name, value in running.addresses.environment().items()]
    _write_private(environment_file(path), "".join(rows))


def environment_file(path: Path) -> Path:
    """Return the file with the variables of a stack; ``set -a; . var/stack.env`` loads them into a shell."""
    return path.with_suffix(".env")


def remove_state(path: Path) -> None:
    """Remove the record of a stack that has ended."""
    path.unlink(missing_ok=True)
    environment_file(path).unlink(missing_ok=True)


def read_state(path: Path) -> RunningStack | None:
    """Return the stack that ``path`` records, or None when there is none or its process is gone."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        pid, started, boot = int(known["pid"]), known["started"], known["boot"]
        running = RunningStack(pid, known["home"], known["logs"], Addresses(**known["addresses"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return running if boot == boot_id() and start_time(pid) == started else None


def end(running: RunningStack, seconds: float) -> bool:
    """End a stack by its process id; return False when it is still there after ``seconds``."""
    started = start_time(running.pid)
    if started is None:
        return True
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while start_time(running.pid) == started:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _write_private(path: Path, text: str) -> None:
    """Replace a file whole, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode(), mode=0o600)
