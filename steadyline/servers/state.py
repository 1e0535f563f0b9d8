"""The record of a stack that ``steadyline up`` runs: who runs it and where its servers answer."""

import json
import os
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
    """A stack and the process that holds it."""

    pid: int
    home: str
    logs: dict[str, str]
    addresses: Addresses


def write_state(path: Path, running: RunningStack) -> None:
    """Write ``path`` (JSON) and, beside it, the same addresses as ``.env`` for a shell; both hold the key."""
    owner = {"started": start_time(running.pid), "boot": boot_id()}
    _write_private(path, json.dumps({**asdict(running), **owner}, indent=2) + "\n")
    rows = [f"{name}={value}\n" for name, value in running.addresses.environment().items()]
    _write_private(environment_file(path), "".join(rows))


def environment_file(path: Path) -> Path:
    """Return where the variables of a stack lie: ``set -a; . var/stack.env`` makes a shell know them."""
    return path.with_suffix(".env")


def remove_state(path: Path) -> None:
    """Forget a stack that has ended."""
    path.unlink(missing_ok=True)
    environment_file(path).unlink(missing_ok=True)


def read_state(path: Path) -> RunningStack | None:
    """Return the stack that ``path`` records, None when there is none or its process is gone."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        pid, started, boot = int(known["pid"]), known["started"], known["boot"]
        running = RunningStack(pid, known["home"], known["logs"], Addresses(**known["addresses"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return running if boot == boot_id() and start_time(pid) == started else None


def end(running: RunningStack, seconds: float) -> bool:
    """End a stack by its process id; False when it is still there after ``seconds``."""
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
