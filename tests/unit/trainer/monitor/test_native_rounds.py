"""What the monitor says of a version by the defects that its training drew at the camera's own pixels."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from steadyline.clock import ManualClock
from steadyline.contracts.model_event import Health, Model
from steadyline.store import Store
from tests.support.model_history import a_model
from tests.support.snapshots import a_snapshot
from trainer import metrics
from trainer.arrays import Pictures
from trainer.data.banks import BankStore
from trainer.data.drawn_pairs import DRAWN_PAIRS, DrawnPair, DrawnPairs
from trainer.data.snapshot import Snapshot
from trainer.monitor.native_rounds import READ_AGAIN, NativeRounds
from trainer.sight import LEAST_DEFECTS

COUNT = 16
Scores = Callable[[Pictures], NDArray[np.float32]]


def rising(pictures: Pictures) -> NDArray[np.float32]:
    """A model that scores a drawn defect, which is brighter than its normal, higher."""
    means: NDArray[np.float32] = pictures.mean(axis=(1, 2, 3), dtype=np.float32)
    return means


def indifferent(pictures: Pictures) -> NDArray[np.float32]:
    """A model that looks at a corner only, which no defect here touches."""
    return pictures[:, 7, 7, 0].astype(np.float32)


def drawn(snapshot: Snapshot, count: int) -> DrawnPairs:
    places = np.flatnonzero(snapshot.held_out)
    pairs = []
    for number in range(count):
        normal = int(places[number % len(places)])
        before = snapshot.pictures[normal]
        after = before.copy()
        after[number % 7, : 1 + number % 5] = 255
        pairs.append(DrawnPair.of(normal, before, after))
    return DrawnPairs.of((8, 8, 1), pairs)


class PairedVersion:
    """A version with pairs in the store, and the rounds that ask it."""

    def __init__(self, count: int = LEAST_DEFECTS) -> None:
        self.store, self.clock = Store(f"memory://{uuid.uuid4().hex}"), ManualClock()
        self.kept = BankStore(self.store, "l")
        snapshot = a_snapshot()
        _, normals = self.kept.put_snapshot("cell", snapshot.pack())
        self.uri, pairs = self.kept.put_snapshot("cell", drawn(snapshot, count).pack())
        self.live = a_model(1).model_copy(update={"lineage": {"data": normals, DRAWN_PAIRS: pairs}})
        self.restart()

    def unpaired(self, version: int) -> Model:
        """Return a version of a release that kept no pairs."""
        lineage = {"data": self.live.lineage["data"]}
        return self.live.model_copy(update={"version": version, "lineage": lineage})

    def restart(self, accepts_blind: bool = False) -> None:
        self.rounds = NativeRounds(self.kept, "cell", self.clock, accepts_blind)

    def round(self, model: Scores, live: Model | None = None, told: Health | None = None) -> str | None:
        live = live or self.live
        pictures = self.rounds.pictures(live, COUNT)
        return self.rounds.judge(live, None if pictures is None else model(pictures), told)

    def rounds_of(self, model: Scores) -> list[str | None]:
        """Return the verdicts of as many rounds as ask each pair once."""
        return [self.round(model) for _ in range(-(-LEAST_DEFECTS // COUNT))]


def told(reason: str, version: int = 1) -> Health:
    at = ManualClock().now()
    return Health(at=at, version=version, state="blind", reason=reason, detection={}, false_alarm_rate=0)


def test_a_version_that_scores_defects_higher_is_not_named() -> None:
    assert set(PairedVersion().rounds_of(rising)) == {None}


def test_a_version_that_does_not_is_named_once_every_pair_was_asked() -> None:
    *before, last = PairedVersion().rounds_of(indifferent)
    assert set(before) == {None}
    assert str(last).startswith("sees_nothing: 50% of 90 pseudo-anomalies made at the camera's pixels score")


def test_a_version_that_goes_blind_is_named_and_one_that_sees_again_is_not() -> None:
    watched = PairedVersion()
    watched.rounds_of(rising)
    verdicts = watched.rounds_of(lambda pictures: -rising(pictures))
    assert [verdict is None for verdict in verdicts] == sorted(verdict is None for verdict in verdicts)[::-1]
    assert str(verdicts[-1]).startswith("sees_nothing: ")
    assert watched.rounds_of(rising)[-1] is None


def test_a_version_that_a_person_has_accepted_is_measured_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[float] = []
    monkeypatch.setattr(metrics.RAISED, "backend", lambda value, _: measured.append(value))
    watched = PairedVersion()
    watched.restart(accepts_blind=True)
    assert watched.round(indifferent, told=told("sees_nothing: before it was accepted")) is None
    assert set(watched.rounds_of(indifferent)) == {None}
    assert measured[-1] == 0.5
    assert "numbers that are none" in str(watched.round(lambda pictures: rising(pictures) * np.nan))


def test_answers_that_are_no_numbers_are_no_sight() -> None:
    watched = PairedVersion()
    watched.rounds_of(rising)
    assert "numbers that are none" in str(watched.round(lambda pictures: rising(pictures) * np.nan))


def test_each_pair_is_asked_beside_its_own_normal_and_all_in_turn() -> None:
    watched, seen = PairedVersion(), []

    def look(pictures: Pictures) -> NDArray[np.float32]:
        half = len(pictures) // 2
        assert half == COUNT
        assert all((pictures[half + at] != pictures[at]).any() for at in range(half))
        seen.append(pictures)
        return rising(pictures)

    watched.rounds_of(look)
    assert all(not np.array_equal(one, other) for one, other in pairwise(seen))


def test_after_a_restart_what_was_told_stands_until_every_pair_was_asked_again() -> None:
    watched = PairedVersion()
    reason = "sees_nothing: 50% of 90"
    assert watched.round(rising, told=told(reason)) == reason
    assert watched.round(rising, told=told(reason, version=2)) is None
    assert watched.round(rising, told=told("low_detection: 0 of 16")) is None
    assert watched.rounds_of(rising)[-1] is None


def test_nothing_is_said_of_a_version_of_an_earlier_release() -> None:
    watched = PairedVersion()
    earlier = watched.unpaired(1)
    assert watched.rounds.pictures(earlier, COUNT) is None
    assert watched.round(rising, earlier, told("sees_nothing: once")) is None


def test_the_next_version_is_asked_about_its_own_pairs() -> None:
    watched = PairedVersion()
    watched.rounds_of(indifferent)
    other = watched.live.model_copy(update={"version": 2})
    assert watched.round(rising, other) is None


def test_the_figure_of_a_version_is_not_told_of_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    monkeypatch.setattr(metrics.RAISED, "backend", lambda value, _: told.append(value))
    watched = PairedVersion()
    watched.rounds_of(rising)
    assert told[-1] == 1.0
    without = watched.live.model_copy(
        update={"version": 2, "lineage": {"data": watched.live.lineage["data"]}}
    )
    watched.round(rising, without)
    assert np.isnan(told[-1])


@pytest.mark.parametrize("trouble", ["altered", "gone", "no normals", "too few"])
def test_pairs_that_cannot_be_believed_are_counted_and_not_read_again_at_once(trouble: str) -> None:
    watched = PairedVersion(LEAST_DEFECTS - 1 if trouble == "too few" else LEAST_DEFECTS)
    key = watched.store.key(watched.uri)
    good = watched.store.get(key)
    if trouble == "altered":
        watched.store.put(key, good[:-1] + b"?")
    elif trouble == "gone":
        watched.store.delete(key)
    elif trouble == "no normals":
        watched.store.delete(f"snapshots/l/cell/{watched.live.lineage['data']}")
    assert watched.rounds.pictures(watched.live, COUNT) is None
    assert watched.round(rising, told=told("sees_nothing: before")) == "sees_nothing: before"
    if trouble in ("altered", "gone"):
        watched.store.put(key, good)
        assert watched.rounds.pictures(watched.live, COUNT) is None
        watched.clock.advance(READ_AGAIN + timedelta(seconds=1))
        assert watched.rounds.pictures(watched.live, COUNT) is not None
