"""CPU clocks of the threads of this process."""

import threading
import time


def thread_clocks() -> dict[int, float]:
    """Return the CPU seconds of every living Python thread, by its ident."""
    idents = [thread.ident for thread in threading.enumerate() if thread.ident is not None]
    return {ident: time.clock_gettime(time.pthread_getcpuclockid(ident)) for ident in idents}
