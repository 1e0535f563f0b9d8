"""Small pictures while the store is slow, away or broken."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import fsspec
import numpy as np
import pytest

from alerts.control.thumbnail import FAILURE_KEPT, MOST_WAITING, Thumbnails, ThumbnailsBusy
from alerts.evidence import EvidenceReader
from steadyline.clock import ManualClock
from steadyline.contracts.evidence import EvidenceKey
from steadyline.errors import StoreUnavailable
from steadyline.picture import encode_jpeg
from steadyline.store import Store
from tests.support.alerts_api import LINE
from tests.support.eventually import eventually
from tests.support.stuck_store import STUCK, WAITING, StuckFiles

FOLDER = f"evidence/line-1/{LINE.kafka_topics().frames.name}/topic-id/0"
PICTURE = encode_jpeg(np.full((200, 200, 3), 90, np.uint8))


def a_key(number: int) -> EvidenceKey:
    return EvidenceKey.parse(f"{FOLDER}/{number}/picture.jpg")


class ThumbnailBench:
    """Small pictures of a store on the disk that hangs when a test wants it to."""

    def __init__(self, folder: Path) -> None:
        fsspec.register_implementation(StuckFiles.protocol, StuckFiles, clobber=True)
        self.folder, self.clock = folder, ManualClock()
        self.store = Store(f"stuck://{folder}")
        reader = EvidenceReader(self.store, LINE)
        self.thumbnails = Thumbnails(reader, LINE, self.clock, timedelta(milliseconds=50))

    def make(self, number: int) -> bytes | None:
        return self.thumbnails.make(a_key(number), "cell")

    def hang(self) -> None:
        (self.folder / STUCK).touch()

    def go_on(self) -> None:
        (self.folder / STUCK).unlink(missing_ok=True)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ThumbnailBench]:
    made = ThumbnailBench(tmp_path)
    yield made
    made.go_on()


def test_a_store_that_hangs_holds_up_few_and_nothing_that_is_kept(bench: ThumbnailBench) -> None:
    for number in range(2):
        bench.store.put(str(a_key(number)), PICTURE)
    kept = bench.make(0)
    bench.hang()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(bench.make, 1)
        try:
            eventually((bench.folder / WAITING).exists)
            assert bench.make(0) == kept
            with pytest.raises(ThumbnailsBusy, match="takes long"):
                bench.make(1)
        finally:
            bench.go_on()
        assert first.result() is not None


def test_whoever_comes_when_enough_wait_is_refused_at_once(bench: ThumbnailBench) -> None:
    patient = Thumbnails(EvidenceReader(bench.store, LINE), LINE, bench.clock, timedelta(minutes=1))
    bench.hang()
    refused = threading.Semaphore(0)

    def ask() -> bytes | None:
        try:
            return patient.make(a_key(1), "cell")
        except ThumbnailsBusy:
            refused.release()
            return None

    with ThreadPoolExecutor(MOST_WAITING + 1) as pool:
        asked = [pool.submit(ask) for _ in range(MOST_WAITING + 1)]
        was_refused = refused.acquire(timeout=30)
        bench.go_on()
        assert was_refused
        assert [future.result() for future in asked] == [None] * (MOST_WAITING + 1)


def test_what_failed_is_not_looked_for_again_within_a_minute(bench: ThumbnailBench) -> None:
    assert bench.make(1) is None
    bench.store.put(str(a_key(1)), PICTURE)
    assert bench.make(1) is None
    bench.clock.advance(FAILURE_KEPT)
    assert bench.make(1) is not None


def test_a_store_that_failed_is_left_alone_for_a_minute(bench: ThumbnailBench) -> None:
    in_its_place = bench.folder / str(a_key(1))
    in_its_place.parent.mkdir(parents=True)
    in_its_place.symlink_to(in_its_place)  # which the disk refuses to follow
    with pytest.raises(StoreUnavailable):
        bench.make(1)
    in_its_place.unlink()
    bench.store.put(str(a_key(1)), PICTURE)
    with pytest.raises(StoreUnavailable):
        bench.make(1)
    bench.clock.advance(FAILURE_KEPT)
    assert bench.make(1) is not None
