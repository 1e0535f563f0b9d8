"""A factory for each test, on the shared servers or on servers of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from steadyline.servers import Addresses, LocalStack
from tests.integration.trainer.factory import Factory
from tests.support.servers import OwnStack


@pytest.fixture
def factory(tmp_path: Path, addresses: Addresses) -> Iterator[Factory]:
    """A factory on the shared servers."""
    made = Factory(tmp_path, addresses)
    yield made
    made.close()


@pytest.fixture
def own_factory(tmp_path: Path, own_stack: OwnStack) -> Iterator[Callable[[], tuple[Factory, LocalStack]]]:
    """A factory on servers that the test may kill."""
    with ExitStack() as stack:

        def make() -> tuple[Factory, LocalStack]:
            servers = own_stack()
            made = Factory(tmp_path, servers.addresses)
            stack.callback(made.close)
            return made, servers

        yield make
