"""Fixtures for the real servers: one shared stack a session, and a stack of one's own to break."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from steadyline.servers import Addresses, LocalStack, StackPaths
from steadyline.servers.stack import ALL, ServerName

ROOT = Path(__file__).resolve().parents[2]
OwnStack = Callable[..., LocalStack]


def missing(which: Sequence[ServerName] = ALL) -> str:
    """Return what is not installed, in words; empty when all is there."""
    gone = []
    if "kafka" in which and (shutil.which("java") is None or not any((ROOT / ".cache/kafka").glob("*.jar"))):
        gone.append("Java or Kafka's jars")
    if "redis" in which and shutil.which("redis-server") is None:
        gone.append("redis-server")
    if "triton" in which and not (ROOT / ".venv-triton/bin/python").exists():
        gone.append("Triton's environment")
    return ", ".join(gone)


def require(which: Sequence[ServerName] = ALL) -> None:
    """Skip loudly on a laptop that lacks a server; fail in CI."""
    gone = missing(which)
    if gone and os.environ.get("CI"):
        pytest.fail(f"{gone} missing in CI: `make init` must bring it")
    if gone:
        pytest.skip(f"{gone} missing: run `make init`")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Kafka, Redis and Triton, shared by the session: make your own topics, products and groups."""
    require()
    with LocalStack(StackPaths.of_checkout(tmp_path_factory.mktemp("stack"), ROOT)) as running:
        yield running


@pytest.fixture(scope="session")
def addresses(stack: LocalStack) -> Addresses:
    """Where the shared servers answer."""
    return stack.addresses


@pytest.fixture(scope="session")
def kafka(stack: LocalStack) -> str:
    """The shared broker's address."""
    return stack.addresses.kafka_bootstrap


@pytest.fixture(scope="session")
def redis(stack: LocalStack) -> str:
    """The shared Redis' address."""
    return stack.addresses.redis_url


@pytest.fixture(scope="session")
def triton(stack: LocalStack) -> Addresses:
    """The shared Triton: ``triton_grpc``, ``triton_admin_key``, ``triton_repository``."""
    return stack.addresses


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[OwnStack]:
    """A factory of stacks that this test alone uses and may kill: ``own_stack("kafka", "redis")``."""
    with ExitStack() as running:

        def make(*which: ServerName) -> LocalStack:
            require(which or ALL)
            home = tmp_path / f"stack-{len(list(tmp_path.glob('stack-*')))}"
            return running.enter_context(LocalStack(StackPaths.of_checkout(home, ROOT), which or ALL))

        yield make
