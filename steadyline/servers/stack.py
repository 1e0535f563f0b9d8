"""The three servers together: started in parallel, stopped in reverse order, addresses in one place."""

import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol

from steadyline.servers.addresses import Addresses
from steadyline.servers.home import Home
from steadyline.servers.kafka import KafkaFiles
from steadyline.servers.orphan import end_orphan
from steadyline.servers.ports import KeptPorts
from steadyline.servers.process import Launch, ServerFailed, ServerProcess, record_path
from steadyline.servers.redis import RedisFiles
from steadyline.servers.triton import TritonFiles

ServerName = Literal["kafka", "redis", "triton"]
ALL: tuple[ServerName, ...] = ("kafka", "redis", "triton")
LOOK_SECONDS = 0.2


class ServerFiles(Protocol):
    """What the stack needs of one server: the ports that it keeps, and how it is started."""

    @property
    def ports(self) -> KeptPorts: ...

    def launch(self) -> Launch: ...


@dataclass(frozen=True, slots=True)
class StackPaths:
    """``home`` has data, logs and process ids of one stack; ``cache`` has what set-up fetched for all."""

    home: Path
    cache: Path
    triton_environment: Path

    @staticmethod
    def of_checkout(home: Path, root: Path) -> "StackPaths":
        """Return the paths as ``make init`` lays them out below ``root``."""
        return StackPaths(home.resolve(), root / ".cache", root / ".venv-triton")


class LocalStack:
    """Starts the servers ``which`` on enter and stops them on exit; each home is independent of others.

    A server whose address is in ``existing`` is used as it is, and neither started nor stopped. With
    ``fresh`` the data of earlier runs in that home is removed before the start.
    """

    def __init__(
        self,
        paths: StackPaths,
        which: Sequence[ServerName] = ALL,
        existing: Addresses | None = None,
        fresh: bool = False,
    ) -> None:
        self._fresh = fresh
        self._existing = existing or Addresses()
        self._kafka = KafkaFiles(paths.home, paths.cache / "kafka")
        self._redis = RedisFiles(paths.home)
        self._triton = TritonFiles(paths.home, paths.triton_environment)
        self._files: dict[ServerName, ServerFiles] = {
            "kafka": self._kafka,
            "redis": self._redis,
            "triton": self._triton,
        }
        self._home = Home(paths.home)
        self._which = [name for name in ALL if name in which and not self._existing.has(name)]
        self._wanted = frozenset(which)
        self._cancel = threading.Event()
        self.servers: dict[ServerName, ServerProcess] = {}

    @property
    def kafka(self) -> ServerProcess:
        """The broker, for tests that kill it."""
        return self._server("kafka")

    @property
    def redis(self) -> ServerProcess:
        """Redis, for tests that kill it."""
        return self._server("redis")

    @property
    def triton(self) -> ServerProcess:
        """Triton, for tests that kill it."""
        return self._server("triton")

    @property
    def logs(self) -> Path:
        """The folder with one log per server."""
        return self._home.path / "logs"

    @property
    def addresses(self) -> Addresses:
        """The addresses of the servers, started or existing."""
        own = Addresses(
            kafka_bootstrap=self._kafka.bootstrap if "kafka" in self._which else "",
            redis_url=self._redis.url if "redis" in self._which else "",
            triton_grpc=self._triton.grpc if "triton" in self._which else "",
            triton_http=self._triton.http if "triton" in self._which else "",
            triton_admin_key=self._triton.admin_key if "triton" in self._which else "",
            triton_repository=str(self._triton.repository) if "triton" in self._which else "",
        )
        return own.completed_by(self._existing.only(self._wanted))

    def start(self, stop: threading.Event | None = None) -> None:
        """Start all servers in parallel; when one fails, the others are stopped and its error is raised.

        Setting ``stop`` meanwhile cancels the start. Raises ServerFailed.
        """
        if not self._which:
            return
        self._home.take()
        try:
            if self._fresh:
                self._home.clear()
            self._start_all(stop or threading.Event())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop in reverse order of the data flow: Triton, Redis, Kafka."""
        for name in reversed(self._which):
            if name in self.servers:
                self.servers[name].stop()
        self._home.release()

    def check(self) -> None:
        """Raise ServerFailed with the end of its log when a server of ours has ended."""
        for server in self.servers.values():
            if not server.is_alive:
                raise server.ending()

    def end_orphans(self) -> list[str]:
        """End what a killed run left in this home; return the names. Raises ServerFailed when it is used."""
        self._home.take()
        try:
            return [name for name in ALL if end_orphan(record_path(self._home.path, name))]
        finally:
            self._home.release()

    def __enter__(self) -> "LocalStack":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_all(self, stop: threading.Event) -> None:
        self._cancel.clear()
        with ThreadPoolExecutor(len(self._which)) as pool:
            pending = {pool.submit(self._start, name) for name in self._which}
            waiting = set(pending)
            try:
                while waiting and not stop.is_set() and not any(map(_has_failed, pending - waiting)):
                    _, waiting = wait(waiting, LOOK_SECONDS, FIRST_COMPLETED)
            finally:
                if waiting:  # after a failure, a signal or Ctrl-C the others are not waited for
                    self._cancel.set()
        # The failure itself is raised before those that were cancelled because of it.
        for future in sorted(pending, key=lambda future: future in waiting):
            future.result()

    def _start(self, name: ServerName) -> None:
        """Start one server; try other ports once when another process was quicker to take one of them."""
        ports = self._files[name].ports
        end_orphan(record_path(self._home.path, name))
        ports.choose_if_taken()
        try:
            self._run(name)
        except ServerFailed:
            if self._cancel.is_set() or not ports.choose_if_taken():
                raise
            self._run(name)

    def _run(self, name: ServerName) -> None:
        server = ServerProcess(self._files[name].launch(), self._home.path, self._cancel)
        self.servers[name] = server
        server.start()

    def _server(self, name: ServerName) -> ServerProcess:
        if name not in self.servers:
            raise ServerFailed(f"{name} is not a process of this stack")
        return self.servers[name]


def _has_failed(future: Future[None]) -> bool:
    """Tell whether a finished start ended in an error."""
    return future.exception() is not None
