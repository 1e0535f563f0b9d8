"""The three servers together: started in parallel, stopped in reverse order, addresses in one place."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from steadyline.servers.kafka import KafkaFiles
from steadyline.servers.process import Launch, ServerProcess
from steadyline.servers.redis import RedisFiles
from steadyline.servers.triton import TritonFiles

ServerName = Literal["kafka", "redis", "triton"]
ALL: tuple[ServerName, ...] = ("kafka", "redis", "triton")


@dataclass(frozen=True, slots=True)
class StackPaths:
    """``home`` keeps data, logs and process ids of one stack; ``cache`` what set-up fetched for all."""

    home: Path
    cache: Path
    triton_environment: Path

    @staticmethod
    def of_checkout(home: Path, root: Path) -> "StackPaths":
        """Return the paths as ``make init`` lays them out below ``root``."""
        return StackPaths(home.resolve(), root / ".cache", root / ".venv-triton")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the servers answer; empty for a server that is not part of the stack."""

    kafka_bootstrap: str = ""
    redis_url: str = ""
    triton_grpc: str = ""
    triton_http: str = ""
    triton_admin_key: str = ""
    triton_repository: str = ""

    def environment(self) -> dict[str, str]:
        """Return the variables by which services find the servers."""
        variables = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap,
            "REDIS_URL": self.redis_url,
            "TRITON_URL": self.triton_grpc,
            "TRITON_ADMIN_KEY": self.triton_admin_key,
            "TRITON_REPOSITORY": self.triton_repository,
        }
        return {name: value for name, value in variables.items() if value}


class LocalStack:
    """Starts ``which`` servers on enter, stops them on exit. Two stacks with different homes never meet."""

    def __init__(self, paths: StackPaths, which: Sequence[ServerName] = ALL) -> None:
        self._which = [name for name in ALL if name in which]
        self._kafka = KafkaFiles(paths.home, paths.cache / "kafka")
        self._redis = RedisFiles(paths.home)
        self._triton = TritonFiles(paths.home, paths.triton_environment, paths.cache)
        self._home = paths.home
        self.servers: dict[ServerName, ServerProcess] = {}

    @property
    def kafka(self) -> ServerProcess:
        """The broker, for tests that kill it."""
        return self.servers["kafka"]

    @property
    def redis(self) -> ServerProcess:
        """Redis, for tests that kill it."""
        return self.servers["redis"]

    @property
    def triton(self) -> ServerProcess:
        """Triton, for tests that kill it."""
        return self.servers["triton"]

    @property
    def addresses(self) -> Addresses:
        """Where the started servers answer."""
        has = set(self._which)
        return Addresses(
            kafka_bootstrap=self._kafka.bootstrap if "kafka" in has else "",
            redis_url=self._redis.url if "redis" in has else "",
            triton_grpc=self._triton.grpc if "triton" in has else "",
            triton_http=self._triton.http if "triton" in has else "",
            triton_admin_key=self._triton.admin_key if "triton" in has else "",
            triton_repository=str(self._triton.repository) if "triton" in has else "",
        )

    def start(self) -> None:
        """Start all in parallel; when one fails the others are stopped and its error is raised."""
        with ThreadPoolExecutor(len(self._which)) as pool:
            pending = [pool.submit(self._start, name) for name in self._which]
        try:
            for future in pending:
                future.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop in reverse order of the data flow: Triton, Redis, Kafka."""
        for name in reversed(self._which):
            if name in self.servers:
                self.servers[name].stop()

    def __enter__(self) -> "LocalStack":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self, name: ServerName) -> None:
        self.servers[name] = ServerProcess(self._launch(name), self._home)
        self.servers[name].start()

    def _launch(self, name: ServerName) -> Launch:
        if name == "kafka":
            return self._kafka.launch()
        return self._redis.launch() if name == "redis" else self._triton.launch()
