"""The shop floor of a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from steadyline.servers import Addresses
from tests.support.scorer_line import ScorerLine


@pytest.fixture
def floor(tmp_path: Path, addresses: Addresses) -> Iterator[ScorerLine]:
    """A line of its own on the shared servers."""
    made = ScorerLine(tmp_path, addresses)
    yield made
    made.close()
