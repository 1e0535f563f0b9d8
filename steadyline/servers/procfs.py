"""What the kernel says about processes: who one is, whom it started, what it listens on. Linux only.

psutil answers, but for the two facts that name a process in a record on disk. Its start time is counted from
a boot time that moves when the clock of the machine is set, so a recorded process would seem to be another
one; and it does not know the id of the boot. Both are read from /proc here.
"""

import os
from contextlib import suppress
from pathlib import Path

import psutil


def boot_id() -> str:
    """Return the id of this boot; process ids and start times mean nothing after the next boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()


def start_time(pid: int) -> int | None:
    """Return when a process was started, in clock ticks since boot, or None when it is gone or a zombie.

    With the process id it identifies one process of this boot, because a recycled id has another start time.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rsplit(")", 1)[1].split()  # from the state on: the name before it may hold anything
    return None if fields[0] == "Z" else int(fields[19])


def session_members(session: int) -> list[int]:
    """Return the living processes of a session, ascending; its leader may be gone already."""
    return [pid for pid in psutil.pids() if _session(pid) == session and start_time(pid) is not None]


def kill_descendants() -> None:
    """SIGKILL to every process that this one has started, and to what those have; waits for none of them."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            process.kill()


def working_folder(pid: int) -> Path | None:
    """Return the folder that a process works in, or None when it is gone or not ours to see."""
    try:
        return Path(psutil.Process(pid).cwd())
    except psutil.Error:
        return None


def listens(pid: int, port: int) -> bool:
    """True when ``port`` is open on this machine and the very process ``pid`` is who opened it."""
    try:
        sockets = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(socket.status == psutil.CONN_LISTEN and socket.laddr.port == port for socket in sockets)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
