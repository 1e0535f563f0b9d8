"""CPU time and memory of processes, as the kernel counts them."""

import os
from pathlib import Path

from steadyline.servers.procfs import session_members

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(session: int) -> float:
    """Return the CPU seconds of all living processes of a session: a server and what it started."""
    return sum(process_seconds(pid) for pid in session_members(session))


def machine_seconds() -> float:
    """Return the CPU seconds that all cores have been busy since boot, or taken away by the host."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _waiting, hard, soft, stolen = fields
    return (user + nice + system + hard + soft + stolen) / TICKS


def process_seconds(pid: int) -> float:
    """Return the CPU seconds of one process, 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0.0
    fields = text.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_bytes(session: int) -> int:
    """Return the memory of all living processes of a session; what several share is counted once."""
    return sum(_proportional_bytes(pid) for pid in session_members(session))


def _proportional_bytes(pid: int) -> int:
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return sum(1024 * int(row.split()[1]) for row in rows if row.startswith("Pss:"))
