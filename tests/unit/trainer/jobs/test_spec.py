"""The order of a training as it lies in the store, also when another release wrote it."""

import uuid

import pytest

from steadyline.store import Store
from trainer.jobs.spec import JobFailure, Jobs


@pytest.fixture
def store() -> Store:
    return Store(f"memory://{uuid.uuid4().hex}")


def test_what_came_of_an_order_belongs_to_its_version_alone(store: Store) -> None:
    jobs = Jobs(store, "cell")
    failure = JobFailure(version=3, reason="normals", message="too few")
    jobs.fail(failure)
    assert jobs.failure(3) == failure
    assert jobs.failure(4) is None
    jobs.close()
    assert jobs.failure(3) is None


@pytest.mark.parametrize("content", [b"{}", b"no json", b'{"version": "three"}'])
def test_what_cannot_be_read_is_not_there(store: Store, content: bytes) -> None:
    jobs = Jobs(store, "cell")
    for part in ("spec", "result", "failure"):
        store.put(f"jobs/cell/{part}.json", content)
    assert jobs.spec() is None
    assert jobs.result(3) is None
    assert jobs.failure(3) is None
    assert store.list("jobs/cell") == []
