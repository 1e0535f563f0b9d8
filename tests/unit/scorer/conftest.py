"""The scorer on an in-memory line."""

from collections.abc import Iterator

import pytest

from tests.support.bench_top import BenchTop


@pytest.fixture
def top() -> Iterator[BenchTop]:
    """A handler without a model yet."""
    made = BenchTop()
    yield made
    made.close()
