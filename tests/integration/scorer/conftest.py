"""The shop floor of a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from steadyline.servers import Addresses
from tests.integration.scorer.floor import Floor


@pytest.fixture
def floor(tmp_path: Path, addresses: Addresses) -> Iterator[Floor]:
    """A line of its own on the shared servers."""
    made = Floor(tmp_path, addresses)
    yield made
    made.close()
