"""One child process: started with its log or its lines, asked whether it runs, ended within a deadline.

The process ids of children that have ended stay reserved until somebody collects their exit status. This
class sends a child's signals, and looks at its end, under one lock and collects it there alone, so that no
signal ever reaches a stranger who was given the same process id meanwhile.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

POLL_SECONDS = 0.05
READER_SECONDS = 5.0  # for the last lines; a process outside of the child's group may hold its output open
TAIL_LINES = 30
TAIL_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class ChildCommand:
    """How to start one child.

    ``log`` is a file that standard output and standard error are appended to; its folder is made. Without a
    log standard error is the parent's own and standard output goes nowhere. ``on_line`` takes standard output
    away from either: a thread calls it with each line, its end of line included, bytes that are not UTF-8
    replaced. ``environment`` replaces the parent's as a whole, ``folder`` is the working folder (None: as the
    parent has them).

    ``own_session`` makes the child leader of a session and a process group of its own: Ctrl-C in the terminal
    does not reach it, signals go to the whole group, and what is left of the group when the child has ended
    is killed. ``ends_with_parent`` gives the child a pipe as standard input that closes when the parent is
    gone, for ``exit_with_parent``; any other child finds its standard input empty.
    """

    arguments: Sequence[str]
    log: Path | None = None
    on_line: Callable[[str], None] | None = None
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    own_session: bool = True
    ends_with_parent: bool = False


class ChildProcess:
    """A child that was started when this object was made; thread-safe. Every child is to be stopped at last.

    Raises OSError when the program or the working folder is not there.
    """

    def __init__(self, command: ChildCommand) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._process = _open(command)
        self._reader: threading.Thread | None = None
        if command.on_line is not None:
            self._reader = threading.Thread(target=self._read, name=f"output-of-{self.pid}", daemon=True)
            self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit status, None while it runs; negative is the signal that ended it."""
        with self._lock:
            if self._process.returncode is None and self._has_ended():
                if self._command.own_session and self._process.returncode is None:
                    os.killpg(self.pid, signal.SIGKILL)  # what it has left in its group
                self._process.wait()
                if self._process.stdin is not None:
                    self._process.stdin.close()
            return self._process.returncode

    def wait(self, seconds: float = inf) -> int | None:
        """Return the exit status as soon as it has ended, None when it still runs after ``seconds``."""
        end = time.monotonic() + seconds
        while (status := self.poll()) is None and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal to it, to its whole group when it leads one; does nothing when it has ended."""
        with self._lock:
            if self._process.returncode is None and not self._has_ended():
                (os.killpg if self._command.own_session else os.kill)(self.pid, number)

    def stop(self, seconds: float) -> int:
        """End it by SIGTERM, by SIGKILL when it still runs after ``seconds``; returns its exit status.

        A suspended child is woken for it. Harmless when it has ended: its status is returned again.
        """
        self.send_signal(signal.SIGTERM)
        self.send_signal(signal.SIGCONT)
        status = self.wait(seconds)
        return self.kill() if status is None else self._after_last_line(status)

    def kill(self) -> int:
        """End it by SIGKILL; returns its exit status."""
        self.send_signal(signal.SIGKILL)
        status = self.wait()
        assert status is not None
        return self._after_last_line(status)

    def tail(self) -> str:
        """Return the last lines of its log, at most 30."""
        if self._command.log is None or not self._command.log.exists():
            return "(no log)"
        with self._command.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - TAIL_BYTES))
            lines = log.read().decode("utf-8", errors="replace").splitlines()
        return "\n".join(lines[-TAIL_LINES:])

    def _has_ended(self) -> bool:
        """True when it has ended; its exit status is left where it is. The lock is held.

        Where SIGCHLD is ignored, as a parent may hand it down, the kernel keeps none and gives the process id
        away at once. The status is then 0, and nothing may be sent to the id any more.
        """
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            self._process.poll()
            return True

    def _after_last_line(self, status: int) -> int:
        """Return ``status`` when ``on_line`` was given every line, or is kept from it by another process."""
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join(READER_SECONDS)
        return status

    def _read(self) -> None:
        """Hand over the lines; the stream belongs to this thread, so that nobody closes it under its read."""
        assert self._process.stdout is not None
        assert self._command.on_line is not None
        with self._process.stdout as lines:
            for line in lines:
                self._command.on_line(line)


def exit_with_parent() -> None:
    """End this process at once when its parent is gone; for a child started with ``ends_with_parent``.

    The standard input of the child is the reading end of a pipe that only its parent holds the other end of.
    When the parent is gone, killed or not, the pipe ends and so does the child.
    """

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(128 + signal.SIGHUP)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _open(command: ChildCommand) -> "subprocess.Popen[str]":
    """Start the process of a command, its streams connected."""
    if command.log is None:
        return _popen(command, subprocess.DEVNULL, None)
    command.log.parent.mkdir(parents=True, exist_ok=True)
    with command.log.open("ab") as log:
        return _popen(command, log.fileno(), log.fileno())


def _popen(command: ChildCommand, output: int, errors: int | None) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        list(command.arguments),
        cwd=command.folder,
        env=None if command.environment is None else dict(command.environment),
        stdin=subprocess.PIPE if command.ends_with_parent else subprocess.DEVNULL,
        stdout=output if command.on_line is None else subprocess.PIPE,
        stderr=errors,
        encoding="utf-8",
        errors="replace",
        start_new_session=command.own_session,
    )
