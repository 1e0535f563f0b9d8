"""CPU time and memory of processes, as the kernel counts them."""

import psutil

from steadyline.servers.procfs import session_members


def cpu_seconds(session: int) -> float:
    """Return the CPU seconds of all living processes of a session: a server and what it started."""
    return sum(process_seconds(pid) for pid in session_members(session))


def machine_seconds() -> float:
    """Return the CPU seconds since boot, over all cores, that were used or taken away by the host."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)


def process_seconds(pid: int) -> float:
    """Return the CPU seconds of one process; 0 when it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def memory_bytes(session: int) -> int:
    """Return the memory of all living processes of a session in bytes; shared memory is counted once."""
    return sum(_proportional_bytes(pid) for pid in session_members(session))


def _proportional_bytes(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_full_info().pss)
    except psutil.Error:
        return 0
