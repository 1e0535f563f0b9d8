"""What the kernel says about processes: who one is, whom it started, what it listens on. Linux only."""

from collections.abc import Iterator
from pathlib import Path

_LISTENING = "0A"


def boot_id() -> str:
    """Return the id of this boot: a process id and a start time mean nothing after the next one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()


def start_time(pid: int) -> int | None:
    """Return when a process was started, in clock ticks since boot; None when it is gone or a zombie.

    With the process id it names one process of this boot: a recycled id has another start time.
    """
    fields = _stat(pid)
    return None if fields is None or fields[0] == "Z" else int(fields[19])


def session_members(session: int) -> list[int]:
    """Return the living processes of a session, ascending; its leader may be gone already."""
    found = []
    for pid in _pids():
        fields = _stat(pid)
        if fields is not None and fields[0] != "Z" and int(fields[3]) == session:
            found.append(pid)
    return sorted(found)


def working_folder(pid: int) -> Path | None:
    """Return the folder a process works in; None when it is gone or not ours to look at."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None


def listens(pid: int, port: int) -> bool:
    """True when ``port`` is open on this machine and the very process ``pid`` is who opened it."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    return bool(inodes) and any(target in inodes for target in _open_files(pid))


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/<pid>/stat from the state on (the name before it may hold anything)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rsplit(")", 1)[1].split()


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _listening_inodes(port: int) -> Iterator[str]:
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue
        for row in table.read_text(encoding="utf-8").splitlines()[1:]:
            fields = row.split()
            if fields[3] == _LISTENING and int(fields[1].rsplit(":", 1)[1], 16) == port:
                yield fields[9]


def _open_files(pid: int) -> Iterator[str]:
    try:
        entries = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return
    for entry in entries:
        try:
            yield str(entry.readlink())
        except OSError:
            continue  # closed meanwhile
