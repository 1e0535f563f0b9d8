"""No call to a store lasts for ever: one that hangs ends as an outage, and the others go on."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import fsspec
import pytest

from steadyline.errors import StoreUnavailable
from steadyline.store import Store
from tests.support.eventually import eventually
from tests.support.stuck_store import STUCK, StuckFiles

CALLS: dict[str, Callable[[Store], object]] = {
    "put": lambda store: store.put("a/new", b"1"),
    "get": lambda store: store.get("a/old"),
    "exists": lambda store: store.exists("a/old"),
    "list": lambda store: store.list("a"),
    "delete": lambda store: store.delete("a/old"),
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    fsspec.register_implementation("stuck", StuckFiles, clobber=True)
    made = Store(f"stuck://{tmp_path}/store", timedelta(milliseconds=300))
    made.put("a/old", b"old")
    return made


@pytest.fixture
def stuck(tmp_path: Path) -> Path:
    return tmp_path / "store" / STUCK


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_hangs_is_an_outage_after_the_timeout(store: Store, stuck: Path, name: str) -> None:
    stuck.touch()
    try:
        with pytest.raises(StoreUnavailable, match=r"cannot be .*: no answer within 0.3 s"):
            CALLS[name](store)
    finally:
        stuck.unlink()
    if name == "delete":  # what has hung goes on to its end
        eventually(lambda: not store.exists("a/old"))
        store.put("a/old", b"old")
    assert store.get("a/old") == b"old"


def test_what_hangs_holds_up_no_other_caller(store: Store, stuck: Path, tmp_path: Path) -> None:
    patient = Store(f"stuck://{tmp_path}/store", timedelta(seconds=60))
    (tmp_path / "store" / "a" / STUCK).touch()
    hanging = threading.Thread(target=patient.get, args=("a/old",), daemon=True)
    hanging.start()
    for number in range(20):
        patient.put(f"b/{number}", b"1")
    assert len(patient.list("b")) == 20
    assert hanging.is_alive()
    (tmp_path / "store" / "a" / STUCK).unlink()
    eventually(lambda: not hanging.is_alive(), 10)


def test_calls_that_hang_are_bounded_and_the_store_comes_back(store: Store, stuck: Path) -> None:
    before = threading.active_count()
    stuck.touch()
    for _ in range(3):
        callers = [threading.Thread(target=_refused, args=(store,)) for _ in range(50)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(20)
    assert threading.active_count() - before <= 64
    stuck.unlink()
    eventually(lambda: store.list("a") == ["a/old"], 20)


def _refused(store: Store) -> None:
    with pytest.raises(StoreUnavailable):
        store.get("a/old")
