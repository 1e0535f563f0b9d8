"""Record each started server, so that the next start finds and ends what a killed run left."""

import json
import os
import signal
import time
from pathlib import Path

from steadyline.servers.procfs import boot_id, session_members, start_time, working_folder

# Time that an orphan gets to end by itself before it is killed.
TERM_SECONDS = 10.0
KILL_SECONDS = 5.0
POLL_SECONDS = 0.05


def write_record(path: Path, pid: int) -> None:
    """Record a process that leads its own session and works in the folder of its home."""
    known = {"pid": pid, "started": start_time(pid), "boot": boot_id(), "home": str(working_folder(pid))}
    path.write_text(json.dumps(known), encoding="utf-8")


def end_orphan(record: Path) -> bool:
    """End what ``record`` names and whatever that has started; return True when there was something.

    Only what is provably ours is touched: it must be the same boot, with the leader's start time or, when the
    leader is gone, members of its session that work in the recorded home.
    """
    session = _recorded_session(record)
    if session is None:
        record.unlink(missing_ok=True)
        return False
    pid, home = session
    for number, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        _signal_all(_ours(pid, home), number)
        end = time.monotonic() + seconds
        while _ours(pid, home) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        if not _ours(pid, home):
            break
    record.unlink(missing_ok=True)
    return True


def _recorded_session(record: Path) -> tuple[int, Path] | None:
    """Return session and home of a record that is still valid, or None."""
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        pid, started, boot = int(known["pid"]), known["started"], str(known["boot"])
        home = Path(known["home"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if boot != boot_id() or started is None:
        return None
    is_recycled = start_time(pid) not in (None, started)
    return None if is_recycled or not _ours(pid, home) else (pid, home)


def _ours(session: int, home: Path) -> list[int]:
    return [pid for pid in session_members(session) if working_folder(pid) == home]


def _signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
            os.kill(pid, signal.SIGCONT)  # a suspended process would never handle the signal
        except ProcessLookupError:
            continue
