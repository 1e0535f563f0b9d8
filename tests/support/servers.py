"""Fixtures for the real servers: one shared stack a session, and a stack of one's own to break."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from steadyline.cli.servers import existing_servers
from steadyline.servers import Addresses, LocalStack, StackPaths
from steadyline.servers.home import clear_abandoned
from steadyline.servers.stack import ALL, ServerName

ROOT = Path(__file__).resolve().parents[2]
STACKS = ROOT / "var" / "test-stacks"
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


def new_home() -> Path:
    """Return a home that nobody uses; what killed test runs have left in the others is ended first."""
    clear_abandoned(STACKS)
    return STACKS / uuid.uuid4().hex[:12]


def remove(home: Path) -> None:
    """Remove a stopped stack's home."""
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """Kafka, Redis and Triton, shared by the session: make your own topics, products and groups."""
    existing = existing_servers()
    require([name for name in ALL if not existing.has(name)])
    home = new_home()
    with LocalStack(StackPaths.of_checkout(home, ROOT), existing=existing) as running:
        yield running
    remove(home)


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
def own_stack() -> Iterator[OwnStack]:
    """A factory of stacks that this test alone uses and may kill: ``own_stack("kafka", "redis")``."""
    with ExitStack() as running:

        def make(*which: ServerName) -> LocalStack:
            require(which or ALL)
            home = new_home()
            running.callback(remove, home)
            return running.enter_context(LocalStack(StackPaths.of_checkout(home, ROOT), which or ALL))

        yield make
