"""A server that stands still: it keeps its connections, and answers nothing."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from bench.watching.cause import Act
from bench.watching.line import ObservedLine
from steadyline.servers.procfs import session_members
from steadyline.servers.stack import ServerName


@contextmanager
def frozen(line: ObservedLine, server: ServerName) -> Iterator[None]:
    """Stop a server with all its processes by SIGSTOP, and let it go on at the end."""
    pids = session_members(line.stack.servers[server].pid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def freezing(server: ServerName) -> Act:
    """Return the act that stops a server."""
    return lambda line: frozen(line, server)
