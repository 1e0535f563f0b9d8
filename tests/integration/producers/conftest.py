"""A line for each test, on the shared broker or on one of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from steadyline.servers import Addresses, LocalStack
from tests.support.producers_line import ProducersLine
from tests.support.servers import OwnStack


@pytest.fixture
def plant(tmp_path: Path, addresses: Addresses) -> Iterator[ProducersLine]:
    """A plant on the shared broker."""
    with ExitStack() as stack:
        made = ProducersLine(tmp_path, addresses)
        stack.callback(made.close)
        yield made


@pytest.fixture
def own_plant(
    tmp_path: Path, own_stack: OwnStack
) -> Iterator[Callable[[], tuple[ProducersLine, LocalStack]]]:
    """A factory of a plant on a broker that the test may kill."""
    with ExitStack() as stack:

        def make() -> tuple[ProducersLine, LocalStack]:
            servers = own_stack("kafka")
            made = ProducersLine(tmp_path, servers.addresses)
            stack.callback(made.close)
            return made, servers

        yield make
